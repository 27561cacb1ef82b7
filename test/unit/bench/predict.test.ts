/** What is made of a measured run and of its simulation. */
import { expect, test } from "vitest"
import type { Sample } from "../../../bench/scenario.ts"
import { predictionOf } from "../../../bench/scenarios/predict.ts"

const used = { cpuSeconds: 1, rssPeakBytes: 2 }

test("both stand in one sample, with their ratios", () => {
  const measured: Sample = {
    seconds: 14,
    usage: { leeches: used },
    notes: { p50: 1.3, last: 1.4, times: [13, 14], seedCopies: 1.2 },
  }
  const simulated: Sample = {
    seconds: 12.5,
    usage: { simulation: used },
    notes: { p50: 1.25, last: 1.25, times: [12.5], seedCopies: 1.1 },
  }
  const { seconds, usage, notes } = predictionOf(measured, simulated)
  expect(seconds).toBe(14)
  expect(usage).toEqual({ leeches: used, simulation: used })
  expect(notes).toMatchObject({ p50: 1.3, p50Simulated: 1.25, last: 1.4, lastSimulated: 1.25 })
  expect(notes).toMatchObject({ times: [13, 14], timesSimulated: [12.5], seedCopiesSimulated: 1.1 })
  expect(notes?.p50Ratio).toBeCloseTo(1.04)
  expect(notes?.lastRatio).toBeCloseTo(1.12)
})
