/** Who is in which wave: by examples, and for any plan over any access list. */
import { createHash, createHmac } from "node:crypto"
import fc from "fast-check"
import { describe, expect, it } from "vitest"
import type { AccessList, Group, Member } from "../../../src/fleet/access-list.ts"
import type { Plan, Wave } from "../../../src/rollout/plan.ts"
import { rosterOf } from "../../../src/rollout/wave-choosing.ts"
import { peerIdOfKey } from "../../support/peer-id.ts"

const FLEET = "f1".repeat(32)
const RUNS = { numRuns: process.env.SLOW === "1" ? 2_000 : 100 }

const peerOf = (number: number) =>
  peerIdOfKey(createHash("sha256").update(`peer ${number}`).digest())
const PEERS = Array.from({ length: 40 }, (_, number) => peerOf(number))

type Listed = Pick<AccessList, "members" | "groups">

function member(peer: string, more: Partial<Member> = {}): Member {
  return { peer, groups: [], labels: {}, isAnchor: false, minCounter: 0, ...more }
}

function listOf(members: readonly Member[], groups: readonly string[] = ["edge"]): Listed {
  const group = { epoch: 1, recipient: "", sinceMs: 1, previous: [] }
  return {
    members: new Map(members.map((one) => [one.peer, one])),
    groups: new Map(groups.map((name): [string, Group] => [name, { name, ...group }])),
  }
}

function wave(select: Wave["select"], amount?: Wave["amount"]): Wave {
  return { name: "one", select, amount, soakMs: 0 }
}

const planOf = (waves: readonly Wave[], more: Partial<Plan> = {}) => ({
  ...{ fleet: FLEET, name: "model-1", version: 1, waves },
  ...more,
})

const ALL = { kind: "all" } as const
const tenth = { kind: "percent", percent: 10 } as const

describe("the waves of a plan", () => {
  const everybody = listOf(PEERS.map((peer) => member(peer)))

  it("take the first by the HMAC of their peer ids, keyed by fleet, name and version", () => {
    // From the definition, without the code under test.
    const parts = ["sealift/wave-order/v1", FLEET, "model-1", "1"].map((text) => {
      const length = Buffer.alloc(4)
      length.writeUInt32BE(text.length)
      return Buffer.concat([length, Buffer.from(text)])
    })
    const key = createHash("sha256").update(Buffer.concat(parts)).digest()
    const rank = (peer: string) => createHmac("sha256", key).update(peer).digest("hex")
    const ordered = PEERS.toSorted((one, other) => (rank(one) < rank(other) ? -1 : 1))
    const count = { kind: "count", count: 7 } as const
    const { waves } = rosterOf(planOf([wave(ALL, count), wave(ALL)]), everybody)
    expect(waves).toEqual([ordered.slice(0, 7).toSorted(), ordered.slice(7).toSorted()])
  })

  it("begin with other nodes in the next version, in another rollout and in another fleet", () => {
    const first = (more: Partial<Plan>) =>
      rosterOf(planOf([wave(ALL, tenth)], more), everybody).waves[0]!.join()
    const firsts = [{}, { version: 2 }, { name: "model-2" }, { fleet: "f2".repeat(32) }].map(first)
    expect(new Set(firsts).size).toBe(4)
  })

  it("leave whom no wave took to the others", () => {
    const { waves, others } = rosterOf(planOf([wave(ALL, tenth)]), everybody)
    expect(waves.map(({ length }) => length)).toEqual([4])
    expect(new Set([...waves.flat(), ...others])).toEqual(new Set(PEERS))
  })

  it("know groups and labels, and no label that an object has by birth", () => {
    const [a, b, c] = PEERS
    const list = listOf([
      member(a!, { groups: ["edge"], labels: { zone: "lab", arch: "arm64" } }),
      member(b!, { labels: { zone: "lab" } }),
      member(c!),
    ])
    const chosen = (select: Wave["select"]) => rosterOf(planOf([wave(select)]), list).waves[0]
    expect(chosen({ kind: "group", group: "edge" })).toEqual([a])
    expect(chosen({ kind: "labels", labels: { zone: "lab" } })).toEqual([a, b].toSorted())
    expect(chosen({ kind: "labels", labels: { zone: "lab", arch: "arm64" } })).toEqual([a])
    expect(chosen({ kind: "labels", labels: { constructor: "lab" } })).toEqual([])
  })

  it("have nobody from outside the audience, who is none of the others either", () => {
    const inside = new Set(PEERS.slice(0, 20))
    const isInside = (peer: string) => inside.has(peer)
    const plan = planOf([wave(ALL, { kind: "percent", percent: 50 })])
    const { waves, others } = rosterOf(plan, everybody, isInside)
    expect(waves[0]).toHaveLength(10)
    expect([...waves[0]!, ...others].toSorted()).toEqual([...inside].toSorted())
  })

  it("are refused when they list a node that the fleet has not, and name it", () => {
    const list = listOf([member(PEERS[0]!)])
    const plan = planOf([wave({ kind: "list", peers: [PEERS[0]!, PEERS[1]!] })])
    expect(() => rosterOf(plan, list)).toThrow(
      expect.objectContaining({
        code: "PLAN_INVALID",
        message: `wave one: not in the fleet: ${PEERS[1]}`,
      }),
    )
  })

  it("are refused when they list a node outside the audience", () => {
    const plan = planOf([wave({ kind: "list", peers: [PEERS[0]!] })])
    expect(() => rosterOf(plan, everybody, () => false)).toThrow(
      expect.objectContaining({ code: "PLAN_INVALID" }),
    )
  })

  it("are refused when they name a group that the fleet has not", () => {
    const plan = planOf([wave({ kind: "group", group: "egde" })])
    expect(() => rosterOf(plan, everybody)).toThrow(
      expect.objectContaining({
        code: "PLAN_INVALID",
        message: 'wave one: the fleet has no group "egde"',
      }),
    )
  })
})

