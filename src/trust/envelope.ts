/**
 * DSSE envelopes: bytes, and who has signed them (protocol/envelope.md).
 * @module
 */
import { encodeBase64 } from "../core/byte-text.ts"
import { assert } from "../core/errors.ts"
import { encodeJson } from "../core/json.ts"
import {
  invalidField,
  parseSection,
  type Section,
  sectionListField,
  textField,
} from "../core/section.ts"
import { parseBase64 } from "./base64.ts"
import { refusal, TrustError } from "./errors.ts"
import { isKeyText, type PublicKey } from "./public-key.ts"
import { isAccepted, SIGNATURE_BYTES } from "./signature.ts"
import type { Signer } from "./signing-key.ts"

/** The one type of payload: an in-toto statement. */
export const PAYLOAD_TYPE = "application/vnd.in-toto+json"
/** Largest file of an envelope. */
export const ENVELOPE_BYTES_MAX: number = 4 * 1024 * 1024
/** Largest payload: in base64 it leaves room in the file for all signatures. */
export const PAYLOAD_BYTES_MAX = 3_000_000
/** Most signatures of an envelope. */
export const SIGNATURES_MAX = 64
const PAYLOAD_TEXT_MAX = (PAYLOAD_BYTES_MAX / 3) * 4

/** One signature. `keyid` is a public key as text; whether it is a sound one is not known yet. */
export interface EnvelopeSignature {
  readonly keyid: string
  /** 64 bytes. */
  readonly sig: Uint8Array
}

/** What a file holds. Nothing in it is trusted before {@link verifyEnvelope}. */
export interface Envelope {
  readonly payloadType: string
  /** Used as it is: never encoded anew. */
  readonly payload: Uint8Array
  readonly signatures: readonly EnvelopeSignature[]
}

/**
 * Gives the exact bytes that every signature of an envelope covers.
 * @returns `"DSSEv1" SP len SP payloadType SP len SP payload`; lengths are decimal counts of bytes
 * @see protocol/envelope.md §4 (= DSSE 1.0.2, protocol.md, "PAE")
 */
export function preAuthEncoding(payloadType: string, payload: Uint8Array): Uint8Array {
  const typeBytes = Buffer.byteLength(payloadType)
  const head = Buffer.from(`DSSEv1 ${typeBytes} ${payloadType} ${payload.length} `)
  return Buffer.concat([head, payload])
}

/**
 * Puts a payload into an envelope that nobody has signed yet.
 * @throws {@link TrustError} `ENVELOPE_TOO_LARGE`
 */
export function envelopeOf(payload: Uint8Array): Envelope {
  if (payload.length > PAYLOAD_BYTES_MAX) throw tooLarge(`a payload of ${payload.length} bytes`)
  return { payloadType: PAYLOAD_TYPE, payload, signatures: [] }
}

/**
 * Adds a signature; an older one of the same key is left out.
 *
 * What the signer gives is checked: a wrong one would be ignored by every reader, and found late.
 *
 * @throws {@link TrustError} `ENVELOPE_TOO_LARGE` when there would be more than 64;
 * `SIGNATURE_WRONG` when what the signer gave is not accepted
 * @see protocol/envelope.md §5, signing
 */
export async function addSignature(
  envelope: Envelope,
  signer: Signer,
  options?: { readonly signal?: AbortSignal },
): Promise<Envelope> {
  const keyid = signer.publicKey
  const others = envelope.signatures.filter((signature) => signature.keyid !== keyid)
  if (others.length >= SIGNATURES_MAX) throw tooLarge(`${others.length + 1} signatures`)
  const bytes = preAuthEncoding(envelope.payloadType, envelope.payload)
  const sig = await signer.sign(bytes, options)
  if (!isAccepted({ key: keyid, bytes, signature: sig })) {
    throw new TrustError("SIGNATURE_WRONG", `the signer gave no signature by key ${keyid}`)
  }
  return { ...envelope, signatures: [...others, { keyid, sig }] }
}

/** Writes an envelope that has at least one signature as a file. */
export function encodeEnvelope({ payloadType, payload, signatures }: Envelope): Uint8Array {
  assert(signatures.length > 0, "an envelope that is written has a signature")
  return encodeJson({
    payload: encodeBase64(payload),
    payloadType,
    signatures: signatures.map(({ keyid, sig }) => ({ keyid, sig: encodeBase64(sig) })),
  })
}

/**
 * Reads a file: its form only.
 * @throws {@link TrustError} `ENVELOPE_TOO_LARGE`, `ENVELOPE_MALFORMED`
 * @see protocol/envelope.md §5, reading 1
 */
export function parseEnvelope(file: Uint8Array): Envelope {
  if (file.length > ENVELOPE_BYTES_MAX) throw tooLarge(`a file of ${file.length} bytes`)
  const refuse = refusal("ENVELOPE_MALFORMED")
  const section = parseSection(file, { bytesMax: ENVELOPE_BYTES_MAX, refuse })
  return {
    payload: parsePayload(section),
    payloadType: textField(section, "payloadType"),
    signatures: sectionListField(section, "signatures", { min: 1, max: SIGNATURES_MAX }).map(
      parseSignature,
    ),
  }
}

/**
 * Finds which of some keys have signed.
 *
 * Everything else in the envelope is ignored: other keys, and signatures that are not accepted.
 *
 * @param keys - the keys that may count
 * @returns at least one key
 * @throws {@link TrustError} `PAYLOAD_TYPE_WRONG`, `SIGNATURE_MISSING`
 * @see protocol/envelope.md §5, reading 2 and 3
 */
export function verifyEnvelope(
  { payloadType, payload, signatures }: Envelope,
  keys: ReadonlySet<PublicKey>,
): ReadonlySet<PublicKey> {
  if (payloadType !== PAYLOAD_TYPE) {
    const shown = JSON.stringify(payloadType.slice(0, 80))
    throw new TrustError("PAYLOAD_TYPE_WRONG", `payload of type ${shown}, expected ${PAYLOAD_TYPE}`)
  }
  const bytes = preAuthEncoding(payloadType, payload)
  const signers = new Set<PublicKey>()
  for (const { keyid, sig } of signatures) {
    if (!isOneOf(keyid, keys) || signers.has(keyid)) continue
    if (isAccepted({ key: keyid, bytes, signature: sig })) signers.add(keyid)
  }
  if (signers.size > 0) return signers
  const count = signatures.length
  throw new TrustError("SIGNATURE_MISSING", `none of ${count} signatures is by an expected key`)
}

function isOneOf(keyid: string, keys: ReadonlySet<PublicKey>): keyid is PublicKey {
  return keys.has(keyid as PublicKey)
}

function parsePayload(section: Section): Uint8Array {
  const text = textField(section, "payload")
  if (text.length > PAYLOAD_TEXT_MAX) throw tooLarge(`a payload of ${text.length} characters`)
  const payload = parseBase64(text)
  if (payload === undefined) throw invalidField(section, "payload", { reason: "no base64" })
  return payload
}

function parseSignature(section: Section): EnvelopeSignature {
  const keyid = textField(section, "keyid")
  if (!isKeyText(keyid)) throw invalidField(section, "keyid", { reason: "no public key" })
  const sig = parseBase64(textField(section, "sig"))
  if (sig?.length !== SIGNATURE_BYTES)
    throw invalidField(section, "sig", { reason: "no signature" })
  return { keyid, sig }
}

function tooLarge(what: string): TrustError {
  return new TrustError("ENVELOPE_TOO_LARGE", `the envelope has ${what}`)
}
