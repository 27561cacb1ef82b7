/** Bytes for tests of blobs: the same for the same seed, in this process and in another. */
import { pieceLayout, pieceRange } from "../../src/core/piece.ts"

/** Gives bytes that look random and are the same for the same seed. */
export function bytesOf(sizeBytes: number, seed: number): Uint8Array {
  const bytes = new Uint8Array(sizeBytes)
  let state = (seed * 2_654_435_761 + 12_345) >>> 0 || 1
  for (let index = 0; index < sizeBytes; index++) {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    bytes[index] = state
  }
  return bytes
}

/** Gives bytes as a stream of parts. */
export async function* streamOf(
  bytes: Uint8Array,
  partBytes: number = 65_536,
): AsyncGenerator<Uint8Array> {
  for (let start = 0; start < bytes.length; start += partBytes) {
    yield bytes.subarray(start, start + partBytes)
  }
}

/** Gives the bytes of one piece. */
export function pieceOf(bytes: Uint8Array, index: number): Uint8Array {
  const { start, end } = pieceRange(pieceLayout(bytes.length), index)
  return bytes.subarray(start, end)
}
