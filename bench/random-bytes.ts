/**
 * Random bytes that a seed decides, at the speed of AES: the same seed gives the same file anywhere.
 * @module
 */
import { createCipheriv, createHash } from "node:crypto"

const CHUNK_BYTES = 1024 * 1024
const ZEROS = new Uint8Array(CHUNK_BYTES)

/** Gives `sizeBytes` bytes in chunks of at most 1 MiB: the AES-128-CTR stream under a hash of the seed. */
export function* randomChunks(sizeBytes: number, seed: number): Generator<Uint8Array> {
  const key = createHash("sha256").update(`sealift-bench ${seed}`).digest().subarray(0, 16)
  const cipher = createCipheriv("aes-128-ctr", key, new Uint8Array(16))
  for (let left = sizeBytes; left > 0; left -= CHUNK_BYTES) {
    yield cipher.update(left < CHUNK_BYTES ? ZEROS.subarray(0, left) : ZEROS)
  }
}
