/**
 * Work within a time: whoever waits gets an answer even if the work does not heed its signal.
 * @module
 */
import type { Clock } from "../core/clock.ts"

/** A bound of time for some work. */
export interface Deadline {
  readonly clock: Clock
  readonly limitMs: number
  /** The waiting one's own signal. */
  readonly signal: AbortSignal
  /** What is thrown when time is up. */
  readonly late: () => Error
}

/** Runs work with a signal that also ends at the deadline. */
export async function within<T>(
  { clock, limitMs, signal, late }: Deadline,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  signal.throwIfAborted()
  const controller = new AbortController()
  const both = AbortSignal.any([signal, controller.signal])
  const cancel = clock.after(limitMs, () => controller.abort(late()))
  let onAbort: () => void = () => {}
  try {
    const aborted = new Promise<never>((_resolve, reject) => {
      onAbort = () => reject(both.reason)
      both.addEventListener("abort", onAbort, { once: true })
    })
    return await Promise.race([work(both), aborted])
  } finally {
    cancel()
    both.removeEventListener("abort", onAbort)
  }
}
