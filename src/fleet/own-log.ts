/**
 * The port to the log of this node, as far as its life signs tell of it (adapter: the audit room of the
 * daemon, protocol/audit-log.md).
 * @module
 */

/** How far a log has come. */
export interface LogPlace {
  /** 1 for a node's first log; one more for each that was begun since the one before was put back. */
  readonly incarnation: number
  readonly size: number
  /** The root of the tree of its entries, 32 bytes. */
  readonly root: Uint8Array
}

/** Compares how far two logs have come: by incarnation, then by size. @returns above 0: the first further */
export function compareLogs(one: LogPlace, other: LogPlace): number {
  return one.incarnation - other.incarnation || one.size - other.size
}

/** What was found out about this node, for its log. */
export interface SelfEvent {
  readonly event: "node.blocked" | "node.restored" | "fleet.held-back" | "fleet.caught-up"
  readonly facts: Readonly<Record<string, string | number>>
}

/** The log of this node. */
export interface OwnLog {
  place(): Promise<LogPlace>
  /** Gives the root that the first entries have. @param size - at most that of the log */
  rootAt(size: number): Promise<Uint8Array>
  /** Puts the log aside, and begins the next incarnation, which names what was known of those before. */
  beginAnew(known: LogPlace): Promise<void>
  note(event: SelfEvent): void
}
