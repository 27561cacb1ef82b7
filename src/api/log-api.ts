/**
 * The shapes of the control API that concern the node's log (docs/api.md).
 * @module
 */
import type { LoggedEvent } from "../audit/event.ts"

/** `GET /v1/log?start=&count=`. */
export interface LogReport {
  readonly size: number
  /** Events that could not be logged since the start. */
  readonly droppedCount: number
  /** The signed checkpoint, a C2SP note. */
  readonly checkpoint: string
  readonly events: readonly LoggedEvent[]
}

/** A line of `GET /v1/log/follow?start=`. */
export interface LogLine {
  readonly type: "event"
  readonly event: LoggedEvent
}

/** `GET /v1/log/proof?start=`: an entry, and why it is in the log of the checkpoint. */
export interface EntryProofReport {
  readonly index: number
  readonly size: number
  /** Base64. */
  readonly entry: string
  /** Base64: sibling hashes from the leaf up (RFC 6962). */
  readonly hashes: readonly string[]
  readonly checkpoint: string
}

/** `POST /v1/log/verify`. */
export interface LogVerdictReport {
  readonly size: number
  readonly root: string
  readonly clockWentBackAt: readonly number[]
  readonly checkpoint: string
}
