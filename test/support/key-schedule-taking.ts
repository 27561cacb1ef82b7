/** Cases of taking shares, grants and inspectors' files, for key-schedule-vectors.ts. */
import type { Case } from "./key-schedule-opening.ts"
import { changed, DIGEST, HOLDERS, type ReleaseEntry, scene } from "./key-schedule-release.ts"
import {
  ageFile,
  armored,
  base64,
  commitment,
  contextOf,
  document,
  FIELDS,
  type Fields,
  flipped,
  hex,
  type Identity,
  identity,
  partAt,
  seeded,
} from "./key-schedule-scene.ts"

const MADE = scene()
const [OWNER, SAFETY] = HOLDERS
const OWNER_DEVICE = OWNER!.devices[0]!
const SAFETY_DEVICE = SAFETY!.devices[1]!
const OTHER_CTX = contextOf(
  { ...FIELDS, name: "other" },
  MADE.files.map(({ cipher }) => cipher),
)
const SHORT = base64(OWNER!.share.subarray(0, 31))

const OWNED = {
  ctx: hex(MADE.ctx),
  holder: "owner",
  device: hex(OWNER_DEVICE.key),
  share: base64(OWNER!.share),
}
const PART = {
  ctx: hex(MADE.ctx),
  holder: "safety",
  device: hex(SAFETY_DEVICE.key),
  share: base64(SAFETY_DEVICE.part!),
}
/** The part of the same polynomials at place 0: the secret, and a 0. */
const ZERO = partAt(0, SAFETY!.share, [])

/** What else was done to a plaintext than to change its fields. */
const FORMS: readonly (readonly [string, string, (text: string) => string])[] = [
  ["version", "A later version.", (text) => text.replace('"v":1', '"v":2')],
  ["key-twice", "A key that stands twice.", (text) => text.replace('{"v":1', '{"v":1,"v":1')],
  ["not-json", "No JSON.", (text) => text.slice(1)],
  ["unpadded", "Base64 without padding.", (text) => text.replace('="', '"')],
]

type Change = (file: Buffer) => Uint8Array
const FILE_FAULTS: readonly (readonly [string, string, Change])[] = [
  ["header-flipped", "A bit of the wrapped key flipped.", (file) => flipped(file, 100)],
  [
    "mac-flipped",
    "A bit of the header's MAC flipped.",
    (file) => flipped(file, file.indexOf("--- ") + 5),
  ],
  ["nonce-flipped", "A bit of the nonce flipped.", (file) => flipped(file, bodyOf(file) + 1)],
  ["body-flipped", "A bit of the body flipped.", (file) => flipped(file, file.length - 20)],
  ["cut", "Its last byte gone.", (file) => file.subarray(0, -1)],
  ["longer", "A byte more.", (file) => Buffer.concat([file, Buffer.of(0)])],
  ["empty", "Nothing.", () => Buffer.alloc(0)],
  ["armored", "In text form.", armored],
]

const bodyOf = (file: Buffer): number => file.indexOf("\n", file.indexOf("--- ")) + 1

function withShare(file: Uint8Array, device: string, release = MADE.release): ReleaseEntry {
  return changed(release, ({ holders }) => {
    for (const entry of holders.flatMap(({ devices }) => devices)) {
      if (entry.key === device) entry.share = base64(file)
    }
  })
}

interface FileInput {
  readonly fields?: typeof OWNED
  readonly release?: ReleaseEntry
  readonly to?: readonly string[]
  readonly form?: (text: string) => string
}

/** Collects the cases of taking a share. */
interface ShareCases {
  readonly cases: Case[]
  readonly own: Identity
  readonly other: Identity
  put(name: string, comment: string, expect: string, input: Fields & { device?: string }): void
  file(name: string, comment: string, expect: string, input: FileInput): Promise<void>
}

