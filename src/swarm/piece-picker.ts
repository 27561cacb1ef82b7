/**
 * Decides which piece to ask for next: what a reader waits for first, in order; then the rarest, or
 * the lowest when nobody else fetches.
 * Pure but for the random source that is passed in.
 * @module
 */
import { Bitfield } from "../core/bitfield.ts"
import { assert } from "../core/errors.ts"
import type { ByteRange } from "../core/piece.ts"

/** At most this many candidates are looked at per choice, so that a huge blob costs no more. */
const SCAN_MAX = 2048

export interface TakeOptions {
  /** Also pieces that are reserved for the origin reader. */
  readonly withReserved?: boolean | undefined
  /**
   * After the first piece, the lowest: for a node that fetches alone, where no piece is rare. What comes
   * in order is hashed as a whole while it comes, and not read again at the end.
   */
  readonly isInOrder?: boolean | undefined
  /**
   * Others fetch it too: of what a reader waits for the rarest, not the first. Readers that all begin at
   * one moment would ask for the same pieces in the same order, and have nothing to give to each other.
   */
  readonly isShared?: boolean | undefined
}

/** Keeps what is missing, what is being fetched, and how many sources have each piece. */
export class PiecePicker {
  readonly count: number
  readonly #random: () => number
  readonly #have: Bitfield
  readonly #availability: Uint16Array
  readonly #reservations: Uint8Array
  /** The pieces that are missing and not being fetched, shuffled; and where each stands in it. */
  readonly #candidates: Int32Array
  readonly #position: Int32Array
  #candidateCount = 0
  /** Whether some piece is here or was asked for. */
  #isBegun: boolean
  /** No candidate is below it. */
  #lowest = 0
  #window: ByteRange = { start: 0, end: 0 }

  /** @param have - the pieces that are there already; copied */
  constructor(have: Bitfield, options: { random: () => number }) {
    this.count = have.size
    this.#random = options.random
    this.#have = have.copy()
    this.#isBegun = have.count > 0
    this.#availability = new Uint16Array(this.count)
    this.#reservations = new Uint8Array(this.count)
    this.#candidates = new Int32Array(this.count)
    this.#position = new Int32Array(this.count).fill(-1)
    for (let index = 0; index < this.count; index++) if (!have.has(index)) this.#insert(index)
  }

  /** Pieces that are not there, being fetched or not. */
  get missingCount(): number {
    return this.count - this.#have.count
  }

  /** Pieces that are not there and that nobody fetches. */
  get candidateCount(): number {
    return this.#candidateCount
  }

  isMissing(index: number): boolean {
    return !this.#have.has(index)
  }

  /** How many sources have a piece. */
  availability(index: number): number {
    return this.#availability[index] ?? 0
  }

  addSource(pieces: Bitfield): void {
    for (let index = 0; index < this.count; index++) if (pieces.has(index)) this.addHave(index)
  }

  removeSource(pieces: Bitfield): void {
    for (let index = 0; index < this.count; index++) if (pieces.has(index)) this.removeHave(index)
  }

  addHave(index: number): void {
    this.#availability[index]!++
  }

