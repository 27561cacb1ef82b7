/**
 * Node-key statements: which recipient a node can open for, and until when (protocol/fleet.md §4, §5,
 * the node key).
 * @module
 */

import { parseHex } from "../core/byte-text.ts"
import { digestOf } from "../core/digest.ts"
import { assert, messageOf } from "../core/errors.ts"
import { countField, type Section } from "../core/section.ts"
import { peerIdOf } from "../net/identity.ts"
import type { PeerId } from "../net/net.ts"
import { sealAgeFile } from "../seal/age-file.ts"
import { verifyRecipient } from "../seal/age-key.ts"
import { addSignature, encodeEnvelope, envelopeOf, parseEnvelope } from "../trust/envelope.ts"
import type { Signer } from "../trust/signing-key.ts"
import { encodeStatement, readStatement, type Statement } from "../trust/statement.ts"
import { peerField, recipientField } from "./access-field.ts"
import { FleetError } from "./errors.ts"
import type { StatedKey } from "./node-key-port.ts"
import { publicKeyOfPeer } from "./peer-signer.ts"

/** The kind of the statement. */
export const NODE_KEY_KIND = "sealift:node-key/v1"
/** Longest life of a node key. */
export const NODE_KEY_LIFE_MS_MAX: number = 30 * 86_400_000
/** How far the clock of whoever made a key may be ahead of the reader's. */
export const NODE_KEY_SKEW_MS: number = 5 * 60_000
/** Largest file of a statement; one with an `age1pq1…` recipient has less than 4 KiB. */
export const NODE_KEY_BYTES_MAX: number = 8 * 1024
const FIELDS: readonly string[] = ["peer", "counter", "recipient", "notBefore", "notAfter"]

/** A node key with its whole life. */
export interface NodeKey extends StatedKey {
  readonly notBeforeMs: number
}

/** What a reader of a statement knows already. */
export interface ExpectedNodeKey {
  /** The fleet id. */
  readonly fleet: string
  /** Whose key it must be; undefined: of whoever signed it. */
  readonly peer?: PeerId | undefined
}

/** When a node key counts. */
export interface NodeKeyTerms {
  /** Trusted time, milliseconds since 1970. */
  readonly nowMs: number
  /** Of the access list: keys with a lower counter are refused; 0 unless told. */
  readonly minCounter?: number | undefined
}

/**
 * States a node key.
 * @param signer - the node's own identity
 * @throws TrustError `SIGNATURE_WRONG`
 */
export async function signNodeKey(
  key: Omit<NodeKey, "statement">,
  { fleet, signer }: { readonly fleet: string; readonly signer: Signer },
): Promise<NodeKey> {
  const { peer, counter, recipient, notBeforeMs, notAfterMs } = key
  assert(isLife(key), "a node key lives, and not too long")
  const payload = encodeStatement({
    kind: NODE_KEY_KIND,
    fleet,
    subject: [{ name: peer, digest: digestOf(Buffer.from(recipient)) }],
    predicate: { peer, counter, recipient, notBefore: notBeforeMs, notAfter: notAfterMs },
  })
  const envelope = await addSignature(envelopeOf(payload), signer)
  return { ...key, statement: encodeEnvelope(envelope) }
}

/**
 * Reads a node key that came from outside, and checks that it counts now and can be sealed to.
 * @throws {@link FleetError} `NODE_KEY_INVALID`
 * @see protocol/fleet.md §5, reading a node key
 */
export async function readNodeKey(
  file: Uint8Array,
  { nowMs, minCounter, ...expected }: ExpectedNodeKey & NodeKeyTerms,
): Promise<NodeKey> {
  const key = parseNodeKey(file, expected) // steps 1 to 4
  verifyNodeKeyCounts(key, { nowMs, minCounter }) // step 5
  await verifySealsTo(key.recipient) // step 6
  return key
}

/**
 * Reads what a node has signed. Whether it counts now is not looked at.
 * @throws {@link FleetError} `NODE_KEY_INVALID`
 */
