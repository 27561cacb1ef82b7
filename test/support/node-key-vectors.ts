/**
 * The node keys and fingerprints among the vectors of protocol/fleet.md, for `fleet-vectors.ts`. Nothing
 * of the code under test is imported; recipients are age's own, with seeded randomness.
 */
import { decodeBech32, encodeBech32 } from "./bech32.ts"
import { hex, identity, lp, sha256 } from "./key-schedule-scene.ts"
import { peerIdOfKey } from "./peer-id.ts"
import { base64, hash } from "./release-vectors/scene.ts"
import { keyOf } from "./trust-vectors/keys.ts"
import { envelope, payloadOf } from "./trust-vectors/scene.ts"
import type { WriteVector } from "./vector-folder.ts"

type Fields = Record<string, unknown>
type Key = Pick<ReturnType<typeof keyOf>, "text" | "sign">

const KIND = "sealift:node-key/v1"
const FLEET = hash("fleet")
const DAY = 86_400_000
const SKEW = 5 * 60_000
const BEGIN = 1_795_000_000_000
const END = BEGIN + 14 * DAY
const NODE = keyOf("node")
const OTHER = keyOf("other node")
const PEER = peerIdOfKey(Buffer.from(NODE.text, "hex"))
const OTHER_PEER = peerIdOfKey(Buffer.from(OTHER.text, "hex"))
/** The neutral point: every key of small order has signatures that hold for nearly all messages. */
const WEAK = `01${"00".repeat(31)}`
const { recipient: RECIPIENT } = await identity("node key")
const { recipient: CLASSICAL } = await identity("classical node key", false)
const INPUT = { fleet: FLEET, peer: PEER, now: BEGIN + DAY, minCounter: 0 }
const LIFE = { counter: 8, recipient: RECIPIENT, notBefore: BEGIN, notAfter: END }

/** Writes all of them. */
export async function writeNodeKeyVectors(write: WriteVector): Promise<void> {
  const good = (name: string, comment: string, file: string, input: Fields = {}) =>
    write(`node-key-${name}`, comment, {
      input: { file, ...INPUT, ...input },
      expect: "ok",
      output: LIFE,
    })
  const bad = (name: string, comment: string, file: string, input: Fields = {}) =>
    write(`node-key-${name}`, comment, {
      input: { file, ...INPUT, ...input },
      expect: "NODE_KEY_INVALID",
    })
  writeGood(good)
  writeBadEnvelopes(bad)
  writeBadPredicates(bad)
  writeBadRecipients(bad)
  writeBadTimes(bad)
  writeCarried(write)
  for (const [name, peer] of Object.entries({ node: PEER, other: OTHER_PEER })) {
    write(`fingerprint-${name}`, "A node of a fleet.", {
      input: { fleet: FLEET, peer },
      expect: "ok",
      output: { fingerprint: fingerprintOf(peer) },
    })
  }
}

/** Node keys for the road. Whether each of them counts is seen when it is read. */
function writeCarried(write: WriteVector): void {
  const plain = { v: 1, fleet: FLEET, nodeKeys: [{ statement: FILE }] }
  const keys = (name: string, comment: string, fields: Fields, code = "NODE_KEY_INVALID") =>
    write(`node-keys-${name}`, comment, {
      input: { file: encode(fields), fleet: FLEET },
      expect: code,
    })
  const two = [{ statement: FILE }, { statement: base64(Buffer.from("none")), note: 1 }]
  for (const [name, comment, nodeKeys] of [
    ["ok", "The key of one node.", plain.nodeKeys],
    ["ok-two", "Two, of which one is none, with a field that nobody knows.", two],
  ] as const) {
    write(`node-keys-${name}`, comment, {
      input: { file: encode({ ...plain, nodeKeys, note: 1 }), fleet: FLEET },
      expect: "ok",
      output: { statements: nodeKeys.map(({ statement }) => statement) },
    })
  }
  keys("fleet", "Of another fleet.", { ...plain, fleet: hash("other") }, "FLEET_WRONG")
  keys("fleet-name", "No fleet id.", { ...plain, fleet: "lab" })
  keys("version", "A later version.", { ...plain, v: 2 })
  keys("none", "Of no node.", { ...plain, nodeKeys: [] })
  keys("text", "A text in the place of a key.", { ...plain, nodeKeys: [FILE] })
  keys("unpadded", "Without padding.", { ...plain, nodeKeys: [{ statement: "YQ" }] })
  const large = base64(Buffer.alloc(8 * 1024 + 1))
  keys("large", "A statement of more than 8 KiB.", { ...plain, nodeKeys: [{ statement: large }] })
}

type Write = (name: string, comment: string, file: string, input?: Fields) => void

function writeGood(good: Write): void {
  good("ok", "The key of a node, a day old.", FILE)
  good("ok-field", "A field that nobody knows.", fileOf({ note: 1 }))
  good("ok-least", "The lowest counter that the access list takes.", FILE, { minCounter: 8 })
  good("ok-first", "A key of a clock that is five minutes ahead.", FILE, { now: BEGIN - SKEW })
  good("ok-last", "The last moment of its life.", FILE, { now: END })
}