  removeHave(index: number): void {
    assert(this.#availability[index]! > 0, `piece ${index} had no source`)
    this.#availability[index]!--
  }

  /** Says which pieces a reader waits for; an empty range ends that. */
  setWindow(pieces: ByteRange): void {
    this.#window = pieces
  }

  /** Gives the first piece that a reader waits for and that is not there. */
  firstAwaited(): number | undefined {
    const { start, end } = this.#window
    for (let index = start; index < end; index++) if (!this.#have.has(index)) return index
    return undefined
  }

  isAwaited(index: number): boolean {
    return index >= this.#window.start && index < this.#window.end
  }

  /** Leaves pieces to somebody else until the function it gives is called. */
  reserve(pieces: ByteRange): () => void {
    for (let index = pieces.start; index < pieces.end; index++) this.#reservations[index]!++
    let isHeld = true
    return () => {
      if (!isHeld) return
      isHeld = false
      for (let index = pieces.start; index < pieces.end; index++) this.#reservations[index]!--
    }
  }

  isReserved(index: number): boolean {
    return this.#reservations[index]! > 0
  }

  /** Tells whether a source has anything that is missing here. */
  isUseful(pieces: Bitfield): boolean {
    const [theirs, ours] = [pieces.bytes, this.#have.bytes]
    for (let at = 0; at < theirs.length; at++) if ((theirs[at]! & ~ours[at]!) !== 0) return true
    return false
  }

  /** Tells whether a source has anything that nobody is asked for yet. */
  isWanted(pieces: Bitfield): boolean {
    const count = Math.min(this.#candidateCount, SCAN_MAX)
    for (let place = 0; place < count; place++) {
      if (pieces.has(this.#candidates[place]!)) return true
    }
    return false
  }

  /**
   * Chooses a piece that a source has and notes it as being fetched.
   * @param pieces - what the source has
   * @returns its index, or undefined when nothing of the source is left to ask for
   */
  take(pieces: Bitfield, options: TakeOptions = {}): number | undefined {
    const isInOrder = options.isInOrder === true && this.#isBegun
    const index =
      this.#inWindow(pieces, options) ??
      (isInOrder ? this.#nextInOrder(pieces, options) : undefined) ??
      this.#rarest(pieces, options)
    if (index === undefined) return undefined
    this.#isBegun = true
    this.#remove(index)
    return index
  }

  /** Notes a certain piece as being fetched. @returns whether it was missing, unreserved and free */
  takeThis(index: number): boolean {
    if (this.#position[index]! < 0 || this.#reservations[index]! > 0) return false
    this.#isBegun = true
    this.#remove(index)
    return true
  }

  /** The piece is not being fetched any more and still missing. */
  giveBack(index: number): void {
    if (!this.#have.has(index)) this.#insert(index)
  }

  /** The piece is there, from whomever. */
  complete(index: number): void {
    this.#have.add(index)
    this.#remove(index)
  }

  /** The piece was dropped: its bytes were wrong. */
  lose(index: number): void {
    if (this.#have.delete(index)) this.#insert(index)
  }

  #inWindow(pieces: Bitfield, options: TakeOptions): number | undefined {
    if (options.isShared !== true) return this.#firstAllowed(this.#window, pieces, options)
    const { start, end } = this.#window
    const shift = Math.floor(this.#random() * (end - start))
    let best: number | undefined
    for (let step = 0; step < end - start; step++) {
      const index = start + ((step + shift) % (end - start))
      if (!this.#isAllowed(index, pieces, options)) continue
      if (best === undefined || this.#availability[index]! < this.#availability[best]!) best = index
    }
    return best
  }

  #isAllowed(index: number, pieces: Bitfield, options: TakeOptions): boolean {
    if (this.#position[index]! < 0 || !pieces.has(index)) return false
    return options.withReserved === true || this.#reservations[index] === 0
  }

  #firstAllowed(range: ByteRange, pieces: Bitfield, options: TakeOptions): number | undefined {
    for (let index = range.start; index < range.end; index++) {
      if (this.#isAllowed(index, pieces, options)) return index
    }
    return undefined
  }

  #nextInOrder(pieces: Bitfield, options: TakeOptions): number | undefined {
    while (this.#lowest < this.count && this.#position[this.#lowest]! < 0) this.#lowest++
    const end = Math.min(this.#lowest + SCAN_MAX, this.count)
    return this.#firstAllowed({ start: this.#lowest, end }, pieces, options)
  }

  #rarest(pieces: Bitfield, options: TakeOptions): number | undefined {
    const count = this.#candidateCount
    const start = Math.floor(this.#random() * count)
    // The first piece is any: a node with nothing to give should get something to give soon.
    const isFirst = this.#have.count === 0
    let best: number | undefined
    let bestCost = Number.POSITIVE_INFINITY
    for (let step = 0, seen = 0; step < count && seen < SCAN_MAX; step++) {
      const index = this.#candidates[(start + step) % count]!
      if (!pieces.has(index)) continue
      if (options.withReserved !== true && this.#reservations[index]! > 0) continue
      seen++
      const cost = this.#availability[index]!
      if (cost < bestCost) [best, bestCost] = [index, cost]
      if (isFirst || bestCost <= 1) break
    }
    return best
  }

  /** Puts a piece at a random place among the candidates. */
  #insert(index: number): void {
    if (this.#position[index]! >= 0) return
    this.#lowest = Math.min(this.#lowest, index)
    const last = this.#candidateCount++
    const place = Math.floor(this.#random() * (last + 1))
    const moved = this.#candidates[place]!
    if (place !== last) {
      this.#candidates[last] = moved
      this.#position[moved] = last
    }
    this.#candidates[place] = index
    this.#position[index] = place
  }

  #remove(index: number): void {
    const place = this.#position[index]!
    if (place < 0) return
    const moved = this.#candidates[--this.#candidateCount]!
    this.#candidates[place] = moved
    this.#position[moved] = place
    this.#position[index] = -1
  }
}
