/**
 * The in-memory twin of {@link Clock}: time moves only when a test or a simulation says so.
 * @module
 */
import { type Clock, sleepOn } from "./clock.ts"
import { EventQueue, type QueuedEvent } from "./event-queue.ts"

/** What a simulation makes many of: it stands in the queue itself, so that nothing is made for it. */
export interface ClockEvent extends QueuedEvent {
  /** Whether promises need not settle after it: it neither settles one nor wakes anybody. */
  isQuiet: boolean
  fire(): void
}

class Timer implements ClockEvent {
  dueMs = 0
  order = 0
  readonly isQuiet = false
  #callback: (() => void) | undefined

  constructor(callback: () => void) {
    this.#callback = callback
  }

  fire(): void {
    this.#callback?.()
  }

  /** What was to be called back is let go at once: it may hold much, and stand here for long. */
  cancel(): void {
    this.#callback = undefined
  }
}

/** A clock that stands still until it is advanced; callbacks run in order of due time. */
export class VirtualClock implements Clock {
  #nowMs: number
  #order = 0
  readonly #events = new EventQueue<ClockEvent>()
  readonly #settle: () => Promise<void>

  /** @param settle - lets promises settle after each step; a whole turn of the event loop unless told */
  constructor(startMs = 0, settle: () => Promise<void> = turnOfTheLoop) {
    this.#nowMs = startMs
    this.#settle = settle
  }

  now(): number {
    return this.#nowMs
  }

  monotonicMs(): number {
    return this.#nowMs
  }

  after(delayMs: number, callback: () => void): () => void {
    const timer = new Timer(callback)
    this.schedule(delayMs, timer)
    return () => timer.cancel()
  }

  /** Lets an event come that is not in the queue already; it cannot be taken back. */
  schedule(delayMs: number, event: ClockEvent): void {
    event.dueMs = this.#nowMs + Math.max(0, delayMs)
    event.order = this.#order++
    this.#events.push(event)
  }

  sleep(delayMs: number, options?: { signal?: AbortSignal | undefined }): Promise<void> {
    return sleepOn(this, delayMs, options?.signal)
  }

  /** Moves time on, runs what falls due on the way, and lets promises settle after each step. */
  async advance(deltaMs: number): Promise<void> {
    const endMs = this.#nowMs + deltaMs
    const events = this.#events
    await this.#settle()
    for (;;) {
      const next = events.peek()
      if (next === undefined || next.dueMs > endMs) break
      events.drop()
      this.#nowMs = next.dueMs
      const { isQuiet } = next
      next.fire()
      if (!isQuiet) await this.#settle()
    }
    this.#nowMs = endMs
    await this.#settle()
  }
}

/** Lets all promises that are ready run; one turn of the event loop. */
function turnOfTheLoop(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
