/**
 * A queue of block requests that allocates nothing per block.
 * @module
 */

/** Requests in order: piece index, where the block begins in the piece, its length. */
export class RequestRing {
  /** Three numbers per request; a power of two of requests. */
  #slots: Uint32Array
  #mask: number
  #head = 0
  #count = 0

  constructor(capacity = 64) {
    this.#slots = new Uint32Array(capacity * 3)
    this.#mask = capacity - 1
  }

  get count(): number {
    return this.#count
  }

  push(index: number, begin: number, length: number): void {
    if (this.#count > this.#mask) this.#grow()
    const at = ((this.#head + this.#count) & this.#mask) * 3
    this.#slots[at] = index
    this.#slots[at + 1] = begin
    this.#slots[at + 2] = length
    this.#count++
  }

  index(place: number): number {
    return this.#slots[((this.#head + place) & this.#mask) * 3]!
  }

  begin(place: number): number {
    return this.#slots[((this.#head + place) & this.#mask) * 3 + 1]!
  }

  length(place: number): number {
    return this.#slots[((this.#head + place) & this.#mask) * 3 + 2]!
  }

  /** Drops the first requests. */
  shift(count = 1): void {
    this.#head = (this.#head + count) & this.#mask
    this.#count -= count
  }

  /** Gives the place of a request, or -1. */
  find(index: number, begin: number): number {
    for (let place = 0; place < this.#count; place++) {
      if (this.index(place) === index && this.begin(place) === begin) return place
    }
    return -1
  }

  /** Whether any request is of this piece. */
  hasIndex(index: number): boolean {
    for (let place = 0; place < this.#count; place++) if (this.index(place) === index) return true
    return false
  }

  /** Takes one request out of the middle. */
  remove(place: number): void {
    for (let at = place; at > 0; at--) this.#copy(at - 1, at)
    this.shift()
  }

  clear(): void {
    this.#head = 0
    this.#count = 0
  }

  #copy(from: number, to: number): void {
    const [source, target] = [this.#at(from), this.#at(to)]
    this.#slots.copyWithin(target, source, source + 3)
  }

  #at(place: number): number {
    return ((this.#head + place) & this.#mask) * 3
  }

  #grow(): void {
    const slots = new Uint32Array(this.#slots.length * 2)
    for (let place = 0; place < this.#count; place++) {
      const at = this.#at(place)
      slots.set(this.#slots.subarray(at, at + 3), place * 3)
    }
    this.#slots = slots
    this.#mask = slots.length / 3 - 1
    this.#head = 0
  }
}
