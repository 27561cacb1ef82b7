import { expect, test } from "vitest"
import { VirtualClock } from "../../../src/core/virtual-clock.ts"
import { ByteRate } from "../../../src/net/byte-rate.ts"

const SECOND_MS = 1000

test("lets bytes pass at its rate, however large the parts are", async () => {
  const clock = new VirtualClock()
  const rate = new ByteRate(clock, 100_000)
  let taken = 0
  for (const part of [1_000, 64_000, 7, 250_000, 30_000, 1, 99_999]) {
    const waitMs = rate.take(part)
    taken += part
    await clock.advance(waitMs)
  }
  const seconds = clock.monotonicMs() / SECOND_MS
  expect(taken / seconds).toBeLessThan(1.02 * 100_000)
  expect(taken / seconds).toBeGreaterThan(0.98 * 100_000)
})

test("asks nobody to wait who stays below it", async () => {
  const clock = new VirtualClock()
  const rate = new ByteRate(clock, 100_000)
  for (let count = 0; count < 100; count++) {
    expect(rate.take(900)).toBe(0)
    await clock.advance(10)
  }
})

test("saves up no more than a moment of it", async () => {
  const clock = new VirtualClock()
  const rate = new ByteRate(clock, 100_000)
  await clock.advance(3_600 * SECOND_MS)
  expect(rate.take(5_000)).toBe(0)
  expect(rate.take(1_000)).toBeGreaterThan(0)
})
