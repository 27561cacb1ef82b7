/** Cases of what only a sealed release has, for ../release-vectors.ts. */
import { seeded } from "../key-schedule-scene.ts"
import { badRelease } from "./release-cases.ts"
import {
  ageText,
  base64,
  type Case,
  CLASSICAL,
  changed,
  type Fields,
  hash,
  INSPECTOR,
  PEERS,
  SEALED,
  withContext,
} from "./scene.ts"

type Change = readonly [name: string, comment: string, change: (copy: Fields) => unknown]
const changes = (list: readonly Change[]): Case[] =>
  list.map(([name, comment, change]) => badRelease(name, comment, changed(SEALED, change)))

function audiences(): Case[] {
  const [group, node] = SEALED.audience
  const entries =
    (...list: readonly unknown[]) =>
    (copy: Fields) =>
      (copy.audience = list)
  return changes([
    ["audience-missing", "No audience.", (copy) => delete copy.audience],
    ["audience-empty", "For nobody.", entries()],
    ["audience-twice", "An entry twice.", entries(group, group)],
    ["audience-unsorted", "Not sorted.", entries(node, group)],
    ["audience-number", "A number.", entries(1)],
    ["audience-kind", "Neither a group nor a node.", entries("all")],
    ["audience-group-name", "A group that no list can have.", entries("group:Edge:4")],
    ["audience-group-all", "No group is called so.", entries("group:all:4")],
    ["audience-epoch-missing", "A group without an epoch.", entries("group:edge")],
    ["audience-epoch-zero", "Epochs begin at 1.", entries("group:edge:0")],
    ["audience-epoch-leading-zero", "One text for one entry.", entries("group:edge:04")],
    ["audience-epoch-large", "2^53.", entries("group:edge:9007199254740992")],
    [
      "audience-node",
      "No peer id of an Ed25519 key.",
      entries("node:QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N"),
    ],
    ["audience-node-short", "A character too few.", entries(`node:${PEERS[0]!.slice(1)}`)],
    ["gate-missing", "No gate mode.", (copy) => delete copy.gate],
    ["gate-mode", "A mode that nobody knows.", (copy) => (copy.gate = "closed")],
    [
      "gate-none-group",
      "A group without a gate.",
      (copy) => {
        copy.gate = "none"
        copy.seal.holders.pop()
      },
    ],
  ])
}

function files(): Case[] {
  const size = (sizeBytes: number) => (copy: Fields) => (copy.files[0].sizeBytes = sizeBytes)
  return changes([
    ["sealed-size-short", "A nonce and no tag.", size(31)],
    ["sealed-size-rest", "A chunk and a tag over nothing.", size(16 + 65_552 + 16)],
    ["sealed-path", "A path that is for the bag.", (copy) => (copy.files[0].path = "a")],
    ["sealed-mode", "A mode that is for the bag.", (copy) => (copy.files[0].mode = 420)],
    [
      "sealed-media-type",
      "A type that is for the bag.",
      (copy) => (copy.files[0].mediaType = "a/b"),
    ],
    [
      "sealed-unpack",
      "What is in it is for the bag.",
      (copy) => (copy.files[0].unpack = { entries: 1, sizeBytes: 1 }),
    ],
    ["file-key-missing", "No file key.", (copy) => delete copy.files[1].fileKeyCommitment],
    [
      "file-key-short",
      "31 bytes.",
      (copy) => (copy.files[0].fileKeyCommitment = hash("x").slice(2)),
    ],
    [
      "file-key-upper-case",
      "Upper-case digits.",
      (copy) => (copy.files[0].fileKeyCommitment = hash("x").toUpperCase()),
    ],
  ])
}