function collectShares(own: Identity, other: Identity): ShareCases {
  const cases: Case[] = []
  const put: ShareCases["put"] = (name, comment, expect, input) => {
    const whole = { device: OWNED.device, secret: own.secret, ...input }
    const output = expect === "ok" ? { output: shareOf(whole.device) } : {}
    cases.push({ name: `take-share-${name}`, comment, input: whole, expect, ...output })
  }
  const file: ShareCases["file"] = async (name, comment, expect, input) => {
    const { fields = OWNED, release = MADE.release, to = [own.recipient], form } = input
    const text = document(fields).toString()
    const sealed = await ageFile(Buffer.from(form?.(text) ?? text), ...to)
    const device = fields.holder === "safety" ? PART.device : OWNED.device
    put(name, comment, expect, { release: withShare(sealed, device, release), device })
  }
  return { cases, own, other, put, file }
}

const shareOf = (device: string): Fields =>
  device === OWNED.device
    ? { holder: "owner", share: hex(OWNER!.share) }
    : { holder: "safety", share: hex(SAFETY_DEVICE.part!) }

async function shareCases(own: Identity, other: Identity, old: Identity): Promise<Case[]> {
  const made = collectShares(own, other)
  await made.file("whole", "A whole share.", "ok", {})
  await made.file("part", "A part.", "ok", { fields: PART })
  await made.file("unknown-field", "Unknown fields are ignored.", "ok", {
    fields: { ...OWNED, later: 1 } as typeof OWNED,
  })
  await wrongReaders(made, old)
  const refused = "SHARE_NOT_FOR_THIS_RELEASE"
  for (const [name, comment, form] of FORMS) await made.file(name, comment, refused, { form })
  const wrong = (name: string, comment: string, change: Partial<typeof OWNED>) =>
    made.file(name, comment, refused, { fields: { ...OWNED, ...change } })
  await wrong("context", "Copied from another release.", { ctx: hex(OTHER_CTX) })
  await wrong("holder", "Of another holder.", { holder: "gate" })
  await wrong("device", "Of another device.", { device: PART.device })
  await wrong("share-flipped", "Another share.", { share: base64(flipped(OWNER!.share, 0)) })
  await wrong("share-short", "A share of 31 bytes.", { share: SHORT })
  await wrong("part-for-whole", "A part for the whole.", { share: PART.share })
  await wrong("context-upper", "Upper-case hex.", { ctx: OWNED.ctx.toUpperCase() })
  await laundered(made)
  await zeroPlace(made)
  return made.cases
}

async function wrongReaders(made: ShareCases, old: Identity): Promise<void> {
  const refused = "SHARE_NOT_FOR_THIS_DEVICE"
  const { own, other } = made
  const strange = hex(seeded("nobody", 32))
  made.put("nobody", "A device without a share.", refused, {
    release: MADE.release,
    device: strange,
  })
  await made.file("other", "Sealed to another device.", refused, { to: [other.recipient] })
  await made.file("two-recipients", "Sealed to two.", refused, {
    to: [own.recipient, other.recipient],
  })
  const file = await ageFile(document(OWNED), own.recipient)
  for (const [name, comment, change] of FILE_FAULTS) {
    made.put(name, comment, refused, { release: withShare(change(file), OWNED.device) })
  }
  const large = await ageFile(document({ ...OWNED, later: "x".repeat(16_384) }), own.recipient)
  made.put("large", "Over 16 KiB.", refused, { release: withShare(large, OWNED.device) })
  const release = withShare(file, OWNED.device)
  const broken = `${own.secret.slice(0, -1)}${own.secret.endsWith("Q") ? "P" : "Q"}`
  made.put("identity", "A secret with a wrong checksum.", "IDENTITY_INVALID", {
    release,
    secret: broken,
  })
  const context = { ...release, context: hex(OTHER_CTX) }
  made.put("context-claimed", "A context that the fields do not have.", "CONTEXT_WRONG", {
    release: context,
  })
  const classical = await ageFile(document(OWNED), old.recipient)
  made.put("classical", "To a classical device: its release said so, or it would not be.", "ok", {
    release: withShare(classical, OWNED.device),
    secret: old.secret,
  })
}

