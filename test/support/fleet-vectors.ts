/**
 * Makes the vectors of protocol/fleet.md: `node test/support/fleet-vectors.ts`. It imports nothing of the
 * code under test, so that the two can disagree.
 */
import { createHash } from "node:crypto"
import { writeLifeSignVectors } from "./life-sign-vectors.ts"
import { writeNodeKeyVectors } from "./node-key-vectors.ts"
import { peerIdOfKey } from "./peer-id.ts"
import { vectorFolder } from "./vector-folder.ts"

const PAGE = "fleet"
const sha256 = (text: string) => createHash("sha256").update(text)
const FLEET = sha256("fleet").digest("hex")
/** Gives the peer id of an Ed25519 key that a label hashes to; no secret belongs to it. */
const peerOf = (label: string) => peerIdOfKey(sha256(`peer ${label}`).digest())
const recipientOf = (label: string) => `age1pq1${sha256(`recipient ${label}`).digest("hex")}`
const [A, B, C, D] = ["a", "b", "c", "d"].map(peerOf) as [string, string, string, string]
const EDGE = {
  name: "edge",
  epoch: 4,
  recipient: recipientOf("edge"),
  since: 1_794_000_000_000,
  previous: [Buffer.from("an age file").toString("base64")] as readonly string[],
}
const ANCHORS = {
  ...EDGE,
  name: "anchors",
  epoch: 1,
  recipient: recipientOf("anchors"),
  previous: [],
}
const LIST = {
  v: 1,
  fleet: FLEET,
  version: 12,
  issuedAt: 1_795_000_000_000,
  nodes: [
    { peer: A, groups: ["edge"], labels: { arch: "arm64", zone: "lab" } },
    { peer: B, groups: ["anchors"], labels: {}, anchor: true, minCounter: 7 },
    { peer: C, groups: [], labels: {} },
  ] as readonly Fields[],
  groups: [EDGE, ANCHORS] as readonly Fields[],
  rules: [
    { who: "all", verbs: ["find", "fetch"], where: ["docker.io/*", "acme"] },
    { who: "group:anchors", verbs: ["publish", "vouch"], where: ["*"] },
    { who: `node:${C}`, verbs: ["audit"], where: ["acme/*"] },
  ] as readonly Fields[],
  revoked: [D],
}
type Fields = Record<string, unknown>

const write = vectorFolder(PAGE)
const base64 = (file: unknown) =>
  Buffer.from(typeof file === "string" ? file : JSON.stringify(file)).toString("base64")

function access(name: string, comment: string, file: unknown, expect = "ACCESS_INVALID"): void {
  const output = { version: 12, peers: [A, B, C], groups: ["edge", "anchors"] }
  write(`access-${name}`, comment, {
    input: { file: base64(file), fleet: FLEET },
    expect,
    ...(expect === "ok" && { output }),
  })
}
const withNode = (change: Fields) => ({ ...LIST, nodes: [{ ...LIST.nodes[0], ...change }] })
const withGroup = (change: Fields) => ({ ...LIST, groups: [{ ...EDGE, ...change }, ANCHORS] })
const withRule = (change: Fields) => ({ ...LIST, rules: [{ ...LIST.rules[0], ...change }] })

access("ok", "Three nodes, two groups, three rules.", LIST, "ok")
access("unknown-field", "A field that nobody knows is ignored.", { ...LIST, note: 1 }, "ok")
access("empty", "A list of nobody.", "", "ACCESS_INVALID")
access("twice", "A key of the JSON stands twice.", '{"v":1,"v":1}')
access("version-0", "Versions begin at 1.", { ...LIST, version: 0 })
access("form-2", "Another version of the format.", { ...LIST, v: 2 })
access(
  "fleet",
  "Another fleet's.",
  { ...LIST, fleet: sha256("other").digest("hex") },
  "FLEET_WRONG",
)
access(
  "critical",
  "A critical field that nobody knows.",
  { ...LIST, x: 1, critical: ["x"] },
  "CRITICAL_UNKNOWN",
)
access("node-twice", "A node stands twice.", { ...LIST, nodes: [LIST.nodes[0], LIST.nodes[0]] })
access("node-revoked", "A node is in and revoked.", { ...LIST, revoked: [A] })
access(
  "peer-rsa",
  "A peer id of another kind of key.",
  withNode({ peer: "QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N" }),
)
access(
  "peer-digit",
  "A peer id with a letter that base58 has not.",
  withNode({ peer: `${A.slice(0, -1)}0` }),
)
access("group-unknown", "A node is in a group that is not listed.", withNode({ groups: ["far"] }))
access(
  "groups-17",
  "A node is in more groups than it may be.",
  withNode({ groups: Array.from({ length: 17 }, () => "edge") }),
)
access("label-space", "A label with a space.", withNode({ labels: { zone: "the lab" } }))
access("label-number", "A label that is no text.", withNode({ labels: { gpus: 4 } }))
access("anchor-text", "Whether it is an anchor is said by a text.", withNode({ anchor: "yes" }))
access("group-all", "A group has the name that stands for every node.", withGroup({ name: "all" }))
access("group-twice", "Two groups have one name.", withGroup({ name: "anchors" }))
access("epoch-0", "Epochs begin at 1.", withGroup({ epoch: 0 }))
access(
  "recipient-classical",
  "An epoch's recipient is classical.",
  withGroup({ recipient: "age1qqqq" }),
)
access("previous-text", "An earlier secret is no base64.", withGroup({ previous: ["?"] }))
access("verb", "A verb that nobody knows.", withRule({ verbs: ["delete"] }))
access(
  "verb-born",
  "A word that every object has by birth is no verb.",
  withRule({ verbs: ["constructor"] }),
)
access("who", "A rule for nobody that can be named.", withRule({ who: "everyone" }))
access("who-group", "A rule for a group that is not listed.", withRule({ who: "group:far" }))
access("where-empty", "A rule for a place without a name.", withRule({ where: [""] }))

function may(
  name: string,
  comment: string,
  ask: readonly [string, string, string],
  isAllowed: boolean,
) {
  const [peer, verb, where] = ask
  write(`may-${name}`, comment, {
    input: { file: base64(LIST), fleet: FLEET, peer, verb, where },
    expect: "ok",
    output: { isAllowed },
  })
}
may("all", "What every node may.", [A, "fetch", "acme"], true)
may(
  "below",
  "A registry's name with everything below.",
  [A, "find", "docker.io/library/alpine"],
  true,
)
may(
  "not-itself",
  "Everything below a registry is not the registry.",
  [A, "find", "docker.io"],
  false,
)
may("not-beside", "A registry whose name begins alike.", [A, "find", "docker.io.evil/x"], false)
may("not-deeper", "A namespace alone is not what is below it.", [A, "fetch", "acme/secret"], false)
may("other-verb", "A verb that no rule gives.", [A, "seed", "acme"], false)
may("group", "What a group may.", [B, "publish", "anywhere"], true)
may("not-in-group", "Who is in another group may not.", [A, "publish", "anywhere"], false)
may("node", "What one node may.", [C, "audit", "acme/model"], true)
may("other-node", "Another node may not.", [A, "audit", "acme/model"], false)
may("unknown", "Who is not in the list may nothing.", [peerOf("x"), "fetch", "acme"], false)
may("revoked", "Who is revoked may nothing.", [D, "fetch", "acme"], false)

await writeNodeKeyVectors(write)
writeLifeSignVectors(write)
