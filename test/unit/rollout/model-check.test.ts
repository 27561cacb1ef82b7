/** All that may happen in the smallest models, and some hundreds of random runs of larger ones. */
import { describe, expect, it } from "vitest"
import { type Budget, explore, ONE_LINK, ONE_PROGRAM } from "./model-exploring.ts"
import { runModel } from "./model-runs.ts"
import { SAFETY } from "./model-safety.ts"
import type { ModelRules } from "./model-world.ts"

const FIRST = Number(process.env.SEED ?? 1)
const COUNT = process.env.SEED === undefined ? 600 : 1

describe("whatever is lost, late, cut off or put back", () => {
  it("nothing happens in random runs that must not, and they end", () => {
    const seen = new Set<string>()
    for (let seed = FIRST; seed < FIRST + COUNT; seed++) {
      const { faults, path, world } = runModel(seed)
      for (const { kept } of world.nodes) seen.add(kept.state.step)
      expect({ seed, faults, path: faults.length > 0 ? path : [] }).toEqual({
        ...{ seed, faults: [], path: [] },
      })
    }
    expect(Object.keys(SAFETY)).toHaveLength(13)
    // The runs come to all ends that there are.
    const ends = ["failed", "healthy", "over", "stranded", "went-back"]
    if (COUNT > 1) expect([...seen]).toEqual(expect.arrayContaining(ends))
  })

  const cases: readonly [string, ModelRules, Budget][] = [
    ["crashes", ONE_PROGRAM, { start: 1, "cut off": 1, crash: 1, "tick 6": 1 }],
    ["going back, cut off", ONE_PROGRAM, { start: 1, rollback: 1, "cut off": 1 }],
    ["a copy", ONE_PROGRAM, { start: 1, crash: 1, "restart of a copy": 1, "tick 6": 1 }],
    [
      "a copy that goes back",
      ONE_LINK,
      { start: 1, crash: 1, "restart of a copy": 1, rollback: 1 },
    ],
    ["a resumption, cut off", ONE_PROGRAM, { start: 1, pause: 1, resume: 1, "cut off": 1 }],
    [
      "a copy of the controller",
      ONE_LINK,
      { start: 1, "controller crash": 1, "controller restart of a copy": 1, "tick 6": 1 },
    ],
  ]

  it.each(cases)("nothing does in any state of one node with %s", (_, rules, budget) => {
    const { fault, isWhole, states } = explore(rules, budget, 20_000)
    expect(fault).toBeUndefined()
    expect(isWhole).toBe(true)
    expect(states).toBeGreaterThan(500)
  })
})
