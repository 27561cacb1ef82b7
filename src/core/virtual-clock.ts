/**
 * The in-memory twin of {@link Clock}: time moves only when a test or a simulation says so.
 * @module
 */
import { type Clock, sleepOn } from "./clock.ts"

interface Timer {
  readonly dueMs: number
  readonly order: number
  readonly callback: () => void
  /** Whether promises need not settle after it. */
  readonly isQuiet: boolean
  isCancelled: boolean
}

/** A clock that stands still until it is advanced; callbacks run in order of due time. */
export class VirtualClock implements Clock {
  #nowMs: number
  #order = 0
  /** A binary heap, the next one first: a simulation of many nodes has many timers. */
  readonly #timers: Timer[] = []
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
    const timer = this.#add(delayMs, callback, false)
    return () => {
      timer.isCancelled = true
    }
  }

  /** Like `after`, for what neither settles a promise nor wakes anybody: the next step follows at once. */
  afterQuietly(delayMs: number, callback: () => void): void {
    this.#add(delayMs, callback, true)
  }

  sleep(delayMs: number, options?: { signal?: AbortSignal | undefined }): Promise<void> {
    return sleepOn(this, delayMs, options?.signal)
  }

  /** Moves time on, runs what falls due on the way, and lets promises settle after each step. */
  async advance(deltaMs: number): Promise<void> {
    const endMs = this.#nowMs + deltaMs
    await this.#settle()
    for (;;) {
      const next = this.#timers[0]
      if (next === undefined || next.dueMs > endMs) break
      this.#pop()
      if (next.isCancelled) continue
      this.#nowMs = next.dueMs
      next.callback()
      if (!next.isQuiet) await this.#settle()
    }
    this.#nowMs = endMs
    await this.#settle()
  }

  #add(delayMs: number, callback: () => void, isQuiet: boolean): Timer {
    const dueMs = this.#nowMs + Math.max(0, delayMs)
    const timer: Timer = { dueMs, order: this.#order++, callback, isQuiet, isCancelled: false }
    this.#push(timer)
    return timer
  }

  #push(timer: Timer): void {
    const heap = this.#timers
    let place = heap.push(timer) - 1
    while (place > 0) {
      const parent = (place - 1) >> 1
      if (!isBefore(timer, heap[parent]!)) break
      heap[place] = heap[parent]!
      place = parent
    }
    heap[place] = timer
  }

  #pop(): void {
    const heap = this.#timers
    const last = heap.pop()!
    if (heap.length === 0) return
    let place = 0
    for (;;) {
      let child = 2 * place + 1
      if (child >= heap.length) break
      if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child++
      if (!isBefore(heap[child]!, last)) break
      heap[place] = heap[child]!
      place = child
    }
    heap[place] = last
  }
}

function isBefore(a: Timer, b: Timer): boolean {
  return a.dueMs < b.dueMs || (a.dueMs === b.dueMs && a.order < b.order)
}

/** Lets all promises that are ready run; one turn of the event loop. */
function turnOfTheLoop(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
