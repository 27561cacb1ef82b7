/**
 * The encrypted bytes of one file: keys and chunks (protocol/sealed-payload.md).
 * @module
 */
import {
  createCipheriv,
  createDecipheriv,
  createSecretKey,
  hkdfSync,
  type KeyObject,
  randomBytes,
} from "node:crypto"
import { assert } from "../core/errors.ts"
import { SealError } from "./errors.ts"
import {
  CHUNK_BYTES,
  type ChunkRun,
  chunkRun,
  cipherBytesOf,
  NONCE_BYTES,
  plainBytesOf,
  SEALED_CHUNK_BYTES,
  TAG_BYTES,
} from "./payload-layout.ts"

/** Length of a file key in bytes. */
export const FILE_KEY_BYTES = 16

const CIPHER = "chacha20-poly1305"
const PAYLOAD_KEY_BYTES = 32
const CHUNK_NONCE_BYTES = 12
const TAG_OPTIONS = { authTagLength: TAG_BYTES } as const

/** Gives a fresh file key: one for each plaintext (§8). */
export function newFileKey(): Uint8Array {
  return randomBytes(FILE_KEY_BYTES)
}

/** Gives a fresh nonce: one for each use of a file key (§8). */
export function newNonce(): Uint8Array {
  return randomBytes(NONCE_BYTES)
}

/**
 * Gives the key of a payload's chunks.
 * @param fileKey - 16 bytes
 * @param nonce - the first 16 bytes of the payload
 */
export function payloadKey(fileKey: Uint8Array, nonce: Uint8Array): KeyObject {
  assert(fileKey.length === FILE_KEY_BYTES, "a file key has 16 bytes")
  assert(nonce.length === NONCE_BYTES, "a nonce has 16 bytes")
  const bytes = new Uint8Array(hkdfSync("sha256", fileKey, nonce, "payload", PAYLOAD_KEY_BYTES))
  // Cipher objects take a key object at a tenth of the price of bytes, and it can go to a thread.
  const key = createSecretKey(bytes)
  bytes.fill(0)
  return key
}

/**
 * Seals the chunks of a run.
 * @param texts - `source` is their plaintext, `target` where chunks and tags go; both exactly as long
 * as the run says
 */
export function sealChunks(
  key: KeyObject,
  run: ChunkRun,
  { source, target }: { readonly source: Uint8Array; readonly target: Uint8Array },
): void {
  assert(source.length === run.plainBytes, "the source is the plaintext of the run")
  assert(target.length === run.cipherBytes, "the target fits the ciphertext of the run")
  let index = run.firstIndex
  for (let from = 0, to = 0; to < target.length; from += CHUNK_BYTES, to += SEALED_CHUNK_BYTES) {
    const plain = source.subarray(from, from + CHUNK_BYTES)
    const cipher = createCipheriv(CIPHER, key, chunkNonce(run, index++), TAG_OPTIONS)
    const sealed = cipher.update(plain)
    cipher.final()
    target.set(sealed, to)
    target.set(cipher.getAuthTag(), to + plain.length)
    letGo(sealed)
  }
}

/**
 * Opens the chunks of a run, one after the other.
 * @param source - chunks and tags, exactly as long as the run says
 * @returns the plaintext of each, in memory of its own; {@link letGo} frees it
 * @throws {@link SealError} `PAYLOAD_CORRUPT` at the chunk at fault, of which nothing is given out
 */
export function* openChunks(
  key: KeyObject,
  run: ChunkRun,
  source: Uint8Array,
): Generator<Uint8Array<ArrayBuffer>, void, void> {
  assert(source.length === run.cipherBytes, "the source is the ciphertext of the run")
  let index = run.firstIndex
  for (let from = 0; from < source.length; from += SEALED_CHUNK_BYTES) {
    const sealed = source.subarray(from, from + SEALED_CHUNK_BYTES)
    yield openChunk(key, run, { sealed, index: index++ })
  }
}

/**
 * Frees the memory of a cipher's answer at once. The collector comes so late that a gigabyte a
 * second of answers makes the process grow, and fresh memory for each is a third slower.
 */
export function letGo(answer: Uint8Array<ArrayBuffer>): void {
  // Never of a part of something larger, such as Node's pool of small buffers.
  if (answer.byteLength === answer.buffer.byteLength) answer.buffer.transfer(0)
}

/**
 * Seals a plaintext in memory.
 * @param nonce - fresh unless a test says otherwise
 * @returns the payload, nonce and all
 * @throws {@link SealError} `PAYLOAD_LENGTH_INVALID` when the plaintext is too long
 */
export function sealPayload(
  plain: Uint8Array,
  { fileKey, nonce = newNonce() }: { readonly fileKey: Uint8Array; readonly nonce?: Uint8Array },
): Uint8Array {
  const payload = new Uint8Array(cipherBytesOf(plain.length))
  payload.set(nonce)
  const target = payload.subarray(NONCE_BYTES)
  sealChunks(payloadKey(fileKey, nonce), wholeRun(plain.length), { source: plain, target })
  return payload
}

/**
 * Opens a payload in memory.
 * @returns the plaintext, all of it
 * @throws {@link SealError} `PAYLOAD_LENGTH_INVALID`, `PAYLOAD_CORRUPT`
 */
export function openPayload(
  payload: Uint8Array,
  { fileKey }: { readonly fileKey: Uint8Array },
): Uint8Array {
  const plain = new Uint8Array(plainBytesOf(payload.length))
  const key = payloadKey(fileKey, payload.subarray(0, NONCE_BYTES))
  let at = 0
  for (const chunk of openChunks(key, wholeRun(plain.length), payload.subarray(NONCE_BYTES))) {
    plain.set(chunk, at)
    at += chunk.length
    letGo(chunk)
  }
  return plain
}

const wholeRun = (plainBytes: number): ChunkRun =>
  chunkRun(plainBytes, { firstIndex: 0, countMax: Number.POSITIVE_INFINITY })

/** Gives the plaintext of a chunk whose tag is right. @throws {@link SealError} `PAYLOAD_CORRUPT` */
function openChunk(
  key: KeyObject,
  run: ChunkRun,
  { sealed, index }: { readonly sealed: Uint8Array; readonly index: number },
): Uint8Array<ArrayBuffer> {
  const decipher = createDecipheriv(CIPHER, key, chunkNonce(run, index), TAG_OPTIONS)
  const end = sealed.length - TAG_BYTES
  decipher.setAuthTag(sealed.subarray(end))
  const plain = decipher.update(sealed.subarray(0, end))
  try {
    decipher.final()
  } catch (cause) {
    plain.fill(0)
    const message = `chunk ${index} of ${run.chunkCount} does not open`
    throw new SealError("PAYLOAD_CORRUPT", message, { cause })
  }
  return plain
}

/** Gives the nonce of a chunk: its index as 11 bytes, big-endian, and whether it is the last (§4). */
function chunkNonce({ chunkCount }: ChunkRun, index: number): Uint8Array {
  const nonce = new Uint8Array(CHUNK_NONCE_BYTES)
  // §7: an index is below 2^24, so the last four of its bytes hold it.
  new DataView(nonce.buffer).setUint32(CHUNK_NONCE_BYTES - 5, index)
  nonce[CHUNK_NONCE_BYTES - 1] = index === chunkCount - 1 ? 1 : 0
  return nonce
}
