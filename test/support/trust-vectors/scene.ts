/** What a case of protocol/envelope.md is made of: statements, envelopes, and who reads them. */
import { createHash } from "node:crypto"
import { keyOf, type VectorCase } from "./keys.ts"

type Fields = Record<string, unknown>
type Key = ReturnType<typeof keyOf>

export const TYPE = "application/vnd.in-toto+json"
export const KIND = "sealift:withdrawal/v1"
export const OTHER_KIND = "sealift:approval/v1"
export const SHA256: string = createHash("sha256").update("a subject").digest("hex")
export const FLEET: string = createHash("sha256").update("a fleet").digest("hex")
export const ALICE: Key = keyOf("alice")
export const BOB: Key = keyOf("bob")
/** Nobody expects her. */
export const CAROL: Key = keyOf("carol")

export const STATEMENT: Fields = draft({})

/** A right statement, with other fields in its predicate. */
export function draft(fields: Fields): Fields {
  return {
    _type: "https://in-toto.io/Statement/v1",
    subject: [{ name: "acme/model@1", digest: { sha256: SHA256 } }],
    predicateType: KIND,
    predicate: { fleet: FLEET, reason: "wrong weights", ...fields },
  }
}

/** Arrays in arrays. */
export function nested(depth: number): unknown {
  return depth === 0 ? 1 : [nested(depth - 1)]
}

export const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString("base64")

export function payloadOf(statement: Fields | string | Buffer): Buffer {
  if (Buffer.isBuffer(statement)) return statement
  return Buffer.from(typeof statement === "string" ? statement : JSON.stringify(statement))
}

/** DSSE 1.0.2, protocol.md. */
export function pae(type: string, payload: Buffer): Buffer {
  const parts = ["DSSEv1 ", Buffer.byteLength(type), " ", type, " ", payload.length, " "]
  return Buffer.concat([Buffer.from(parts.join("")), payload])
}

export interface EnvelopeFields {
  readonly payload: string
  readonly payloadType: string
  readonly signatures: readonly { readonly keyid: string; readonly sig: string }[]
}

export function envelope(
  payload: Buffer,
  signers: readonly Key[] = [ALICE],
  type: string = TYPE,
): EnvelopeFields {
  const bytes = pae(type, payload)
  const signatures = signers.map((key) => ({ keyid: key.text, sig: base64(key.sign(bytes)) }))
  return { payload: base64(payload), payloadType: type, signatures }
}

export function fileOf(fields: unknown): Buffer {
  return Buffer.from(JSON.stringify(fields))
}

/** A file, in one of three ways, and what its reader expects. */
export interface Scene {
  readonly payload?: Buffer
  readonly envelope?: unknown
  readonly file?: Buffer
  /** `count` times the text `text` goes into the file before its byte `at`. */
  readonly insert?: { readonly at: number; readonly text: string; readonly count: number }
  readonly keys?: readonly string[]
  readonly kinds?: Readonly<Record<string, readonly string[]>>
  /** The payload that is read, where it is not the file's own. */
  readonly readPayload?: Buffer
}

/** One case. `outcome` is a code, or the keys of those who have signed. */
export function read(
  name: string,
  comment: string,
  scene: Scene,
  outcome: string | readonly string[],
): VectorCase {
  const fields = scene.envelope ?? envelope(scene.payload ?? payloadOf(STATEMENT))
  const file = scene.file ?? fileOf(fields)
  const input = {
    file: base64(file),
    ...(scene.insert === undefined ? {} : { insert: scene.insert }),
    keys: scene.keys ?? [ALICE.text],
    fleet: FLEET,
    kinds: scene.kinds ?? { [KIND]: ["reason"] },
  }
  const kept = { page: "envelope", case: `read-${name}`, comment, input }
  if (typeof outcome === "string") return { ...kept, expect: outcome }
  const payload = scene.readPayload ?? Buffer.from(JSON.parse(file.toString()).payload, "base64")
  const digest = `sha256:${createHash("sha256").update(payload).digest("hex")}`
  const kind: string = payload.includes(OTHER_KIND) ? OTHER_KIND : KIND
  return { ...kept, expect: "ok", output: { kind, digest, signers: outcome.toSorted() } }
}
