/**
 * The simulated fan-out: that the reduced world says what the full one says, that it can be repeated, and
 * that nobody is left behind when things go wrong. Reduced worlds run in processes of their own.
 */
import { expect, test } from "vitest"
import { FanOut } from "../../bench/simulation/fan-out.ts"
import type { FanOutOutcome, FanOutPlan } from "../../bench/simulation/plan.ts"
import { simulate } from "../../bench/simulation/simulate.ts"

const MIB = 1024 ** 2
const RATE = { upBytesPerSecond: 2_500_000, downBytesPerSecond: 2_500_000 }
const SMALL: FanOutPlan = { fetchers: 8, sizeBytes: 8 * MIB, rate: RATE, latencyMs: 5, seed: 1 }
const MANY: FanOutPlan = { ...SMALL, fetchers: 40, sizeBytes: 4 * MIB, isBounded: true }

const meanOf = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length

/** What is simulated, without what it cost. */
function figuresOf({ cpuSeconds, rssPeakBytes, ...figures }: FanOutOutcome): unknown {
  expect(Math.min(cpuSeconds, rssPeakBytes)).toBeGreaterThan(0)
  return figures
}

/** Processes on a machine that is busy with other tests. */
const SLOW = { timeout: 60_000 }

test("the reduced world and the full one agree", SLOW, async () => {
  // Seeds differ by some per cent in either world, the more the fewer pieces there are.
  const seeds = [1, 2, 3, 4, 5]
  const plan = { ...SMALL, sizeBytes: 2 * SMALL.sizeBytes }
  const full = await Promise.all(seeds.map((seed) => new FanOut({ ...plan, seed }).run()))
  const small = await Promise.all(
    seeds.map((seed) => simulate({ ...plan, seed }, { isQuiet: true })),
  )
  const [mean, reducedMean] = [full, small].map((all) => meanOf(all.flatMap(({ times }) => times)))
  expect(reducedMean! / mean!).toBeGreaterThan(0.94)
  expect(reducedMean! / mean!).toBeLessThan(1.06)
  const [bytes, reducedBytes] = [full, small].map((all) =>
    meanOf(all.map(({ control }) => control.requests + control.haves + control.lists)),
  )
  expect(reducedBytes! / bytes!).toBeGreaterThan(0.8)
  expect(reducedBytes! / bytes!).toBeLessThan(1.25)
})

test("the same seed gives the same figures, another one others", SLOW, async () => {
  const [first, again, other] = await Promise.all(
    [7, 7, 8].map(async (seed) => figuresOf(await simulate({ ...MANY, seed }, { isQuiet: true }))),
  )
  expect(again).toEqual(first)
  expect(other).not.toEqual(first)
})

test(
  "all get it while nodes come and go, mails are lost and connections are cut",
  SLOW,
  async () => {
    const plan = { ...MANY, churnPerMinute: 3, lossShare: 0.05, cutsPerMinute: 2 }
    const zones = { count: 2, farLatencyMs: 40 }
    const { times, lateTimes } = await simulate({ ...plan, zones }, { isQuiet: true })
    // It throws when anybody who stays is left behind.
    expect(lateTimes.length).toBeGreaterThan(0)
    expect(times.length).toBeGreaterThan(plan.fetchers / 2)
  },
)
