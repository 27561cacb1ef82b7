/**
 * A time limit as a signal, on the clock of the node.
 * @module
 */
import type { Clock } from "../core/clock.ts"

/** A signal with a time limit, and the way to stop the timer when the work is done. */
export interface Deadline {
  readonly signal: AbortSignal
  readonly clear: () => void
}

/** Gives a signal that ends after a time, or when the other one does. */
export function startDeadline(clock: Clock, timeoutMs: number, signal?: AbortSignal): Deadline {
  const controller = new AbortController()
  const end = () => controller.abort(new Error(`not done within ${timeoutMs} ms`))
  const clear = clock.after(timeoutMs, end)
  const signals = signal === undefined ? [controller.signal] : [signal, controller.signal]
  return { signal: AbortSignal.any(signals), clear }
}
