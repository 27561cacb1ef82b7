/**
 * Where everything lies in a sealed payload: lengths and chunks (protocol/sealed-payload.md §4, §7).
 * @module
 */
import { assert } from "../core/errors.ts"
import { BLOB_BYTES_MAX } from "../core/limits.ts"
import { SealError } from "./errors.ts"

/** Length of the nonce that begins a payload, in bytes. */
export const NONCE_BYTES = 16
/** Plaintext of every chunk but the last, in bytes. */
export const CHUNK_BYTES: number = 64 * 1024
/** Length of the tag that follows each chunk, in bytes. */
export const TAG_BYTES = 16
/** A chunk with its tag, in bytes. */
export const SEALED_CHUNK_BYTES: number = CHUNK_BYTES + TAG_BYTES
/** Largest plaintext in bytes: its ciphertext is a blob that may be stored (§7). */
export const PLAIN_BYTES_MAX: number = BLOB_BYTES_MAX - 2 ** 30

/** Gives the number of chunks of a plaintext. */
export function chunkCountOf(plainBytes: number): number {
  return Math.max(1, Math.ceil(plainBytes / CHUNK_BYTES))
}

/**
 * Gives the length of the ciphertext of a plaintext, in bytes.
 * @throws {@link SealError} `PAYLOAD_LENGTH_INVALID` when the plaintext is too long
 */
export function cipherBytesOf(plainBytes: number): number {
  assert(Number.isSafeInteger(plainBytes) && plainBytes >= 0, "a length is a whole number")
  if (plainBytes > PLAIN_BYTES_MAX) throw wrongLength(`a plaintext of ${plainBytes} bytes`)
  return NONCE_BYTES + plainBytes + TAG_BYTES * chunkCountOf(plainBytes)
}

/**
 * Gives the length of the plaintext of a ciphertext, in bytes.
 * @throws {@link SealError} `PAYLOAD_LENGTH_INVALID` when no plaintext gives that length
 */
export function plainBytesOf(cipherBytes: number): number {
  const chunkCount = Math.ceil((cipherBytes - NONCE_BYTES) / SEALED_CHUNK_BYTES)
  const plainBytes = cipherBytes - NONCE_BYTES - TAG_BYTES * chunkCount
  // §4: only the chunk of an empty file is empty, so a rest as long as a tag, or shorter, is none.
  const isRight = chunkCount > 0 && plainBytes >= 0 && chunkCountOf(plainBytes) === chunkCount
  if (!isRight || plainBytes > PLAIN_BYTES_MAX) throw wrongLength(`${cipherBytes} bytes`)
  return plainBytes
}

/** Some chunks in a row, and where they lie in both files. */
export interface ChunkRun {
  /** Chunks of the whole payload. */
  readonly chunkCount: number
  /** The first of the run, from 0. */
  readonly firstIndex: number
  readonly plainAt: number
  readonly plainBytes: number
  readonly cipherAt: number
  readonly cipherBytes: number
}

/**
 * Gives a run of chunks.
 * @param plainBytes - of the whole payload
 * @param range - its first chunk and the number of chunks; those beyond the end are left out
 */
export function chunkRun(
  plainBytes: number,
  { firstIndex, countMax }: { readonly firstIndex: number; readonly countMax: number },
): ChunkRun {
  const plainAt = firstIndex * CHUNK_BYTES
  const runBytes = Math.min(countMax * CHUNK_BYTES, plainBytes - plainAt)
  return {
    chunkCount: chunkCountOf(plainBytes),
    firstIndex,
    plainAt,
    plainBytes: runBytes,
    cipherAt: NONCE_BYTES + firstIndex * SEALED_CHUNK_BYTES,
    cipherBytes: runBytes + TAG_BYTES * chunkCountOf(runBytes),
  }
}

const wrongLength = (what: string): SealError =>
  new SealError("PAYLOAD_LENGTH_INVALID", `no sealed payload has ${what}`)
