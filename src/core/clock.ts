/**
 * The port to time. Rooms never call `Date.now` or `setTimeout`: simulation runs on virtual time.
 * @module
 */

/** A source of time and of waking up later. */
export interface Clock {
  /** Wall time in milliseconds since 1970. */
  now(): number
  /** Milliseconds from an arbitrary start that never go back. */
  monotonicMs(): number
  /** Calls back once after a delay; soon when the time has passed already. @returns the way to cancel it */
  after(delayMs: number, callback: () => void): () => void
  /** Waits. @throws the signal's reason when it is aborted first */
  sleep(delayMs: number, options?: { signal?: AbortSignal | undefined }): Promise<void>
}

/** Longest timer of the machine, some 24.8 days: one that is longer would be called back at once. */
const TIMER_MS_MAX: number = 2 ** 31 - 1

/** The machine's clock. Its timers do not keep the process alive. */
export const systemClock: Clock = {
  now: () => Date.now(),
  monotonicMs: () => performance.now(),
  after(delayMs, callback) {
    let timer: NodeJS.Timeout
    const arm = (leftMs: number) => {
      const partMs = Math.min(leftMs, TIMER_MS_MAX)
      timer = setTimeout(() => (leftMs > partMs ? arm(leftMs - partMs) : callback()), partMs)
      timer.unref()
    }
    // Of a time that has passed Node would warn on standard error.
    arm(Math.max(0, delayMs))
    return () => clearTimeout(timer)
  },
  sleep(delayMs, options) {
    return sleepOn(systemClock, delayMs, options?.signal)
  },
}

/** Builds `sleep` out of a clock's `after`. */
export function sleepOn(
  clock: Pick<Clock, "after">,
  delayMs: number,
  signal: AbortSignal | undefined,
): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted === true) return reject(signal.reason)
    const onAbort = () => {
      cancel()
      reject(signal?.reason)
    }
    const cancel = clock.after(delayMs, () => {
      signal?.removeEventListener("abort", onAbort)
      resolve()
    })
    signal?.addEventListener("abort", onAbort, { once: true })
  })
}
