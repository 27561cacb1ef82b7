/** What a simulated rollout has to decide, counted by hand; and a small one as it is told. */
import { describe, expect, test } from "vitest"
import { simulate } from "../../../bench/rollout-scale/simulate.ts"
import {
  expectedActs,
  REPORT_DEADLINE_MS,
  type SeededNode,
  SOAK_MS,
  seededNodes,
  WAVE_SHARES,
} from "../../../bench/rollout-scale/story.ts"
import { faultsOf } from "../../../bench/scenarios/rollout-scale.ts"

const WELL: SeededNode = { wave: 0, isOffline: false, isFailing: false, durationMs: 1_000 }
const AWAY: SeededNode = { ...WELL, isOffline: true }
const ILL: SeededNode = { ...WELL, isFailing: true, durationMs: 2_000 }

const many = (node: SeededNode, count: number) => Array.from({ length: count }, () => node)
const nextOf = (nodes: readonly SeededNode[]) => expectedActs(nodes)[2]
const TERMS = { nodes: 200, seed: 5, offlineShare: 0.1, failingShare: 0.02 }

describe("what is expected of a wave of ten", () => {
  test("is the next one a soak after the eighth is well", () => {
    const slow = many({ ...WELL, durationMs: 3_000 }, 1)
    const nodes = [...many(WELL, 7), ...slow, ...many(AWAY, 1), ...many(ILL, 1)]
    expect(nextOf(nodes)).toEqual({ act: "release", wave: 1, sinceMs: 3_000 + SOAK_MS })
  })

  test("is going back once the third has failed, however many are well", () => {
    const nodes = [...many(WELL, 7), ...many(ILL, 3)]
    expect(nextOf(nodes)).toEqual({ act: "rollback", wave: 0, sinceMs: 2_000 })
  })

  test("is going back where those that are away count as failed with the others, after their time", () => {
    const nodes = [...many(WELL, 7), ...many(ILL, 1), ...many(AWAY, 2)]
    expect(nextOf(nodes)).toEqual({ act: "rollback", wave: 0, sinceMs: REPORT_DEADLINE_MS })
  })

  test("is nothing more where there are too few of either kind", () => {
    const nodes = [...many(WELL, 7), ...many(AWAY, 2), ...many(ILL, 1)].slice(0, 9)
    expect(nextOf(nodes)).toEqual({ act: "pause", sinceMs: REPORT_DEADLINE_MS })
  })

  test("is the next one at once where nobody is in it", () => {
    const acts = expectedActs(many({ ...WELL, wave: 4 }, 5))
    const releases = Array.from({ length: 5 }, () => "release")
    expect(acts.map(({ act }) => act)).toEqual(["start", ...releases, "complete"])
    expect(acts[5]).toEqual({ act: "release", wave: 4, sinceMs: 0 })
  })
})

describe("seeded nodes", () => {
  test("are the same by the same seed, and each wave has its share of those that are away", () => {
    const nodes = seededNodes(TERMS)
    expect(seededNodes(TERMS)).toEqual(nodes)
    expect(nodes).toHaveLength(200)
    for (const [wave, share] of WAVE_SHARES.entries()) {
      const own = nodes.filter((node) => node.wave === wave)
      expect(own).toHaveLength(share * 200)
      expect(own.filter(({ isOffline }) => isOffline)).toHaveLength(Math.round(own.length / 10))
    }
  })
})

describe("a simulated rollout of sixty nodes", () => {
  test.each([
    ["is completed", undefined, "complete"],
    ["goes back where many fail", { fromWave: 3, failingShare: 0.4 }, "rollback"],
  ])("%s, as it was counted, and no node begins before its wave", async (_, bad, last) => {
    const { signal } = new AbortController()
    const terms = { ...TERMS, nodes: 60, ...(bad === undefined ? {} : { bad }) }
    const nodes = seededNodes(terms)
    const outcome = await simulate(terms, nodes, { signal })
    expect(outcome.decisions.at(-1)?.act.kind).toBe(last)
    expect(faultsOf(expectedActs(nodes), outcome, outcome.decisions)).toEqual([])
    const wrong = expectedActs(nodes).map((one) => ({ ...one, sinceMs: one.sinceMs + 1_000_000 }))
    expect(faultsOf(wrong, outcome, [])).not.toEqual([])
  })
})
