/**
 * The shapes of the control API that concern the node's log (docs/api.md).
 * @module
 */
import type { LoggedEvent } from "../audit/event.ts"
import type { UsageTotals } from "../audit/usage.ts"

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

/** What witnesses have cosigned of the log: `POST /v1/log/cosign`, and part of other answers. */
export interface CosignedReport {
  /** Entries that enough witnesses have cosigned. */
  readonly size: number
  /** How many must, of how many that are named. */
  readonly threshold: number
  readonly total: number
  readonly by: readonly {
    readonly peer: string
    /** By the clock of the witness, milliseconds since 1970. */
    readonly atMs: number
  }[]
  /** The checkpoint with the cosignatures, a C2SP note. */
  readonly checkpoint: string
}

/**
 * `GET /v1/log/proof?start=`: an entry, and why it is in the log of the checkpoint, which is the
 * cosigned one where the entry is under it.
 */
export interface EntryProofReport {
  readonly index: number
  readonly size: number
  /** Base64. */
  readonly entry: string
  /** Base64: sibling hashes from the leaf up (RFC 6962). */
  readonly hashes: readonly string[]
  readonly checkpoint: string
  readonly isCosigned: boolean
}

/** `POST /v1/log/verify`. */
export interface LogVerdictReport {
  readonly size: number
  readonly root: string
  readonly clockWentBackAt: readonly number[]
  readonly checkpoint: string
  /** Left out: not enough witnesses have cosigned anything of it, or none are named. */
  readonly cosigned?: CosignedReport
  /** How each witness answered last, where it has not cosigned: its code. */
  readonly refusals: readonly { readonly peer: string; readonly code: string }[]
}

/** `GET /v1/usage?since=`: what passed, by records in the log and since the last of them. */
export interface UsageReport extends UsageTotals {
  /** Milliseconds since 1970. */
  readonly sinceMs: number
  readonly untilMs: number
  /** False: the log has more entries than are read for one answer. */
  readonly isWhole: boolean
}
