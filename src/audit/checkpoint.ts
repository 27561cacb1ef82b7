/**
 * Checkpoints: a log's size and root, signed by its node (C2SP tlog-checkpoint and signed-note;
 * protocol/audit-log.md §4).
 * @module
 */
import { createHash } from "node:crypto"
import { encodeBase64, parseBase64 } from "../core/byte-text.ts"
import { parseCountText } from "../core/count-text.ts"
import { AuditError } from "./errors.ts"
import { HASH_BYTES } from "./log-tile.ts"

/** Largest checkpoint with all of its signatures. */
export const CHECKPOINT_BYTES_MAX: number = 16 * 1024
const SIGNATURES_MAX = 32
const NODE_LOG = "sealift.log/"
const NAME_CHARACTERS_MAX = 256
const ED25519 = 1
const KEY_ID_BYTES = 4
const SIGNATURE_BYTES = 64
/** `— NAME BASE64`. */
const SIGNATURE_LINE = /^\u2014 (?<name>[^ +\n]+) (?<value>\S+)$/u

/** What a checkpoint says. */
export interface Checkpoint {
  /** Of which log. */
  readonly origin: string
  readonly size: number
  readonly root: Uint8Array
}

/** One signature under a note. */
export interface NoteSignature {
  readonly name: string
  readonly keyId: Uint8Array
  readonly signature: Uint8Array
}

/** A checkpoint with whatever has been signed under it; nothing of it is checked yet. */
export interface SignedCheckpoint extends Checkpoint {
  /** The bytes that the signatures cover. */
  readonly text: Uint8Array
  readonly signatures: readonly NoteSignature[]
}

/**
 * Gives the name of a node's log, which is also the name of its key.
 * @param incarnation - each has a name of its own, so that none is taken for a fork of another
 */
export function originOf(peer: string, incarnation: number = 1): string {
  return incarnation === 1 ? `${NODE_LOG}${peer}` : `${NODE_LOG}${peer}/${incarnation}`
}

/** Gives whose log has a name, and which of its logs; undefined: it is the name of something else. */
export function logOfOrigin(
  origin: string,
): { readonly peer: string; readonly incarnation: number } | undefined {
  if (!origin.startsWith(NODE_LOG)) return undefined
  const [peer = "", ...rest] = origin.slice(NODE_LOG.length).split("/")
  if (rest.length === 0) return { peer, incarnation: 1 }
  const incarnation = parseCountText(rest.join("/"))
  if (incarnation === undefined || incarnation === 1) return undefined
  return { peer, incarnation }
}

/** Writes what is signed. */
export function checkpointText({ origin, size, root }: Checkpoint): Uint8Array {
  return Buffer.from(`${origin}\n${size}\n${encodeBase64(root)}\n`)
}

/**
 * Gives the id of a key in a note: the beginning of SHA-256(name ‖ 0x0A ‖ type ‖ key).
 * @param type - of C2SP signed-note; 1, plain Ed25519, unless told
 */
export function noteKeyId(name: string, publicKey: Uint8Array, type: number = ED25519): Uint8Array {
  const hash = createHash("sha256").update(`${name}\n`).update(Uint8Array.of(type))
  return hash.update(publicKey).digest().subarray(0, KEY_ID_BYTES)
}

/** Writes a signed checkpoint. */
export function encodeCheckpoint(
  checkpoint: Checkpoint,
  signatures: readonly NoteSignature[],
): Uint8Array {
  const lines = signatures.map(encodeSignature)
  return Buffer.concat([checkpointText(checkpoint), Buffer.from(`\n${lines.join("")}`)])
}

/**
 * Signs a checkpoint as its log, whose name is also that of its key.
 * @param by - its Ed25519 key, 32 bytes, and who signs with it
 * @returns the note
 */