export function parseNodeKey(file: Uint8Array, expected: ExpectedNodeKey): NodeKey {
  if (file.length > NODE_KEY_BYTES_MAX) throw invalidNodeKey(`${file.length} bytes`)
  const peer = signerOf(file)
  if (peer !== (expected.peer ?? peer))
    throw invalidNodeKey(`${peer} signed a key of ${expected.peer}`)
  const { fleet } = expected
  try {
    const keys = new Set([publicKeyOfPeer(peer)])
    const statement = readStatement(file, { keys, fleet, kinds: { [NODE_KEY_KIND]: FIELDS } })
    return keyOf(statement, { peer, file })
  } catch (cause) {
    if (cause instanceof FleetError) throw cause
    throw invalidNodeKey(messageOf(cause), cause)
  }
}

/**
 * Checks that now is within a key's life, and that the access list has not ended it.
 * @throws {@link FleetError} `NODE_KEY_INVALID`
 */
export function verifyNodeKeyCounts(key: NodeKey, { nowMs, minCounter = 0 }: NodeKeyTerms): void {
  const { peer, counter, notBeforeMs, notAfterMs } = key
  if (counter < minCounter) {
    throw invalidNodeKey(
      `key ${counter} of ${peer}, and the access list takes none below ${minCounter}`,
    )
  }
  if (nowMs < notBeforeMs - NODE_KEY_SKEW_MS || nowMs > notAfterMs) {
    throw invalidNodeKey(`key ${counter} of ${peer} counts from ${notBeforeMs} to ${notAfterMs}`)
  }
}

/** Gives the error of a node key that is refused. */
export function invalidNodeKey(reason: string, cause?: unknown): FleetError {
  return new FleetError("NODE_KEY_INVALID", `a node key is refused: ${reason}`, { cause })
}

/** Step 1. A node key is signed by one node, so that nobody else's signature costs a check. */
function signerOf(file: Uint8Array): PeerId {
  try {
    const { signatures } = parseEnvelope(file)
    const [signature] = signatures
    const raw = parseHex(signature?.keyid ?? "")
    if (raw !== undefined && signatures.length === 1) return peerIdOf(raw)
  } catch (cause) {
    throw invalidNodeKey(messageOf(cause), cause)
  }
  throw invalidNodeKey("not one signature")
}

/** Steps 3 and 4. */
function keyOf(
  { subject, predicate }: Statement,
  { peer, file }: { readonly peer: PeerId; readonly file: Uint8Array },
): NodeKey {
  const section: Section = { fields: predicate, place: "predicate.", refuse: invalidNodeKey }
  const key = {
    peer: peerField(section, "peer"),
    counter: countField(section, "counter", { min: 1 }),
    recipient: recipientField(section, "recipient"),
    notBeforeMs: countField(section, "notBefore", { min: 1 }),
    notAfterMs: countField(section, "notAfter", { min: 1 }),
    statement: file,
  }
  if (key.peer !== peer) throw invalidNodeKey(`it names ${key.peer}, and ${peer} has signed it`)
  const [about] = subject
  const isAbout = about?.name === peer && about.digest === digestOf(Buffer.from(key.recipient))
  if (!isAbout || subject.length > 1)
    throw invalidNodeKey("its subject is not the node with its recipient")
  if (!isLife(key)) throw invalidNodeKey(`a life from ${key.notBeforeMs} to ${key.notAfterMs}`)
  return key
}

function isLife({ notBeforeMs, notAfterMs }: Omit<NodeKey, "statement">): boolean {
  return notBeforeMs < notAfterMs && notAfterMs - notBeforeMs <= NODE_KEY_LIFE_MS_MAX
}

/**
 * Step 6: seals to a recipient once. Its checksum may hold where its point is none, and then it would
 * stop an approval for many nodes.
 * @throws {@link FleetError} `NODE_KEY_INVALID`
 */
export async function verifySealsTo(recipient: string): Promise<void> {
  try {
    verifyRecipient(recipient, { isPostQuantum: true })
    await sealAgeFile(new Uint8Array(0), recipient)
  } catch (cause) {
    throw invalidNodeKey("nothing can be sealed to its recipient", cause)
  }
}
