/**
 * How far ahead blocks are handed to a stream: on a slow link what is handed over cannot be cancelled
 * any more, on a fast one too little leaves it idle.
 * @module
 */
import type { Clock } from "../core/clock.ts"

const KIB = 1024
/** Ahead by what the stream takes in this time … */
const AHEAD_SECONDS = 0.1
/** … but never less or more than this, and this much before anything is known. */
const AHEAD_BYTES_MIN: number = 32 * KIB
const AHEAD_BYTES_MAX: number = 2048 * KIB
const AHEAD_BYTES_START: number = 64 * KIB
/** A measurement takes at least this long. */
const WINDOW_MS = 20

export class WritePace {
  readonly #clock: Clock
  #sinceMs = 0
  #takenMs = Number.NEGATIVE_INFINITY
  #takenBytes = 0
  #aheadBytes = AHEAD_BYTES_START

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Bytes that may be handed to the stream before it has taken them. */
  get aheadBytes(): number {
    return this.#aheadBytes
  }

  /** The stream was idle: what follows is measured anew, unless it was idle for a moment only. */
  begin(): void {
    const nowMs = this.#clock.monotonicMs()
    // A fast stream runs dry after each batch: begun anew each time, no window would ever be full.
    if (nowMs - this.#takenMs < WINDOW_MS) return
    this.#sinceMs = nowMs
    this.#takenBytes = 0
  }

  /** The stream took bytes. */
  onTaken(bytes: number): void {
    this.#takenBytes += bytes
    const nowMs = this.#clock.monotonicMs()
    this.#takenMs = nowMs
    const elapsedMs = nowMs - this.#sinceMs
    if (elapsedMs < WINDOW_MS) return
    const ahead = (this.#takenBytes / elapsedMs) * 1000 * AHEAD_SECONDS
    this.#aheadBytes = Math.min(Math.max(ahead, AHEAD_BYTES_MIN), AHEAD_BYTES_MAX)
    this.#sinceMs = nowMs
    this.#takenBytes = 0
  }
}
