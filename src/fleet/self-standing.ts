/**
 * The port to what is known against this node itself: that another one runs with its identity, or that
 * what it keeps was put back (adapter: `self-watch.ts`, protocol/fleet.md §5).
 * @module
 */

/** Why this node begins nothing: nothing is opened, granted or signed. What runs goes on. */
export interface SelfFault {
  readonly code: "NODE_CLONED" | "NODE_RESTORED"
  /** For the operator: what it is, and what ends it. */
  readonly message: string
}

/** What is known against this node. */
export interface SelfStanding {
  /** Undefined: nothing. */
  fault(): SelfFault | undefined
  /** Whether it was found since the start that what this node keeps was put back, caught up or not. */
  wasPutBack(): boolean
  /**
   * Checks that nothing is. Peers that were just met are waited for: they may know better.
   * @throws FleetError `NODE_CLONED`, `NODE_RESTORED`
   */
  verify(): Promise<void>
  /**
   * Tells peers how far this node has come, so that an older copy of it is found out by those that it
   * meets.
   * @returns once those that could be told have answered, or not within their time
   */
  tell(): Promise<void>
}
