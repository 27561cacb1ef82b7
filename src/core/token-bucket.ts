/**
 * A token bucket: how many bytes may pass now, so that the mean is a rate and no burst is long.
 * @module
 */
import type { Clock } from "./clock.ts"

/** What a bucket lets pass. */
export interface BucketRate {
  /** Bytes per second, above zero. */
  readonly rateBytes: number
  /**
   * Tokens that are saved up at most. They make up for timers that fire late, and bound the burst after
   * an idle time: in any window so many bytes more than the rate.
   */
  readonly burstBytes: number
}

/** Tokens of one rate. The level may be below zero: what has passed already is a debt. */
export class TokenBucket {
  readonly #clock: Clock
  #rate: BucketRate
  #level: number
  #filledMs: number

  constructor(clock: Clock, rate: BucketRate) {
    this.#clock = clock
    this.#rate = rate
    this.#level = rate.burstBytes
    this.#filledMs = clock.monotonicMs()
  }

  get rateBytes(): number {
    return this.#rate.rateBytes
  }

  /** Another rate from now on; what was saved up at the old one is cut to the new burst. */
  setRate(rate: BucketRate): void {
    this.#fill()
    this.#rate = rate
    this.#level = Math.min(this.#level, rate.burstBytes)
  }

  /** Bytes that may pass now; zero or less: none. */
  get level(): number {
    this.#fill()
    return this.#level
  }

  take(bytes: number): void {
    this.#level -= bytes
  }

  /** Gives back what was taken and did not pass, even beyond the burst: it is missing elsewhere. */
  give(bytes: number): void {
    this.#fill()
    this.#level += bytes
  }

  /** Milliseconds until something may pass; 0: now. */
  get waitMs(): number {
    const { level } = this
    return level > 0 ? 0 : ((1 - level) * 1000) / this.#rate.rateBytes
  }

  #fill(): void {
    const nowMs = this.#clock.monotonicMs()
    const { rateBytes, burstBytes } = this.#rate
    const gained = ((nowMs - this.#filledMs) * rateBytes) / 1000
    this.#filledMs = nowMs
    // What was given back stays, but nothing is added to it.
    if (this.#level >= burstBytes) return
    this.#level = Math.min(this.#level + gained, burstBytes)
  }
}
