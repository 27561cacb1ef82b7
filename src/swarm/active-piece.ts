/**
 * A piece on its way: which of its blocks were asked for, which are here, and who gave them.
 * @module
 */
import { sha256 } from "../core/digest.ts"
import { BLOCK_BYTES } from "../core/limits.ts"
import type { PeerId } from "../net/net.ts"

const FREE = 0
/** Asked of one source, or of two at the end; {@link RECEIVING} and {@link HERE} come after. */
const ASKED = 1
const ASKED_TWICE = 2
const RECEIVING = 3
const HERE = 4

/** What one peer contributed to a piece. */
export interface PiecePart {
  readonly peer: PeerId
  /** Half-open byte range inside the piece. */
  readonly begin: number
  readonly end: number
  readonly sha256: Uint8Array
}

/**
 * One connection to a peer. What a peer gives over another one counts apart: between the two it may have
 * replaced its bytes in good faith.
 */
export interface Giver {
  readonly peer: PeerId
}

/** One piece between its first request and its verdict. */
export class ActivePiece {
  readonly index: number
  readonly lengthBytes: number
  readonly blockCount: number
  /** Monotonic time of its first request, milliseconds. */
  readonly sinceMs: number
  /** Who asks for its free blocks, in order; its identity only. */
  asker: object | undefined
  /** Where its blocks are put together; taken when the first one comes. */
  buffer: Uint8Array | undefined
  /** Whether a block was asked of two sources: then what one gives is cancelled at the other. */
  isShared = false
  readonly #states: Uint8Array
  /** By block, the place of who gave it. */
  readonly #giverOf: Uint16Array
  readonly #givers: Giver[] = []
  #hereCount = 0
  #freeCount: number
  #cursor = 0

  constructor(index: number, lengthBytes: number, nowMs: number) {
    this.index = index
    this.sinceMs = nowMs
    this.lengthBytes = lengthBytes
    this.blockCount = Math.ceil(lengthBytes / BLOCK_BYTES)
    this.#states = new Uint8Array(this.blockCount)
    this.#giverOf = new Uint16Array(this.blockCount)
    this.#freeCount = this.blockCount
  }

  /** Blocks that are neither here nor asked for. */
  get freeCount(): number {
    return this.#freeCount
  }

  get isWhole(): boolean {
    return this.#hereCount === this.blockCount
  }

  get isBegun(): boolean {
    return this.#hereCount > 0
  }

  get hereCount(): number {
    return this.#hereCount
  }

  /** Everybody who gave a block. */
  get peers(): readonly PeerId[] {
    return [...new Set(this.#givers.map(({ peer }) => peer))]
  }

  /** Whether all of it came over one connection. */
  get isOfOne(): boolean {
    return this.#givers.length === 1
  }

  /** The bytes of the piece, once it is whole. */
  get bytes(): Uint8Array {
    return this.buffer!.subarray(0, this.lengthBytes)
  }

  blockLength(block: number): number {
    return Math.min(BLOCK_BYTES, this.lengthBytes - block * BLOCK_BYTES)
  }

  /** Notes the next block that nobody was asked for. @returns it, or -1 */
  askNext(): number {
    while (this.#cursor < this.blockCount && this.#states[this.#cursor] !== FREE) this.#cursor++
    if (this.#cursor === this.blockCount) return -1
    this.#states[this.#cursor] = ASKED
    this.#freeCount--
    return this.#cursor++
  }

  /** Notes the last block that only one source was asked for, at or before `from`. @returns it, or -1 */
  askAgain(from: number): number {
    for (let block = from; block >= 0; block--) {
      if (this.#states[block] !== ASKED) continue
      this.#states[block] = ASKED_TWICE
      this.isShared = true
      return block
    }
    return -1
  }

  /** A source will not give a block after all. */
  unask(block: number): void {
    const state = this.#states[block]
    if (state === ASKED_TWICE) this.#states[block] = ASKED
    else if (state === ASKED) this.#free(block)
  }

  /** A block that had begun to come in will not end. */
  abort(block: number): void {
    if (this.#states[block] === RECEIVING) this.#free(block)
  }

  /** A block begins to come in. @returns false if it is here, or coming from another source */
  begin(block: number): boolean {
    const state = this.#states[block]!
    if (state === HERE || state === RECEIVING) return false
    if (state === FREE) this.#freeCount--
    this.#states[block] = RECEIVING
    return true
  }

  /** A block is here. */
  finish(block: number, giver: Giver): void {
    this.#states[block] = HERE
    this.#hereCount++
    let place = this.#givers.indexOf(giver)
    if (place < 0) place = this.#givers.push(giver) - 1
    this.#giverOf[block] = place
  }

  /**
   * Throws away what came over one connection: its piece was lost there, and what it gives from now on may
   * be of other bytes.
   * @returns how many blocks
   */
  takeBack(giver: Giver): number {
    const place = this.#givers.indexOf(giver)
    if (place < 0 || this.isWhole) return 0
    let count = 0
    for (let block = 0; block < this.blockCount; block++) {
      if (this.#states[block] !== HERE) continue
      const its = this.#giverOf[block]!
      if (its === place) {
        this.#free(block)
        count++
      } else if (its > place) this.#giverOf[block] = its - 1
    }
    this.#givers.splice(place, 1)
    this.#hereCount -= count
    return count
  }

  /**
   * Gives the consecutive parts by the connections that gave them; the piece is whole.
   * @param whole - SHA-256 of the piece
   */
  parts(whole: Uint8Array): PiecePart[] {
    const [only] = this.#givers
    if (only !== undefined && this.isOfOne) {
      return [{ peer: only.peer, begin: 0, end: this.lengthBytes, sha256: whole }]
    }
    const parts: PiecePart[] = []
    for (let first = 0; first < this.blockCount; ) {
      let next = first + 1
      while (next < this.blockCount && this.#giverOf[next] === this.#giverOf[first]) next++
      const begin = first * BLOCK_BYTES
      const end = Math.min(next * BLOCK_BYTES, this.lengthBytes)
      const { peer } = this.#givers[this.#giverOf[first]!]!
      parts.push({ peer, begin, end, sha256: sha256(this.bytes.subarray(begin, end)) })
      first = next
    }
    return parts
  }

  #free(block: number): void {
    this.#states[block] = FREE
    this.#freeCount++
    this.#cursor = Math.min(this.#cursor, block)
  }
}