function seals(): Case[] {
  const tooLarge = base64(seeded("too large", 16 * 1024 + 1))
  return changes([
    ["seal-missing", "No seal.", (copy) => delete copy.seal],
    ["seal-context-short", "31 bytes.", (copy) => (copy.seal.context = copy.seal.context.slice(2))],
    ["seal-commitment-missing", "No commitment.", (copy) => delete copy.seal.keyCommitment],
    ["seal-pq-missing", "It does not say.", (copy) => delete copy.seal.pq],
    ["seal-pq-text", "A text.", (copy) => (copy.seal.pq = "true")],
    ["seal-bag-missing", "No bag.", (copy) => delete copy.seal.bag],
    ["seal-bag-empty", "An empty bag.", (copy) => (copy.seal.bag = "")],
    [
      "seal-bag-unpadded",
      "Base64 in another form.",
      (copy) => (copy.seal.bag = base64(seeded("bag", 47)).replace("=", "")),
    ],
    ["holder-threshold-text", "A text.", (copy) => (copy.seal.holders[0].threshold = "1")],
    [
      "holder-commitment-missing",
      "No commitment.",
      (copy) => delete copy.seal.holders[0].commitment,
    ],
    [
      "holder-devices-many",
      "17 devices.",
      (copy) =>
        (copy.seal.holders[0].devices = Array.from({ length: 17 }, (_, index) => ({
          key: hash(`${index}`),
          share: ageText("x"),
        }))),
    ],
    ["device-key", "No key.", (copy) => (copy.seal.holders[0].devices[0].key = "owner")],
    ["device-share-missing", "No share.", (copy) => delete copy.seal.holders[0].devices[0].share],
    [
      "device-share-large",
      "16 KiB and a byte.",
      (copy) => (copy.seal.holders[0].devices[0].share = tooLarge),
    ],
    [
      "device-commitment-more",
      "A commitment of a whole share.",
      (copy) => (copy.seal.holders[0].devices[0].commitment = hash("x")),
    ],
    [
      "device-commitment-missing",
      "A part without a commitment.",
      (copy) => delete copy.seal.holders[1].devices[0].commitment,
    ],
    ["inspectors-missing", "It does not say.", (copy) => delete copy.seal.inspectors],
    [
      "inspector-recipient",
      "No age recipient.",
      (copy) => (copy.seal.inspectors[0].recipient = "ssh-ed25519 AAAA"),
    ],
    [
      "inspector-classical",
      "A classical one in a post-quantum release.",
      (copy) => (copy.seal.inspectors[0].recipient = CLASSICAL),
    ],
    ["inspector-file", "No file.", (copy) => delete copy.seal.inspectors[0].file],
    [
      "inspector-twice",
      "One twice.",
      (copy) => copy.seal.inspectors.push({ recipient: INSPECTOR, file: ageText("x") }),
    ],
  ])
}

/** Steps 4 to 6; each keeps or recomputes the context, so that only what is meant is wrong. */
function checks(): Case[] {
  const context = (name: string, comment: string, change: (copy: Fields) => unknown) =>
    badRelease(`context-${name}`, comment, changed(SEALED, change), { code: "CONTEXT_WRONG" })
  const holders = (name: string, comment: string, change: (list: Fields[]) => unknown) => {
    const predicate = withContext(changed(SEALED, (copy) => change(copy.seal.holders)))
    return badRelease(`holders-${name}`, comment, predicate, { code: "HOLDERS_WRONG" })
  }
  const { digest } = SEALED.files[0]
  return [
    context("name", "Shares of another asset.", (copy) => (copy.name = "other")),
    context("sequence", "Shares of another sequence.", (copy) => (copy.sequence = 6)),
    context("policy", "Shares under another policy.", (copy) => (copy.policy.digest = hash("x"))),
    context("parties", "Parties in another order.", (copy) => copy.parties.reverse()),
    context("audience", "Another audience.", (copy) => copy.audience.pop()),
    context("gate", "Another gate mode.", (copy) => (copy.gate = "hold")),
    context("pq", "Said to be classical.", (copy) => (copy.seal.pq = false)),
    context("file", "Another ciphertext.", (copy) => (copy.files[0].digest = hash("x"))),
    context("itself", "Another context.", (copy) => (copy.seal.context = hash("x"))),
    holders("order", "Another order.", (list) => list.reverse()),
    holders("gate-missing", "No gate, but a mode.", (list) => list.pop()),
    holders("party-missing", "A party without a share.", (list) => list.shift()),
    holders("threshold", "More than there are devices.", (list) => (list[1]!.threshold = 4)),
    holders("threshold-zero", "No device needed.", (list) => (list[0]!.threshold = 0)),
    holders("device-twice", "A device of two parties.", (list) => {
      list[2]!.devices[0].key = list[0]!.devices[0].key
    }),
    badRelease(
      "file-key-twice",
      "Two file keys for one ciphertext.",
      withContext(changed(SEALED, (copy) => (copy.files[1].digest = copy.files[0].digest))),
      { code: "FILE_KEY_CONFLICT" },
    ),
    badRelease("file-key-known", "Another file key is known.", SEALED, {
      code: "FILE_KEY_CONFLICT",
      more: { known: { [digest]: hash("x") } },
    }),
  ]
}

export function sealCases(): Case[] {
  return [...audiences(), ...files(), ...seals(), ...checks()]
}
