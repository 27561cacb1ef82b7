/**
 * A set of piece indexes, stored as BitTorrent sends it: bit 7 of byte 0 is piece 0 (BEP 3, bitfield).
 * @module
 */
import { assert } from "./errors.ts"

/** A growing or shrinking set of the indexes `0 … size-1`; counts its members in O(1). */
export class Bitfield {
  readonly size: number
  readonly bytes: Uint8Array
  #count = 0

  /** @param bytes - initial bits, copied; spare bits must be zero (see {@link isBitfield}) */
  constructor(size: number, bytes?: Uint8Array) {
    this.size = size
    this.bytes = new Uint8Array(Math.ceil(size / 8))
    if (bytes === undefined) return
    assert(isBitfield(size, bytes), "bitfield bytes of the wrong length or with spare bits set")
    this.bytes.set(bytes)
    for (let index = 0; index < size; index++) if (this.has(index)) this.#count++
  }

  /** A set of all the indexes. */
  static full(size: number): Bitfield {
    const set = new Bitfield(size)
    for (let index = 0; index < size; index++) set.add(index)
    return set
  }

  /** How many indexes are in the set. */
  get count(): number {
    return this.#count
  }

  get isFull(): boolean {
    return this.#count === this.size
  }

  has(index: number): boolean {
    return ((this.bytes[index >> 3] ?? 0) & (0x80 >> (index & 7))) !== 0
  }

  /** Adds an index. @returns whether it was new */
  add(index: number): boolean {
    assert(index >= 0 && index < this.size, `bit ${index} of ${this.size}`)
    if (this.has(index)) return false
    this.bytes[index >> 3]! |= 0x80 >> (index & 7)
    this.#count++
    return true
  }

  /** Removes an index. @returns whether it was there */
  delete(index: number): boolean {
    if (!this.has(index)) return false
    this.bytes[index >> 3]! &= ~(0x80 >> (index & 7))
    this.#count--
    return true
  }

  /** Gives the first index from `from` on that is not in the set, or `size`. */
  nextMissing(from: number): number {
    let index = from
    while (index < this.size && this.has(index)) index++
    return index
  }

  /** Gives the first member from `from` on that is not in a set of the same size, or `size`. */
  nextBeyond(other: Bitfield, from: number): number {
    assert(other.size === this.size, `a set of ${other.size}, not ${this.size}`)
    let index = from
    while (index < this.size) {
      const at = index >> 3
      // Most bytes have none: those are passed over eight at a time.
      const left = this.bytes[at]! & ~other.bytes[at]! & (0xff >> (index & 7))
      if (left !== 0) return at * 8 + Math.clz32(left) - 24
      index = (at + 1) * 8
    }
    return this.size
  }

  /** Gives the members that are in none of the others, which have the same size. */
  without(others: readonly Bitfield[]): Bitfield {
    const bytes = this.bytes.slice()
    for (const other of others) {
      assert(other.size === this.size, `a set of ${other.size}, not ${this.size}`)
      for (let at = 0; at < bytes.length; at++) bytes[at]! &= ~other.bytes[at]!
    }
    return new Bitfield(this.size, bytes)
  }

  copy(): Bitfield {
    return new Bitfield(this.size, this.bytes)
  }
}

/** Tells whether bytes from outside are a bitfield of `size` bits: right length, spare bits zero. */
export function isBitfield(size: number, bytes: Uint8Array): boolean {
  if (bytes.length !== Math.ceil(size / 8)) return false
  const spare = bytes.length * 8 - size
  return spare === 0 || (bytes[bytes.length - 1]! & ((1 << spare) - 1)) === 0
}