/**
 * Somebody else's sealed share in a release of one's own. The commitments are copied with it; whoever
 * copies cannot make others, and if the inner context is the new one, only the commitment tells.
 */
async function laundered(made: ShareCases): Promise<void> {
  const refused = "SHARE_NOT_FOR_THIS_RELEASE"
  for (const [name, change] of Object.entries({
    fleet: { fleet: hex(seeded("fleet", 32)) },
    audience: { audience: ["node:12D3KooWLJtG8fd2hkQzTn96MrLvThmnNQjTUFZwGEsLRz5EmSzc"] },
    sequence: { sequence: 2 },
    classical: { pq: false },
  })) {
    const own = scene(HOLDERS, { ...FIELDS, ...change })
    const release = { ...own.release, holders: MADE.release.holders }
    const comment = `Moved to another ${name === "classical" ? "kind of recipient" : name}`
    await made.file(`moved-${name}`, `${comment}.`, refused, { release })
    await made.file(`moved-${name}-inside`, `${comment}, inside too.`, refused, {
      release,
      fields: { ...OWNED, ctx: hex(own.ctx) },
    })
  }
}

async function zeroPlace(made: ShareCases): Promise<void> {
  const held = commitment(ZERO, MADE.ctx, "safety", SAFETY_DEVICE.key)
  const release = changed(MADE.release, ({ holders }) => {
    holders[1]!.devices[1]!.commitment = hex(held)
  })
  await made.file("place-zero", "A part at place 0.", "SHARE_NOT_FOR_THIS_RELEASE", {
    release,
    fields: { ...PART, share: base64(ZERO) },
  })
}

async function grantCases(node: Identity, other: Identity): Promise<Case[]> {
  const cases: Case[] = []
  const NOW = 1_795_000_000_000
  const terms = (owned = OWNED, change: Fields = {}) => ({
    ctx: owned.ctx,
    release: DIGEST,
    holder: owned.holder,
    device: owned.device,
    share: owned.share,
    recipient: node.recipient,
    notAfter: NOW,
    ...change,
  })
  const put = (
    name: string,
    comment: string,
    expect: string,
    file: Uint8Array,
    input: Fields = {},
  ) => {
    const whole = {
      release: MADE.release,
      digest: DIGEST,
      holder: "owner",
      device: OWNED.device,
      recipient: node.recipient,
      secret: node.secret,
      now: NOW,
      grant: base64(file),
      ...input,
    }
    const blamed = { holder: whole.holder, device: whole.device }
    const output =
      expect === "ok" ? shareOf(whole.device) : expect === "SHARE_WRONG" ? blamed : undefined
    cases.push({
      name: `take-grant-${name}`,
      comment,
      input: whole,
      expect,
      ...(output && { output }),
    })
  }
  const grant = async (
    name: string,
    comment: string,
    expect: string,
    change: Fields,
    input: Fields = {},
  ) =>
    put(name, comment, expect, await ageFile(document(terms(OWNED, change)), node.recipient), input)

  const safety = { holder: "safety", device: PART.device }
  const part = await ageFile(document(terms(PART)), node.recipient)
  await grant("whole", "A whole share, at its last moment.", "ok", {})
  put("part", "A part.", "ok", part, safety)
  const elsewhere = "GRANT_NOT_FOR_THIS_NODE"
  put(
    "other",
    "Sealed to another node.",
    elsewhere,
    await ageFile(document(terms()), other.recipient),
  )
  const file = await ageFile(document(terms()), node.recipient)
  for (const [name, comment, change] of FILE_FAULTS) put(name, comment, elsewhere, change(file))
  const two = await ageFile(document(terms()), node.recipient, other.recipient)
  put("two-recipients", "Sealed to two.", elsewhere, two)

  const refused = "GRANT_NOT_FOR_THIS_RELEASE"
  for (const [name, comment, form] of FORMS) {
    // Padding belongs to the share, and a share is judged last.
    const expect = name === "unpadded" ? "SHARE_WRONG" : refused
    const text = form(document(terms()).toString())
    put(name, comment, expect, await ageFile(Buffer.from(text), node.recipient))
  }
  await grant("context", "Of another release's context.", refused, { ctx: hex(OTHER_CTX) })
  await grant("release", "Of another statement.", refused, { release: hex(seeded("other", 32)) })
  await grant("recipient", "Passed on by the node it was for.", refused, {
    recipient: other.recipient,
  })
  put("holder", "Another holder's grant in its place.", refused, part)
  await grant(
    "holder-claimed",
    "A device that is not that holder's.",
    refused,
    { holder: "gate" },
    {
      holder: "gate",
    },
  )
  const strange = hex(seeded("nobody", 32))
  await grant(
    "device",
    "A device that is nobody's.",
    refused,
    { device: strange },
    { device: strange },
  )
  await grant("time-missing", "No end.", refused, { notAfter: undefined })
  await grant("time-text", "An end that is no number.", refused, { notAfter: String(NOW) })
  await grant("expired", "A millisecond late.", "GRANT_EXPIRED", { notAfter: NOW - 1 })
  await grant("share-flipped", "Another share.", "SHARE_WRONG", {
    share: base64(flipped(OWNER!.share, 0)),
  })
  await grant("share-short", "A share of 31 bytes.", "SHARE_WRONG", { share: SHORT })
  await grant("share-missing", "No share.", "SHARE_WRONG", { share: undefined })
  const wrong = terms({ ...PART, share: base64(flipped(SAFETY_DEVICE.part!, 3)) })
  put(
    "part-flipped",
    "A wrong part.",
    "SHARE_WRONG",
    await ageFile(document(wrong), node.recipient),
    safety,
  )
  await grant(
    "context-claimed",
    "A context that the fields do not have.",
    "CONTEXT_WRONG",
    {},
    {
      release: { ...MADE.release, context: hex(OTHER_CTX) },
    },
  )
  return cases
}