function writeBadEnvelopes(bad: Write): void {
  const { signatures, ...rest } = envelope(payloadOf(statementOf({})), [NODE])
  const flipped = Buffer.from(signatures[0]!.sig, "base64")
  flipped[0]! ^= 1
  const signed = (list: readonly Fields[]) => encode({ ...rest, signatures: list })
  bad("empty", "No bytes.", "")
  bad("large", "More than 8 KiB.", fileOf({ note: "x".repeat(5_000) }))
  bad("signature", "A bit of the signature.", signed([{ keyid: NODE.text, sig: base64(flipped) }]))
  bad("signatures-0", "Nobody has signed.", signed([]))
  bad("signatures-2", "Somebody else has signed too.", fileOf({}, [NODE, OTHER]))
  bad("signer-other", "Another node has signed.", fileOf({}, [OTHER]))
  bad(
    "signer-named",
    "Another node has signed under this one's name.",
    signed([
      { keyid: NODE.text, sig: envelope(payloadOf(statementOf({})), [OTHER]).signatures[0]?.sig },
    ]),
  )
  bad("peer", "The key of another node than was asked for.", FILE, { peer: OTHER_PEER })
  const weakKey = {
    text: WEAK,
    sign: () => Buffer.concat([Buffer.from(WEAK, "hex"), Buffer.alloc(32)]),
  }
  const weakPeer = peerIdOfKey(Buffer.from(WEAK, "hex"))
  bad("peer-weak", "A peer id of a key of small order.", fileOf({ peer: weakPeer }, [weakKey]), {
    peer: weakPeer,
  })
  bad("fleet", "Of another fleet.", fileOf({ fleet: hash("another fleet") }))
}

function writeBadPredicates(bad: Write): void {
  const statement = statementOf({})
  const subject = statement.subject as readonly Fields[]
  const about = (list: readonly Fields[]) => signedOf({ ...statement, subject: list })
  const otherKind = { ...statement, predicateType: "sealift:enrolment/v1" }
  const predicate = { ...(statement.predicate as Fields), peer: OTHER_PEER }
  bad("peer-named", "It names another node than its signer.", signedOf({ ...statement, predicate }))
  bad("kind", "A statement of another kind.", signedOf(otherKind))
  bad("critical", "A critical field that nobody knows.", fileOf({ x: 1, critical: ["x"] }))
  bad("subject-name", "Its subject is another node.", about([{ ...subject[0], name: OTHER_PEER }]))
  bad(
    "subject-digest",
    "Its subject is another recipient.",
    about([{ ...subject[0], digest: { sha256: hash("another") } }]),
  )
  bad("subjects-2", "It has two subjects.", about([...subject, ...subject]))
  bad(
    "peer-form",
    "No peer id.",
    fileOf({ peer: "QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N" }),
  )
  bad("counter-0", "Counters begin at 1.", fileOf({ counter: 0 }))
  bad("counter-text", "The counter is a text.", fileOf({ counter: "8" }))
  bad("counter-low", "Below what the access list takes.", FILE, { minCounter: 9 })
}

function writeBadRecipients(bad: Write): void {
  const key = decodeBech32(RECIPIENT)
  const zeroPoint = Buffer.concat([key.subarray(0, 1184), Buffer.alloc(32)])
  const last = RECIPIENT.endsWith("q") ? "p" : "q"
  const bads: readonly (readonly [string, string, string])[] = [
    ["classical", "A classical recipient.", CLASSICAL],
    ["checksum", "The last character is another.", `${RECIPIENT.slice(0, -1)}${last}`],
    ["swapped", "Only the subject's digest is of the recipient.", ""],
    ["point", "Its checksum holds, and its curve point is of small order.", recipientOf(zeroPoint)],
    ["short", "A byte is missing.", recipientOf(key.subarray(0, -1))],
  ]
  for (const [name, comment, recipient] of bads) {
    bad(`recipient-${name}`, comment, recipient === "" ? swapped() : fileOf({ recipient }))
  }
}

function writeBadTimes(bad: Write): void {
  bad("life-none", "It ends as it begins.", fileOf({ notAfter: BEGIN }), { now: BEGIN })
  bad("life-back", "It ends before it begins.", fileOf({ notAfter: BEGIN - 1 }), { now: BEGIN - 1 })
  bad("life-long", "A life of more than 30 days.", fileOf({ notAfter: BEGIN + 30 * DAY + 1 }))
  bad("life-text", "A time that is a text.", fileOf({ notAfter: `${END}` }))
  bad("early", "A key of a clock that is further ahead.", FILE, { now: BEGIN - SKEW - 1 })
  bad("ended", "Its life is over.", FILE, { now: END + 1 })
}

function statementOf(fields: Fields): Fields {
  const predicate = { fleet: FLEET, peer: PEER, ...LIFE, ...fields }
  const digest = { sha256: hash(predicate.recipient) }
  return {
    _type: "https://in-toto.io/Statement/v1",
    subject: [{ name: predicate.peer, digest }],
    predicateType: KIND,
    predicate,
  }
}

/** A recipient of an attacker beside the digest of the right one. */
function swapped(): string {
  const statement = statementOf({})
  const theirs = {
    ...(statement.predicate as Fields),
    recipient: recipientOf(Buffer.alloc(1216, 1)),
  }
  return signedOf({ ...statement, predicate: theirs })
}

const recipientOf = (key: Uint8Array): string => encodeBech32("age1pq", key)
const encode = (fields: Fields): string => base64(Buffer.from(JSON.stringify(fields)))
const signedOf = (statement: Fields, signers: readonly Key[] = [NODE]): string =>
  encode({ ...envelope(payloadOf(statement), signers as readonly ReturnType<typeof keyOf>[]) })
const fileOf = (fields: Fields, signers: readonly Key[] = [NODE]): string =>
  signedOf(statementOf(fields), signers)
const FILE = fileOf({})

function fingerprintOf(peer: string): string {
  const text = hex(sha256(lp("sealift/fingerprint/v1", Buffer.from(FLEET, "hex"), peer)))
  return text.slice(0, 32).replace(/(.{4})(?=.)/g, "$1 ")
}
