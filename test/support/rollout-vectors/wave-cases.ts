/** Cases of choosing the waves, for ../rollout-vectors.ts. */
import { createHash, createHmac } from "node:crypto"
import { peerIdOfKey } from "../peer-id.ts"
import { bad, type Case, type Fields, FLEET, good, OTHER_FLEET } from "../release-vectors/scene.ts"

const sha256 = (bytes: Uint8Array | string) => createHash("sha256").update(bytes).digest()
export const NODES: readonly string[] = Array.from({ length: 12 }, (_, number) =>
  peerIdOfKey(sha256(`rollout node ${number}`)),
)
const [A, B, C, D] = NODES as [string, string, string, string]
const STRANGER = peerIdOfKey(sha256("a stranger"))

interface Scene {
  readonly fleet: string
  readonly name: string
  readonly version: number
}
const PLAN: Scene = { fleet: FLEET, name: "model-1", version: 1 }

/** Gives some nodes in the plan's order, by the page's definition. */
function inOrder({ fleet, name, version }: Scene, peers: readonly string[] = NODES): string[] {
  const parts = ["sealift/wave-order/v1", fleet, name, String(version)].flatMap((part) => {
    const length = Buffer.alloc(4)
    length.writeUInt32BE(Buffer.byteLength(part))
    return [length, Buffer.from(part)]
  })
  const key = sha256(Buffer.concat(parts))
  const rank = (peer: string) => createHmac("sha256", key).update(peer).digest("hex")
  return peers.toSorted((one, other) => (rank(one) < rank(other) ? -1 : 1))
}

type Member = Fields & { readonly peer: string }
const MEMBERS: readonly Member[] = NODES.map((peer, number) => ({
  peer,
  groups: number < 6 ? ["edge"] : [],
  labels: number % 2 === 0 ? { zone: "lab" } : {},
}))
const EDGE = NODES.slice(0, 6)
const LAB = NODES.filter((_, number) => number % 2 === 0)

const wave = (nodes: Fields, amount: Fields = {}): Fields => ({ nodes, ...amount })
const ALL = { kind: "all" }

function inputOf(waves: readonly Fields[], more: Fields): Fields {
  const named = waves.map((one, index) => ({ name: `w-${index}`, soakMs: 0, ...one }))
  return { ...PLAN, members: MEMBERS, groups: ["edge"], waves: named, ...more }
}

function ok(
  name: string,
  comment: string,
  waves: readonly Fields[],
  chosen: readonly (readonly string[])[],
  more: Fields = {},
): Case {
  const taken = new Set(chosen.flat())
  const audience: readonly string[] = more.audience ?? NODES
  const others = audience.filter((peer) => !taken.has(peer)).toSorted()
  const output = { waves: chosen.map((peers) => peers.toSorted()), others }
  return good(`waves-${name}`, comment, inputOf(waves, more), output)
}

const wrong = (name: string, comment: string, waves: readonly Fields[], more: Fields = {}): Case =>
  bad(`waves-${name}`, comment, inputOf(waves, more), "PLAN_INVALID")

export function waveCases(): readonly Case[] {
  const order = inOrder(PLAN)
  const tenth = [wave(ALL, { percent: 10 })]
  const second = { ...PLAN, version: 2 }
  const inside = NODES.slice(4)
  const edge = { kind: "group", group: "edge" }
  const lab = { kind: "labels", labels: { zone: "lab" } }
  const edgeOrder = inOrder(PLAN, EDGE)
  return [
    ok("percent", "A tenth of twelve, rounded up.", tenth, [order.slice(0, 2)]),
    ok(
      "version",
      "The next version begins with others.",
      tenth,
      [inOrder(second).slice(0, 2)],
      second,
    ),
    ok(
      "fleet",
      "Another fleet has another order.",
      tenth,
      [inOrder({ ...PLAN, fleet: OTHER_FLEET }).slice(0, 2)],
      { fleet: OTHER_FLEET },
    ),
    ok(
      "count",
      "Five, and then whoever is left.",
      [wave(ALL, { count: 5 }), wave(ALL)],
      [order.slice(0, 5), order.slice(5)],
    ),
    ok(
      "percent-of-all",
      "The second half of a group is half of the whole group, though half of it is taken.",
      [wave(edge, { percent: 50 }), wave(edge, { percent: 50 })],
      [edgeOrder.slice(0, 3), edgeOrder.slice(3)],
    ),
    ok(
      "labels",
      "By a label; then the rest.",
      [wave(lab), wave(ALL)],
      [LAB, NODES.filter((peer) => !LAB.includes(peer))],
    ),
    ok(
      "labels-by-birth",
      "A label that every object has by birth is no node's.",
      [wave({ kind: "labels", labels: { constructor: "x" } })],
      [[]],
    ),
    ok(
      "list",
      "Two of four that are listed.",
      [wave({ kind: "list", peers: [A, B, C, D] }, { count: 2 })],
      [inOrder(PLAN, [A, B, C, D]).slice(0, 2)],
    ),
    ok("taken", "Nobody is in two waves.", [wave(edge), wave(edge)], [EDGE, []]),
    ok(
      "audience",
      "A quarter of those who may open it.",
      [wave(ALL, { percent: 25 })],
      [inOrder(PLAN, inside).slice(0, 2)],
      { audience: inside },
    ),
    wrong("unknown-node", "It lists a node that the fleet has not.", [
      wave({ kind: "list", peers: [A, STRANGER] }),
    ]),
    wrong(
      "outside-audience",
      "It lists a node that may not open it.",
      [wave({ kind: "list", peers: [A] })],
      { audience: inside },
    ),
    wrong("unknown-group", "It names a group that the fleet has not.", [
      wave({ kind: "group", group: "core" }),
    ]),
  ]
}
