/**
 * A clock for judging others: it stands still while this process itself could not run.
 * @module
 */
import { type Clock, sleepOn } from "./clock.ts"

/** How often the clock looks whether the process runs. */
const TICK_MS = 50
/** Of a longer gap between two looks only this much counts: the rest this process slept through. */
const GAP_MS_MAX = 2 * TICK_MS

/** A {@link Clock} whose monotonic time and timers count only time in which this process ran. */
export interface AwakeClock extends Clock {
  stop(): void
}

/**
 * Makes such a clock. On an overloaded machine a peer seems to be silent for seconds when it was this
 * process that did not listen; by this clock it is not, so nobody is dropped for our own slowness.
 */
export function createAwakeClock(clock: Clock): AwakeClock {
  let awakeMs = 0
  let lookedAtMs = clock.monotonicMs()
  const look = () => {
    const nowMs = clock.monotonicMs()
    awakeMs += Math.min(nowMs - lookedAtMs, GAP_MS_MAX)
    lookedAtMs = nowMs
  }
  let cancel = () => {}
  const tick = () => {
    look()
    cancel = clock.after(TICK_MS, tick)
  }
  tick()
  const monotonicMs = () => awakeMs + Math.min(clock.monotonicMs() - lookedAtMs, GAP_MS_MAX)
  const after = (delayMs: number, callback: () => void) => {
    const dueMs = monotonicMs() + delayMs
    let cancelTimer = () => {}
    const arm = () => {
      const leftMs = dueMs - monotonicMs()
      cancelTimer = clock.after(leftMs, () => (monotonicMs() < dueMs - 1 ? arm() : callback()))
    }
    arm()
    return () => cancelTimer()
  }
  return {
    now: () => clock.now(),
    monotonicMs,
    after,
    sleep: (delayMs, options) => sleepOn({ after }, delayMs, options?.signal),
    stop: () => cancel(),
  }
}
