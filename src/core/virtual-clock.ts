/**
 * The in-memory twin of {@link Clock}: time moves only when a test or a simulation says so.
 * @module
 */
import { type Clock, sleepOn } from "./clock.ts"

interface Timer {
  readonly dueMs: number
  readonly order: number
  readonly callback: () => void
}

/** A clock that stands still until it is advanced; callbacks run in order of due time. */
export class VirtualClock implements Clock {
  #nowMs: number
  #order = 0
  #timers: Timer[] = []

  constructor(startMs = 0) {
    this.#nowMs = startMs
  }

  now(): number {
    return this.#nowMs
  }

  monotonicMs(): number {
    return this.#nowMs
  }

  after(delayMs: number, callback: () => void): () => void {
    const timer = { dueMs: this.#nowMs + Math.max(0, delayMs), order: this.#order++, callback }
    this.#timers.push(timer)
    this.#timers.sort((a, b) => a.dueMs - b.dueMs || a.order - b.order)
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer)
    }
  }

  sleep(delayMs: number, options?: { signal?: AbortSignal | undefined }): Promise<void> {
    return sleepOn(this, delayMs, options?.signal)
  }

  /** Moves time on, runs what falls due on the way, and lets promises settle after each step. */
  async advance(deltaMs: number): Promise<void> {
    const endMs = this.#nowMs + deltaMs
    for (;;) {
      await settle()
      const next = this.#timers[0]
      if (next === undefined || next.dueMs > endMs) break
      this.#timers.shift()
      this.#nowMs = next.dueMs
      next.callback()
    }
    this.#nowMs = endMs
    await settle()
  }
}

/** Lets all promises that are ready run; one turn of the event loop. */
function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
