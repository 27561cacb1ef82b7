/**
 * One block of shared memory, cut into piece-long buffers.
 * @module
 */
import { PIECE_BYTES_MIN } from "../core/limits.ts"

/**
 * Pieces are this long, or twice, or four times …: a buffer lies at a multiple of its own length, so
 * that buffers of different lengths do not break the block into crumbs. It is one block because only
 * a large one goes back to the system when it is let go of; its pages take no memory until they are
 * written to, and the lowest free place is used first.
 */
export class PieceSlab {
  readonly #memory: SharedArrayBuffer
  readonly #isUsed: boolean[]

  constructor(sizeBytes: number) {
    this.#memory = new SharedArrayBuffer(sizeBytes)
    this.#isUsed = new Array(Math.floor(sizeBytes / PIECE_BYTES_MIN)).fill(false)
  }

  /** Gives a buffer, or undefined when there is no place for it. */
  take(lengthBytes: number): Uint8Array | undefined {
    const units = lengthBytes / PIECE_BYTES_MIN
    for (let first = 0; first + units <= this.#isUsed.length; first += units) {
      if (!this.#isFree(first, units)) continue
      this.#isUsed.fill(true, first, first + units)
      return new Uint8Array(this.#memory, first * PIECE_BYTES_MIN, lengthBytes)
    }
    return undefined
  }

  #isFree(first: number, units: number): boolean {
    for (let unit = first; unit < first + units; unit++)
      if (this.#isUsed[unit] === true) return false
    return true
  }

  giveBack(buffer: Uint8Array): void {
    const first = buffer.byteOffset / PIECE_BYTES_MIN
    this.#isUsed.fill(false, first, first + buffer.length / PIECE_BYTES_MIN)
  }
}
