/**
 * A node and the controller die before and after each of their acts, in a rollout of links or of
 * programs that ends well or goes back, and come back from what is left or from copies that are older.
 */
import { describe, expect, it } from "vitest"
import { type DeathCase, tellDeath } from "../unit/rollout/death-story.ts"

const cases = ([1, 2] as const).flatMap((who) =>
  (["link", "program"] as const).flatMap((activate) =>
    [false, true].flatMap((isBack) => ({ who, activate, isBack })),
  ),
)

describe.each(cases)("node $who dies, by $activate, back: $isBack", (what) => {
  it.each([0, 1, 3, 6])("and comes back from %i writes before", async (stepsBack) => {
    const quiet: DeathCase = { ...what, stepsBack, death: undefined }
    const acts = await tellDeath(quiet)
    const faults: string[] = []
    for (let act = 0; act < acts; act++) {
      for (const isAfter of [false, true]) {
        await tellDeath({ ...quiet, death: { act, isAfter } }).catch((error: Error) =>
          faults.push(error.message),
        )
      }
    }
    expect(faults).toEqual([])
  })
})
