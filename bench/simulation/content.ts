/**
 * The blob of a simulation. Its pieces differ in their first bytes, which stand in for a digest, and all
 * stores share its bytes.
 * @module
 */
import { type Digest, digestOf } from "../../src/core/digest.ts"
import { type PieceLayout, pieceLayout, pieceRange } from "../../src/core/piece.ts"
import type { MemoryStoreOptions } from "../../src/store/memory-store.ts"

const SHA256_BYTES = 32
/** What has come and is not written yet, of one node. */
const BUFFERED_PIECES = 64

export class Content {
  readonly bytes: Buffer
  readonly digest: Digest
  readonly layout: PieceLayout
  readonly #pieces: readonly Uint8Array[]
  readonly #digests: readonly Uint8Array[]

  /** @param sizeBytes - as the store sees it; every piece has four bytes at least */
  constructor(sizeBytes: number) {
    this.bytes = Buffer.alloc(sizeBytes)
    this.layout = pieceLayout(sizeBytes)
    const indexes = Array.from({ length: this.layout.count }, (_, index) => index)
    for (const index of indexes) this.bytes.writeUInt32BE(index + 1, this.#startOf(index))
    this.digest = digestOf(this.bytes)
    this.#pieces = indexes.map((index) => {
      const { start, end } = pieceRange(this.layout, index)
      return this.bytes.subarray(start, end)
    })
    this.#digests = this.#pieces.map(firstBytes)
  }

  /** How stores are to hold it. */
  get storeOptions(): MemoryStoreOptions {
    return {
      buffersBytesMax: BUFFERED_PIECES * this.layout.lengthBytes,
      sha256: (bytes) => this.#digests[this.#known(bytes)] ?? firstBytes(bytes),
      keep: (bytes) => this.#pieces[this.#known(bytes)] ?? bytes.slice(),
    }
  }

  /** Gives the index of a piece that is as it should be; -1 of any other. */
  #known(bytes: Uint8Array): number {
    const [a, b, c, d] = bytes
    const index = ((a! << 24) | (b! << 16) | (c! << 8) | d!) - 1
    const piece = this.#pieces[index]
    return piece !== undefined && Buffer.compare(piece, bytes) === 0 ? index : -1
  }

  #startOf(index: number): number {
    return pieceRange(this.layout, index).start
  }
}

function firstBytes(bytes: Uint8Array): Uint8Array {
  const digest = new Uint8Array(SHA256_BYTES)
  digest.set(bytes.subarray(0, SHA256_BYTES))
  return digest
}
