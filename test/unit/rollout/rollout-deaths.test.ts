/**
 * A node and the controller die at each of their acts, before it or after it, and come back: the slow
 * tests do so for programs, for going back, and from older copies too.
 */
import { describe, expect, it } from "vitest"
import { type DeathCase, tellDeath } from "./death-story.ts"

const QUIET: DeathCase = {
  ...{ who: 2, activate: "link", death: undefined, stepsBack: 0, isBack: false },
}

describe.each([1, 2] as const)("node %i that dies at any of its acts", (who) => {
  it("comes back and ends as if nothing had happened", async () => {
    const acts = await tellDeath({ ...QUIET, who })
    expect(acts).toBeGreaterThan(15)
    for (let act = 0; act < acts; act++) {
      await tellDeath({ ...QUIET, who, death: { act, isAfter: act % 2 === 0 } })
    }
  }, 60_000)

  it("sets no link again that it went back from, though it comes back from such a copy", async () => {
    const quiet: DeathCase = { ...QUIET, who, stepsBack: 3, isBack: true }
    const acts = await tellDeath(quiet)
    // Going back is the last that it does.
    for (let act = acts - 12; act < acts; act++) {
      await tellDeath({ ...quiet, death: { act, isAfter: act % 2 === 0 } })
    }
  }, 60_000)

  it("makes no program run twice, though it comes back from a copy three writes older", async () => {
    const quiet: DeathCase = { ...QUIET, who, activate: "program", stepsBack: 3 }
    const acts = await tellDeath(quiet)
    for (let act = 0; act < acts; act += 2) {
      await tellDeath({ ...quiet, death: { act, isAfter: act % 4 === 0 } })
    }
  }, 60_000)
})