const anyMembers = fc
  .array(
    fc.record({
      groups: fc.subarray(["edge", "core"]),
      labels: fc.constantFrom({}, { zone: "lab" }, { zone: "field" }),
    }),
    { maxLength: PEERS.length },
  )
  .map((all) => all.map((more, number) => member(PEERS[number]!, more as Partial<Member>)))

const anyAmount: fc.Arbitrary<Wave["amount"]> = fc.oneof(
  fc.constant(undefined),
  fc.record({ kind: fc.constant("percent" as const), percent: fc.integer({ min: 1, max: 100 }) }),
  fc.record({ kind: fc.constant("count" as const), count: fc.integer({ min: 1, max: 50 }) }),
)

const anyWave = (members: readonly Member[]): fc.Arbitrary<Wave> => {
  const select: fc.Arbitrary<Wave["select"]> = fc.oneof(
    fc.constant(ALL),
    fc.constantFrom("edge", "core").map((group) => ({ kind: "group" as const, group })),
    fc.constantFrom("lab", "moon").map((zone) => ({ kind: "labels" as const, labels: { zone } })),
    fc.subarray(members.map(({ peer }) => peer)).map((peers) => ({ kind: "list" as const, peers })),
  )
  return fc.tuple(select, anyAmount).map(([one, amount]) => wave(one, amount))
}

const anyScene = anyMembers.chain((members) =>
  fc.record({
    members: fc.constant(members),
    waves: fc.array(anyWave(members), { minLength: 1, maxLength: 6 }),
    shuffled: fc.shuffledSubarray([...members], { minLength: members.length }),
  }),
)

const isNamed = ({ select }: Wave, { peer, groups, labels }: Member) =>
  select.kind === "all" ||
  (select.kind === "list" && select.peers.includes(peer)) ||
  (select.kind === "group" && groups.includes(select.group)) ||
  (select.kind === "labels" && labels.zone === select.labels.zone)

describe("any plan over any access list", () => {
  it("puts each node in one wave, or among the others", () => {
    fc.assert(
      fc.property(anyScene, ({ members, waves }) => {
        const chosen = rosterOf(planOf(waves), listOf(members, ["edge", "core"]))
        expect(chosen.waves).toHaveLength(waves.length)
        const all = [...chosen.waves.flat(), ...chosen.others]
        expect(all.toSorted()).toEqual(members.map(({ peer }) => peer).toSorted())
      }),
      RUNS,
    )
  })

  it("takes as many as each wave says of those that it names and nobody has", () => {
    fc.assert(
      fc.property(anyScene, ({ members, waves }) => {
        const chosen = rosterOf(planOf(waves), listOf(members, ["edge", "core"]))
        const taken = new Set<string>()
        for (const [index, one] of waves.entries()) {
          const named = members.filter((node) => isNamed(one, node)).map(({ peer }) => peer)
          const left = named.filter((peer) => !taken.has(peer))
          const { amount } = one
          let most = left.length
          if (amount?.kind === "count") most = amount.count
          // Rounded up, without a division.
          if (amount?.kind === "percent") {
            most = 0
            while (most * 100 < named.length * amount.percent) most++
          }
          expect(chosen.waves[index]).toHaveLength(Math.min(most, left.length))
          for (const peer of chosen.waves[index]!) {
            expect(left).toContain(peer)
            taken.add(peer)
          }
        }
      }),
      RUNS,
    )
  })

  it("does not depend on the order of the list, and gives the same each time", () => {
    fc.assert(
      fc.property(anyScene, ({ members, shuffled, waves }) => {
        const groups = ["edge", "core"]
        const chosen = rosterOf(planOf(waves), listOf(members, groups))
        expect(rosterOf(planOf(waves), listOf(shuffled, groups))).toEqual(chosen)
      }),
      RUNS,
    )
  })
})
