/** What is made of an act of trust and of the bare work beside it. */
import { expect, test } from "vitest"
import { besideBare } from "../../../bench/acts.ts"
import type { Sample } from "../../../bench/scenario.ts"
import { SCENARIOS } from "../../../bench/scenario-list.ts"
import { trust } from "../../../bench/scenarios/trust.ts"

const sample: Sample = { seconds: 9, usage: {}, notes: { grantsMiB: 4.3 } }

test("an act says how many times as long it took as its bare work", () => {
  expect(besideBare(sample, 6)).toEqual({ ...sample, notes: { grantsMiB: 4.3, timesBare: 1.5 } })
})

test("an act whose bare work was not measured says nothing of it", () => {
  expect(besideBare(sample, undefined)).toEqual(sample)
})

test("the suite lists it, and it is small unless told", () => {
  expect(SCENARIOS).toContain(trust)
  expect(trust.defaults.runs).toBe(3)
})
