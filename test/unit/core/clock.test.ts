/** The virtual clock keeps the contract of the real one. */
import { expect, test, vi } from "vitest"
import { systemClock } from "../../../src/core/clock.ts"
import { VirtualClock } from "../../../src/core/virtual-clock.ts"

test("runs what falls due in order of time, then of asking", async () => {
  const clock = new VirtualClock(1_000)
  const order: string[] = []
  clock.after(20, () => order.push("late"))
  clock.after(10, () => order.push("first"))
  clock.after(10, () => order.push("second"))
  await clock.advance(15)
  expect(order).toEqual(["first", "second"])
  expect(clock.now()).toBe(1_015)
  await clock.advance(5)
  expect(order).toEqual(["first", "second", "late"])
})

test("runs a timer that another timer sets on the way", async () => {
  const clock = new VirtualClock()
  const times: number[] = []
  clock.after(10, () => clock.after(10, () => times.push(clock.now())))
  await clock.advance(30)
  expect(times).toEqual([20])
})

test("does not call back what was cancelled", async () => {
  const clock = new VirtualClock()
  let calls = 0
  clock.after(10, () => calls++)()
  await clock.advance(20)
  expect(calls).toBe(0)
})

test.each([
  ["virtual", new VirtualClock()],
  ["system", systemClock],
])("ends a sleep on the %s clock with the signal's own reason", async (_name, clock) => {
  const stop = new AbortController()
  const reason = new Error("enough")
  const sleep = clock.sleep(60_000, { signal: stop.signal })
  stop.abort(reason)
  await expect(sleep).rejects.toBe(reason)
  await expect(clock.sleep(1, { signal: stop.signal })).rejects.toBe(reason)
})

test("sleeps until time has come", async () => {
  const clock = new VirtualClock()
  let isAwake = false
  const sleep = clock.sleep(10).then(() => {
    isAwake = true
  })
  await clock.advance(9)
  expect(isAwake).toBe(false)
  await clock.advance(1)
  await sleep
  expect(isAwake).toBe(true)
})

test("the system clock calls back soon when the time has passed, without a word", async () => {
  const warnings: string[] = []
  const onWarning = ({ name }: Error) => warnings.push(name)
  process.on("warning", onWarning)
  await systemClock.sleep(-0.5)
  await systemClock.sleep(1)
  process.off("warning", onWarning)
  expect(warnings).toEqual([])
})

test("the system clock calls back after sixty days, and not before", () => {
  vi.useFakeTimers()
  try {
    const day = 86_400_000
    let calls = 0
    systemClock.after(60 * day, () => calls++)
    const cancel = systemClock.after(60 * day, () => calls++)
    vi.advanceTimersByTime(60 * day - 1)
    expect(calls).toBe(0)
    // The one that a long timer is in by now is what is cancelled.
    cancel()
    vi.advanceTimersByTime(1)
    expect(calls).toBe(1)
    vi.advanceTimersByTime(day)
    expect(calls).toBe(1)
  } finally {
    vi.useRealTimers()
  }
})
