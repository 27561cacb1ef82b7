/** The vectors of protocol/rollout.md: each through the function that the page means. */
import { describe, expect, test } from "vitest"
import { hexOf } from "../../../src/core/digest.ts"
import type { AccessList, Group, Member } from "../../../src/fleet/access-list.ts"
import type { Wave } from "../../../src/rollout/plan.ts"
import { encodePlan, readPlan } from "../../../src/rollout/plan-statement.ts"
import {
  encodeRoster,
  parseRoster,
  placeProof,
  rosterRoot,
  rosterSize,
  verifyPlace,
} from "../../../src/rollout/roster.ts"
import { rosterOf } from "../../../src/rollout/wave-choosing.ts"
import { closesAt, isOpen, nextOpening } from "../../../src/rollout/window.ts"
import { fromBase64, fromHex, outcomeOf, type Vector, vectorsOf } from "../trust/vectors.ts"

// biome-ignore lint/suspicious/noExplicitAny: vectors hold values of many forms.
type Input = any

function each(prefix: string, work: (input: Input) => unknown): void {
  const vectors = vectorsOf<Input, unknown>("rollout", prefix)
  test("there are vectors", () => expect(vectors.length).toBeGreaterThan(4))
  test.each(vectors)(
    "$case: $comment",
    ({ input, expect: code, output }: Vector<Input, unknown>) => {
      const outcome = outcomeOf(() => work(input))
      expect(outcome.code).toBe(code)
      if (code === "ok") expect(outcome.value).toEqual(output)
    },
  )
}

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex")

describe("a plan", () => {
  each("plan-", ({ file, fleet, keys }) => {
    const { said, digest } = readPlan(fromBase64(file), { fleet, keys: new Set(keys) })
    // Written again it says the same.
    const { predicate, subject } = encodePlan(said)
    return { digest: hexOf(digest), releases: subject.map(({ name }) => name), predicate }
  })
})

describe("the waves of a plan", () => {
  each("waves-", ({ fleet, name, version, waves, members, groups, audience }) => {
    const isInside = (peer: string) => audience?.includes(peer) ?? true
    const plan = { fleet, name, version, waves: waves.map(waveOf) }
    return rosterOf(plan, listOf(members, groups), isInside)
  })
})

describe("a roster", () => {
  each("roster-", ({ file, waves }) => {
    const bytes = fromBase64(file)
    const roster = parseRoster(bytes, waves)
    expect(Uint8Array.from(encodeRoster(roster))).toEqual(bytes)
    return { waves: roster.waves, size: rosterSize(roster), root: hex(rosterRoot(roster)) }
  })
})

describe("a place in a roster", () => {
  each("place-", ({ root, size, proof, ...seat }) => {
    verifyPlace(fromHex(root), size, { ...seat, proof: proof.map(fromHex) })
    return {}
  })

  test.each(["place-ok", "place-last"])("is proved as in %s", (name) => {
    const { file, waves } = vectorsOf<Input, unknown>("rollout", "roster-ok.")[0]!.input
    const { peer, wave, index, proof } = vectorsOf<Input, unknown>("rollout", name)[0]!.input
    const place = placeProof(parseRoster(fromBase64(file), waves), peer)
    expect({ ...place, proof: place?.proof.map(hex) }).toEqual({ peer, wave, index, proof })
  })
})

describe("a window", () => {
  each("window-", ({ window: { from, to, days }, zone, at }) => {
    const window = { fromMinute: from, toMinute: to, days }
    const opens = nextOpening(window, at, zone)!
    expect(isOpen(window, at, zone)).toBe(opens === at)
    return { opens, closes: closesAt(window, opens, zone) }
  })
})

function waveOf({ name, nodes, percent, count, soakMs }: Input): Wave {
  const amount = percent === undefined ? { kind: "count", count } : { kind: "percent", percent }
  const isWhole = percent === undefined && count === undefined
  return { name, select: nodes, amount: isWhole ? undefined : (amount as Wave["amount"]), soakMs }
}

function listOf(
  members: readonly Member[],
  groups: readonly string[],
): Pick<AccessList, "members" | "groups"> {
  const group = { epoch: 1, recipient: "", sinceMs: 1, previous: [] }
  return {
    members: new Map(members.map((one) => [one.peer, { ...one, isAnchor: false, minCounter: 0 }])),
    groups: new Map(groups.map((name): [string, Group] => [name, { name, ...group }])),
  }
}