async function inspectCases(inspector: Identity, other: Identity): Promise<Case[]> {
  const own = { ctx: hex(MADE.ctx), key: base64(MADE.releaseKey), recipient: inspector.recipient }
  const refused = "NOT_FOR_THIS_INSPECTOR"
  const make = async (
    name: string,
    comment: string,
    expect: string,
    { fields = {} as Fields, to = inspector.recipient, listed = inspector.recipient },
  ): Promise<Case> => {
    const file = base64(await ageFile(document({ ...own, ...fields }), to))
    const release = { ...MADE.release, inspectors: [{ recipient: listed, file }] }
    const output = expect === "ok" ? { output: { files: MADE.files } } : {}
    return { name: `inspect-${name}`, comment, input: { release, ...inspector }, expect, ...output }
  }
  const key = base64(flipped(MADE.releaseKey, 0))
  return [
    await make("right", "As it should be.", "ok", {}),
    await make("nobody", "No file for it.", refused, { listed: other.recipient }),
    await make("other", "Sealed to another.", refused, { to: other.recipient }),
    await make("context", "Of another release.", refused, { fields: { ctx: hex(OTHER_CTX) } }),
    await make("recipient", "Of another inspector.", refused, {
      fields: { recipient: other.recipient },
    }),
    await make("key-short", "A key of 31 bytes.", refused, { fields: { key: SHORT } }),
    await make("key-other", "Another key than the nodes will have.", "RELEASE_KEY_WRONG", {
      fields: { key },
    }),
  ]
}

export async function takeCases(): Promise<Case[]> {
  const [own, other, old] = [
    await identity("device"),
    await identity("other device"),
    await identity("old device", false),
  ]
  return [
    ...(await shareCases(own, other, old)),
    ...(await grantCases(await identity("node"), other)),
    ...(await inspectCases(await identity("inspector"), other)),
  ]
}
