/** The benchmark of a node's log. */
import { expect, test } from "vitest"
import { SCENARIOS } from "../../../bench/scenario-list.ts"
import { audit } from "../../../bench/scenarios/audit.ts"

test("the suite lists it, and it is small unless told", () => {
  expect(SCENARIOS).toContain(audit)
  expect(audit.defaults.runs).toBe(3)
})
