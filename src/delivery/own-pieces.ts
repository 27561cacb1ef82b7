/**
 * What this node's own origin said of the pieces of one blob: their SHA-256.
 * @module
 */
import { Bitfield } from "../core/bitfield.ts"
import { SHA256_BYTES } from "../core/digest.ts"
import type { PartialBlob } from "../store/store.ts"

/** The pieces that came from the own origin, kept or not. 32 bytes each. */
export class OwnPieces {
  readonly #known: Bitfield
  readonly #hashes: Uint8Array

  constructor(pieceCount: number) {
    this.#known = new Bitfield(pieceCount)
    this.#hashes = new Uint8Array(pieceCount * SHA256_BYTES)
  }

  /** How many pieces came. */
  get count(): number {
    return this.#known.count
  }

  /** @param sha256 - 32 bytes */
  note(index: number, sha256: Uint8Array): void {
    this.#known.add(index)
    this.#hashes.set(sha256, index * SHA256_BYTES)
  }

  /** Whether a piece is here and has the very bytes that the own origin sent, whoever brought it. */
  bears(blob: PartialBlob, index: number): boolean {
    if (!this.#known.has(index) || !blob.pieces.has(index)) return false
    const actual = blob.pieceSha256(index)
    if (actual === undefined) return false
    const start = index * SHA256_BYTES
    return Buffer.compare(actual, this.#hashes.subarray(start, start + SHA256_BYTES)) === 0
  }
}
