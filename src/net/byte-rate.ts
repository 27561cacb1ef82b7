/**
 * A rate in bytes: what was taken beyond it is a debt that is waited off.
 * @module
 */
import type { Clock } from "../core/clock.ts"

/** Unused rate that may be saved up. Short, so that no second carries much more than the rate. */
const SAVED_SECONDS_MAX = 0.05

/** A token bucket that lends: the taker has its bytes already and waits afterwards. */
export class ByteRate {
  readonly bytesPerSecond: number
  readonly #clock: Clock
  readonly #savedBytesMax: number
  #savedBytes: number
  #sinceMs: number

  constructor(clock: Clock, bytesPerSecond: number) {
    this.#clock = clock
    this.bytesPerSecond = bytesPerSecond
    this.#savedBytesMax = bytesPerSecond * SAVED_SECONDS_MAX
    this.#savedBytes = this.#savedBytesMax
    this.#sinceMs = clock.monotonicMs()
  }

  /** Takes bytes. @returns how long to wait before the next ones, milliseconds; 0 within the rate */
  take(bytes: number): number {
    const nowMs = this.#clock.monotonicMs()
    const earned = ((nowMs - this.#sinceMs) / 1000) * this.bytesPerSecond
    this.#savedBytes = Math.min(this.#savedBytes + earned, this.#savedBytesMax) - bytes
    this.#sinceMs = nowMs
    return this.#savedBytes >= 0 ? 0 : (-this.#savedBytes / this.bytesPerSecond) * 1000
  }
}
