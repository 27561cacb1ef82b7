/**
 * The life signs among the vectors of protocol/fleet.md, for `fleet-vectors.ts`. Nothing of the code under
 * test is imported.
 */
import { peerIdOfKey } from "./peer-id.ts"
import { base64, hash } from "./release-vectors/scene.ts"
import { keyOf } from "./trust-vectors/keys.ts"
import { envelope, payloadOf } from "./trust-vectors/scene.ts"
import type { WriteVector } from "./vector-folder.ts"

type Fields = Record<string, unknown>
type Key = ReturnType<typeof keyOf>

const KIND = "sealift:life-sign/v1"
const FLEET = hash("fleet")
const NODE = keyOf("node")
const OTHER = keyOf("other node")
const PEER = peerIdOfKey(Buffer.from(NODE.text, "hex"))
const OTHER_PEER = peerIdOfKey(Buffer.from(OTHER.text, "hex"))
const bootOf = (label: string) => hash(`boot ${label}`).slice(0, 32)
const BOOTS = Array.from({ length: 9 }, (_, index) => bootOf(`other ${index}`))
const LOG = { incarnation: 2, size: 41, root: hash("log") }
const SAID = {
  boot: bootOf("this"),
  others: BOOTS.slice(0, 2) as readonly unknown[],
  nodeKey: 8,
  root: 3,
  timestamp: 412,
  log: LOG as Fields,
}

/** Writes all of them. */
export function writeLifeSignVectors(write: WriteVector): void {
  const input = { fleet: FLEET, peer: PEER }
  const good = (name: string, comment: string, said: Partial<typeof SAID> & Fields = {}) => {
    const { boot, others, nodeKey, root, timestamp, log } = { ...SAID, ...said }
    write(`life-sign-${name}`, comment, {
      input: { file: fileOf(said), ...input },
      expect: "ok",
      output: { boot, others, nodeKey, root, timestamp, log },
    })
  }
  const bad = (name: string, comment: string, file: string, change: Fields = {}) =>
    write(`life-sign-${name}`, comment, {
      input: { file, ...input, ...change },
      expect: "LIFE_SIGN_INVALID",
    })
  good("ok", "A node that was told of two other boots.")
  good("ok-first", "A node that has just joined, without a node key, and with an empty log.", {
    ...{ others: [], nodeKey: 0, root: 1, timestamp: 1 },
    log: { incarnation: 1, size: 0, root: hash("") },
  })
  good("ok-others-8", "As many other boots as one may name.", { others: BOOTS.slice(0, 8) })
  good("ok-field", "A field that nobody knows.", { note: 1 })
  writeBadEnvelopes(bad)
  writeBadPredicates(bad)
}

type WriteBad = (name: string, comment: string, file: string, change?: Fields) => void

function writeBadEnvelopes(bad: WriteBad): void {
  const { signatures, ...rest } = envelope(payloadOf(statementOf({})), [NODE])
  const flipped = Buffer.from(signatures[0]!.sig, "base64")
  flipped[0]! ^= 1
  const signed = (list: readonly Fields[]) => encode({ ...rest, signatures: list })
  bad("empty", "No bytes.", "")
  bad("large", "More than 4 KiB.", fileOf({ note: "x".repeat(3_000) }))
  bad("signature", "A bit of the signature.", signed([{ keyid: NODE.text, sig: base64(flipped) }]))
  bad("signatures-0", "Nobody has signed.", signed([]))
  bad("signer-other", "Another node has signed.", fileOf({}, [OTHER]))
  bad("peer", "Of another node than is expected.", fileOf({}), { peer: OTHER_PEER })
  bad("fleet", "Of another fleet.", fileOf({ fleet: hash("another fleet") }))
  const otherKind = { ...statementOf({}), predicateType: "sealift:node-key/v1" }
  bad("kind", "A statement of another kind.", signedOf(otherKind))
  bad("critical", "A critical field that nobody knows.", fileOf({ x: 1, critical: ["x"] }))
}

function writeBadPredicates(bad: WriteBad): void {
  const statement = statementOf({})
  const subject = statement.subject as readonly Fields[]
  const about = (list: readonly Fields[]) => signedOf({ ...statement, subject: list })
  const predicate = { ...(statement.predicate as Fields), peer: OTHER_PEER }
  bad("peer-named", "It names another node than its signer.", signedOf({ ...statement, predicate }))
  bad("subject-name", "Its subject is another node.", about([{ ...subject[0], name: OTHER_PEER }]))
  const digest = { sha256: hash(bootOf("another")) }
  bad("subject-digest", "Its subject is another boot.", about([{ ...subject[0], digest }]))
  bad("subjects-2", "It has two subjects.", about([...subject, ...subject]))
  bad("boot-short", "A boot id of 15 bytes.", fileOf({ boot: SAID.boot.slice(2) }))
  bad("boot-upper", "A boot id in capitals.", fileOf({ boot: SAID.boot.toUpperCase() }))
  bad("others-9", "More other boots than one may name.", fileOf({ others: BOOTS }))
  bad("others-twice", "One twice.", fileOf({ others: [BOOTS[0], BOOTS[0]] }))
  bad("others-own", "It names its own boot as another.", fileOf({ others: [SAID.boot] }))
  bad("others-form", "One of them is no boot id.", fileOf({ others: ["boot"] }))
  bad("node-key-text", "A counter that is a text.", fileOf({ nodeKey: "8" }))
  bad("timestamp-negative", "A version below 0.", fileOf({ timestamp: -1 }))
  bad("log-none", "No log.", fileOf({ log: undefined }))
  bad("log-incarnation-0", "Incarnations begin at 1.", fileOf({ log: { ...LOG, incarnation: 0 } }))
  const root = LOG.root.slice(2)
  bad("log-root-short", "A root of 31 bytes.", fileOf({ log: { ...LOG, root } }))
}

function statementOf(fields: Fields): Fields {
  const predicate: Fields = { fleet: FLEET, peer: PEER, ...SAID, ...fields }
  return {
    _type: "https://in-toto.io/Statement/v1",
    subject: [{ name: predicate.peer, digest: { sha256: hash(String(predicate.boot)) } }],
    predicateType: KIND,
    predicate,
  }
}

const encode = (fields: Fields): string => base64(Buffer.from(JSON.stringify(fields)))
const signedOf = (statement: Fields, signers: readonly Key[] = [NODE]): string =>
  encode({ ...envelope(payloadOf(statement), signers) })
const fileOf = (fields: Fields, signers: readonly Key[] = [NODE]): string =>
  signedOf(statementOf(fields), signers)