export async function signCheckpoint(
  checkpoint: Checkpoint,
  by: { readonly publicKey: Uint8Array; sign(bytes: Uint8Array): Promise<Uint8Array> },
): Promise<Uint8Array> {
  const { origin: name } = checkpoint
  const signature = await by.sign(checkpointText(checkpoint))
  const keyId = noteKeyId(name, by.publicKey)
  return encodeCheckpoint(checkpoint, [{ name, keyId, signature }])
}

/** Writes the line of a signature, with its end. */
export function encodeSignature({ name, keyId, signature }: NoteSignature): string {
  return `\u2014 ${name} ${encodeBase64(Buffer.concat([keyId, signature]))}\n`
}

/**
 * Reads a signed checkpoint. Signatures of other kinds are kept as they are.
 * @throws {@link AuditError} `LOG_CHECKPOINT_INVALID`
 */
export function parseCheckpoint(bytes: Uint8Array): SignedCheckpoint {
  if (bytes.length > CHECKPOINT_BYTES_MAX) throw invalid(`${bytes.length} bytes`)
  const note = decode(bytes)
  const end = note.indexOf("\n\n")
  if (end < 0) throw invalid("it has no empty line before its signatures")
  const [origin = "", sizeText = "", rootText = "", ...extensions] = note.slice(0, end).split("\n")
  if (extensions.length > 0) throw invalid("it has lines that nobody here knows")
  const size = sizeText === "0" ? 0 : parseCountText(sizeText)
  const root = parseBase64(rootText)
  if (origin === "" || origin.length > NAME_CHARACTERS_MAX) throw invalid("its origin is none")
  if (size === undefined) throw invalid("its size is no number")
  if (root?.length !== HASH_BYTES || encodeBase64(root) !== rootText) throw invalid("its root")
  const lines = note.slice(end + 2).split("\n")
  if (lines.pop() !== "" || lines.length === 0 || lines.length > SIGNATURES_MAX) {
    throw invalid(`it has not 1 to ${SIGNATURES_MAX} lines of signatures`)
  }
  const text = checkpointText({ origin, size, root })
  return { origin, size, root, text, signatures: lines.map(parseSignature) }
}

/** Reads the line of a signature, without its end. @throws {@link AuditError} `LOG_CHECKPOINT_INVALID` */
export function parseSignature(line: string): NoteSignature {
  const { name, value } = SIGNATURE_LINE.exec(line)?.groups ?? {}
  const bytes = value === undefined ? undefined : parseBase64(value)
  if (name === undefined || bytes === undefined || bytes.length <= KEY_ID_BYTES) {
    throw invalid("a line of its signatures is none")
  }
  return { name, keyId: bytes.subarray(0, KEY_ID_BYTES), signature: bytes.subarray(KEY_ID_BYTES) }
}

/** Gives the signatures of one key under a checkpoint that have its length; each is to be checked. */
export function signaturesOf(
  checkpoint: SignedCheckpoint,
  name: string,
  publicKey: Uint8Array,
): readonly Uint8Array[] {
  const keyId = noteKeyId(name, publicKey)
  return signaturesUnder(checkpoint, { name, keyId, sizeBytes: SIGNATURE_BYTES })
}

/** Gives the signatures under a name and a key id that have a length. */
export function signaturesUnder(
  { signatures }: Pick<SignedCheckpoint, "signatures">,
  by: { readonly name: string; readonly keyId: Uint8Array; readonly sizeBytes: number },
): readonly Uint8Array[] {
  return signatures
    .filter((one) => one.name === by.name && Buffer.compare(one.keyId, by.keyId) === 0)
    .map(({ signature }) => signature)
    .filter(({ length }) => length === by.sizeBytes)
}

function decode(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch (cause) {
    throw invalid("it is no UTF-8", cause)
  }
}

function invalid(reason: string, cause?: unknown): AuditError {
  return new AuditError("LOG_CHECKPOINT_INVALID", `the checkpoint is refused: ${reason}`, { cause })
}
