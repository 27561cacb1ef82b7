/**
 * A hundred thousand random runs of the model of a rollout, and every state of small ones; RUNS=1000000
 * looks at a million. SEED=n begins elsewhere.
 */
import { describe, expect, it } from "vitest"
import {
  type Budget,
  explore,
  ONE_LINK,
  ONE_PROGRAM,
  TWO_WAVES,
} from "../unit/rollout/model-exploring.ts"
import { runModel } from "../unit/rollout/model-runs.ts"
import { type ModelRules, modelPlan } from "../unit/rollout/model-world.ts"

const FIRST = Number(process.env.SEED ?? 1)
const RUNS = Number(process.env.RUNS ?? 100_000)
const PARTS = 10

it.each(Array.from({ length: PARTS }, (_, part) => part))(
  "nothing happens in random runs that must not, and they end: part %i of ten",
  (part) => {
    const first = FIRST + Math.floor((RUNS / PARTS) * part)
    const end = FIRST + Math.floor((RUNS / PARTS) * (part + 1))
    let steps = 0
    for (let seed = first; seed < end; seed++) {
      const run = runModel(seed)
      steps += run.steps
      if (run.faults.length === 0) continue
      expect({ seed, faults: run.faults, path: run.path }).toEqual({ seed, faults: [], path: [] })
    }
    expect(steps).toBeGreaterThan(end - first)
  },
)

describe("nothing happens in any state that must not, with", () => {
  const rollingBack = { percent: 50, count: undefined, action: "abort+rollback" as const }
  const { waves } = TWO_WAVES.plan
  const cases: readonly [string, ModelRules, Budget][] = [
    [
      "copies, crashes and going back",
      ONE_PROGRAM,
      {
        ...{ start: 1, crash: 1, "cut off": 1, "restart of a copy": 1, rollback: 1, "tick 6": 1 },
      },
    ],
    [
      "copies and resumptions of what can be asked for",
      ONE_LINK,
      { start: 1, "cut off": 1, "restart of a copy": 1, pause: 1, resume: 1 },
    ],
    [
      "copies and resumptions of what cannot be asked for, nor probed",
      {
        ...ONE_PROGRAM,
        plan: modelPlan({ probe: undefined }, { waves: 1, releases: 1 }),
      },
      { start: 1, "cut off": 1, crash: 1, "restart of a copy": 1, pause: 1, resume: 1 },
    ],
    [
      "a failure that sends two waves back",
      { ...TWO_WAVES, isAskable: true, plan: { ...TWO_WAVES.plan, waves, error: rollingBack } },
      { start: 1, "cut off": 1, "tick 6": 2 },
    ],
    ["two waves", TWO_WAVES, { start: 1, "cut off": 1, "tick 6": 2 }],
  ]

  it.each(cases)("%s", (_, rules, budget) => {
    const { fault, isWhole } = explore(rules, budget, 200_000)
    expect(fault).toBeUndefined()
    expect(isWhole).toBe(true)
  })
})
