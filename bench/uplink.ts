/**
 * A shared link of a fixed rate: who sends waits for its turn.
 * @module
 */
import { setTimeout as sleep } from "node:timers/promises"

/** Waiting less than this costs more than it brings; the debt is kept. */
const WAIT_MS_MIN = 2

/** One link for all the answers of a server. */
export class Uplink {
  readonly #bytesPerMs: number
  /** When all that was granted so far has left. */
  #freeAtMs = 0

  /** @param bytesPerSecond - infinite for a link that never waits */
  constructor(bytesPerSecond: number) {
    this.#bytesPerMs = bytesPerSecond / 1000
  }

  /** Waits until these bytes would have left. */
  async send(sizeBytes: number): Promise<void> {
    const nowMs = performance.now()
    this.#freeAtMs = Math.max(this.#freeAtMs, nowMs) + sizeBytes / this.#bytesPerMs
    const waitMs = this.#freeAtMs - nowMs
    if (waitMs >= WAIT_MS_MIN) await sleep(waitMs)
  }
}
