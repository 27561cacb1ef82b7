/** The simulated fan-out: what links bound, and how a world is reduced. Whole runs are in the slow suite. */
import { expect, test } from "vitest"
import { type FanOutPlan, linksOf, lowerBoundMs } from "../../../bench/simulation/plan.ts"
import { reduced } from "../../../bench/simulation/reduced-scale.ts"

const MIB = 1024 ** 2
const RATE = { upBytesPerSecond: 2_500_000, downBytesPerSecond: 2_500_000 }
const SMALL: FanOutPlan = { fetchers: 8, sizeBytes: 8 * MIB, rate: RATE, latencyMs: 5, seed: 1 }
const MANY: FanOutPlan = { ...SMALL, fetchers: 40, sizeBytes: 4 * MIB, isBounded: true }

test("links of several kinds are given out by their shares, and bound the time", () => {
  const slow = { share: 1, upBytesPerSecond: 1_000_000, downBytesPerSecond: 2_000_000 }
  const fast = { share: 3, upBytesPerSecond: 4_000_000, downBytesPerSecond: 9_000_000 }
  const plan = { ...MANY, links: [slow, fast] }
  expect(linksOf(plan).filter((link) => link.upBytesPerSecond === 1_000_000)).toHaveLength(10)
  // The slow ones' links down, not what all together can send.
  expect(lowerBoundMs(plan)).toBeCloseTo((1000 * 4 * MIB) / 2_000_000, 6)
  expect(lowerBoundMs({ ...plan, rate: { ...RATE, upBytesPerSecond: 100_000 } })).toBeCloseTo(
    (1000 * 4 * MIB) / 100_000,
    6,
  )
})

test("a constant that is not where it should be is an error, not a world of another scale", () => {
  const text = "const A = 2 * KIB\nexport const B: number = 8\n"
  expect(reduced(text, [["A", 4]])).toContain("const A = (2 * KIB) / 4")
  expect(reduced(text, [["B", 2]])).toContain("export const B: number = (8) / 2")
  expect(reduced("export const A = 9;\n", [["A", 3]])).toBe("export const A = (9) / 3\n")
  expect(() => reduced(text, [["C", 2]])).toThrow("C is defined 0 times")
})
