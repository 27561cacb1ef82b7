/**
 * A seed that several fetch from says which piece each should take, so that it sends each piece once
 * before it repeats any: the idea of BEP 16, told by BEP 6's `suggest`. Only the seed knows what it gave
 * to whom; fetchers that share the pieces out among themselves leave it idle whenever one of them is slow.
 * @module
 */
import type { Upload } from "./upload.ts"

/** Suggestions that one peer has and did not follow yet. */
const SUGGESTIONS_MAX = 4

/** The suggestions of one complete blob. */
export class SuperSeeding {
  readonly #count: number
  readonly #isGiven: Uint8Array
  /** Pieces that somebody said to have: whoever still wants them need not have them from here. */
  readonly #isElsewhere: Uint8Array
  readonly #members = new Set<Upload>()
  /** What each was told and has not asked for. */
  readonly #open = new Map<Upload, Set<number>>()
  /** Pieces that somebody was told of or asked for, and did not get. */
  readonly #again = new Set<number>()
  readonly #start: number
  /** How many pieces from the start on were looked at. */
  #lookedCount = 0

  /**
   * @param count - pieces of the blob
   * @param start - the piece that is suggested first: several seeds of one blob begin at different ones
   */
  constructor(count: number, start: number) {
    this.#count = count
    this.#start = start
    this.#isGiven = new Uint8Array(count)
    this.#isElsewhere = new Uint8Array(count)
  }

  /** A peer opened the blob. */
  add(upload: Upload): void {
    this.#members.add(upload)
  }

  /** A peer closed the blob. */
  remove(upload: Upload): void {
    this.withdraw(upload)
    this.#members.delete(upload)
  }

  /** A peer may ask now: tells it what to take, unless it is the only one. */
  suggest(upload: Upload): void {
    if (this.#members.size < 2) return
    const open = this.#open.get(upload) ?? new Set<number>()
    this.#open.set(upload, open)
    while (open.size < SUGGESTIONS_MAX) {
      const index = this.#notGiven()
      if (index === undefined) return
      this.#isGiven[index] = 1
      open.add(index)
      upload.suggest(index)
    }
  }

  /** Somebody has a piece, from here or from elsewhere. */
  onGiven(index: number): void {
    this.#isGiven[index] = 1
  }

  /** A peer asks for a piece, suggested or not. */
  onAsked(upload: Upload, index: number): void {
    this.#isGiven[index] = 1
    this.#open.get(upload)?.delete(index)
    this.suggest(upload)
  }

  /** A peer tells that it has a piece. */
  onArrived(index: number): void {
    this.#isElsewhere[index] = 1
  }

  /** A peer asked for a piece and gets nothing of it now: others may take it. */
  onUnserved(index: number): void {
    if (this.#isGiven[index] === 0 || this.#isElsewhere[index] === 1) return
    this.#isGiven[index] = 0
    this.#again.add(index)
  }

  /** The peer's turn is over: what it did not ask for others may take. */
  withdraw(upload: Upload): void {
    const open = this.#open.get(upload)
    if (open === undefined) return
    this.#open.delete(upload)
    for (const index of open) this.onUnserved(index)
  }

  /** Gives the next piece that nobody was given; undefined once all were. */
  #notGiven(): number | undefined {
    for (const index of this.#again) {
      this.#again.delete(index)
      if (this.#isGiven[index] === 0) return index
    }
    while (this.#lookedCount < this.#count) {
      const index = (this.#start + this.#lookedCount++) % this.#count
      if (this.#isGiven[index] === 0) return index
    }
    return undefined
  }
}
