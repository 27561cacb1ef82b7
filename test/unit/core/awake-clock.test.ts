/** The awake clock, on a base clock that jumps as a process sees time jump that did not run. */
import { expect, test } from "vitest"
import { createAwakeClock } from "../../../src/core/awake-clock.ts"
import type { Clock } from "../../../src/core/clock.ts"
import { VirtualClock } from "../../../src/core/virtual-clock.ts"

/** A clock whose time may jump with no timer run on the way. */
function jumpingClock() {
  const virtual = new VirtualClock()
  let jumpedMs = 0
  const clock: Clock = {
    now: () => virtual.now() + jumpedMs,
    monotonicMs: () => virtual.monotonicMs() + jumpedMs,
    after: (delayMs, callback) => virtual.after(delayMs, callback),
    sleep: (delayMs, options) => virtual.sleep(delayMs, options),
  }
  return {
    clock,
    advance: (ms: number) => virtual.advance(ms),
    jump: (ms: number) => {
      jumpedMs += ms
    },
  }
}

test("goes like any clock while the process runs", async () => {
  const base = jumpingClock()
  const awake = createAwakeClock(base.clock)
  await base.advance(2_000)
  expect(awake.monotonicMs()).toBe(2_000)
  awake.stop()
})

test("does not count the time that the process slept through", async () => {
  const base = jumpingClock()
  const awake = createAwakeClock(base.clock)
  await base.advance(1_000)
  base.jump(30_000)
  await base.advance(1_000)
  expect(awake.monotonicMs()).toBeGreaterThanOrEqual(2_000)
  expect(awake.monotonicMs()).toBeLessThanOrEqual(2_100)
  awake.stop()
})

test("calls back only after so much time awake", async () => {
  const base = jumpingClock()
  const awake = createAwakeClock(base.clock)
  let calledAtMs: number | undefined
  awake.after(2_000, () => {
    calledAtMs = awake.monotonicMs()
  })
  await base.advance(500)
  base.jump(10_000)
  await base.advance(1_000)
  expect(calledAtMs).toBeUndefined()
  await base.advance(600)
  expect(calledAtMs).toBeGreaterThanOrEqual(1_999)
  awake.stop()
})

test("does not call back what was cancelled, also after it was put off", async () => {
  const base = jumpingClock()
  const awake = createAwakeClock(base.clock)
  let calls = 0
  const cancel = awake.after(300, () => calls++)
  base.jump(10_000)
  await base.advance(250)
  cancel()
  await base.advance(10_000)
  expect(calls).toBe(0)
  awake.stop()
})
