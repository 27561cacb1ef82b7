/** How far ahead blocks are handed to a stream. */
import { expect, test } from "vitest"
import { VirtualClock } from "../../../src/core/virtual-clock.ts"
import { WritePace } from "../../../src/swarm/write-pace.ts"

const KIB = 1024

/** Lets a stream take bytes at a steady rate for a second. */
async function run(pace: WritePace, clock: VirtualClock, bytesPerSecond: number): Promise<void> {
  for (let step = 0; step < 100; step++) {
    await clock.advance(10)
    pace.onTaken(bytesPerSecond / 100)
  }
}

test("is a tenth of a second of what the stream takes, between its bounds", async () => {
  const clock = new VirtualClock()
  const pace = new WritePace(clock)
  expect(pace.aheadBytes).toBe(64 * KIB)
  pace.begin()
  await run(pace, clock, 5_000_000)
  expect(pace.aheadBytes).toBeCloseTo(500_000, -3)
  await run(pace, clock, 800_000_000)
  expect(pace.aheadBytes).toBe(2048 * KIB)
  await run(pace, clock, 10_000)
  expect(pace.aheadBytes).toBe(32 * KIB)
})

test("does not count the time in which nothing was to be sent", async () => {
  const clock = new VirtualClock()
  const pace = new WritePace(clock)
  pace.begin()
  await run(pace, clock, 10_000_000)
  await clock.advance(60_000)
  pace.begin()
  await run(pace, clock, 10_000_000)
  expect(pace.aheadBytes).toBeCloseTo(1_000_000, -3)
})
