/**
 * One seed and eight fetchers on slow links, simulated: the schedule alone decides, so its figures are
 * the same on each machine. They are bounds of what was reached, not goals.
 */
import { expect, test } from "vitest"
import { FanOut } from "../../../bench/simulation/fan-out.ts"
import { lowerBoundMs } from "../../../bench/simulation/plan.ts"

const RATE = 2_500_000
const MIB = 1024 ** 2

const CASES = [
  { latencyMs: 20, lastMax: 1.45 },
  { latencyMs: 0, lastMax: 1.45 },
]

test.each(process.env.SLOW === "1" ? CASES : CASES.slice(0, 1))(
  "a fan-out to eight ends near the time of one copy, latency $latencyMs ms",
  async (one) => {
    const rate = { upBytesPerSecond: RATE, downBytesPerSecond: RATE }
    const { latencyMs, lastMax } = one
    const plan = { fetchers: 8, sizeBytes: 24 * MIB, rate, latencyMs, seed: 1 }
    const { times: seconds, seedCopies, wastedShare } = await new FanOut(plan).run()
    const times = seconds.map((second) => (second * 1000) / lowerBoundMs(plan))
    expect(times).toHaveLength(8)
    // Headers alone are 1.05: less would be a fault of the simulation.
    expect(times[0]).toBeGreaterThan(1.04)
    expect(times.at(-1)).toBeLessThan(lastMax)
    expect(seedCopies).toBeLessThan(lastMax + 0.02)
    expect(wastedShare).toBeLessThan(0.03)
  },
)
