/**
 * The SHA-256 of a whole blob while its pieces come in any order: from memory when a piece comes in its
 * turn, from the file for those that came before.
 * @module
 */
import { createHash, type Hash } from "node:crypto"
import { Bitfield } from "../core/bitfield.ts"
import { readPart } from "./scratch.ts"

/** One growing file and the hash of its beginning. */
export class RollingHash {
  readonly fd: number
  readonly lengthBytes: number
  /** Who waits for the whole. */
  readonly waiters: number[] = []
  /** The file could not be read; try again only when somebody waits. */
  isBroken = false
  readonly #sizeBytes: number
  readonly #written: Bitfield
  /** The hash before each piece that was rolled along and may yet be found wrong: a few at a time. */
  readonly #before = new Map<number, Hash>()
  #hash: Hash = createHash("sha256")
  /** The first piece that is not hashed. */
  #next = 0

  /** @param options.pieces - bitfield bytes of what is there already */
  constructor(options: {
    fd: number
    sizeBytes: number
    lengthBytes: number
    pieces: Uint8Array
  }) {
    this.fd = options.fd
    this.lengthBytes = options.lengthBytes
    this.#sizeBytes = options.sizeBytes
    const count = Math.ceil(options.sizeBytes / options.lengthBytes)
    this.#written = new Bitfield(count, options.pieces)
  }

  get isWhole(): boolean {
    return this.#next === this.#written.size
  }

  get canCatchUp(): boolean {
    return !this.isWhole && this.#written.has(this.#next)
  }

  /** Hashes a piece if it is its turn. It is not written yet, and not yet known to be right. */
  roll(index: number, bytes: Uint8Array): void {
    if (index !== this.#next) return
    this.#before.set(index, this.#hash.copy())
    this.#hash.update(bytes)
    this.#next++
  }

  /** A piece is right and in the file. */
  wrote(index: number): void {
    this.#before.delete(index)
    this.#written.add(index)
  }

  drop(indexes: readonly number[]): void {
    for (const index of indexes) this.#written.delete(index)
    const hashed = indexes.filter((index) => index < this.#next)
    if (hashed.length > 0) this.#goBack(Math.min(...hashed))
  }

  /** Hashes the next piece from the file, if it is there. @throws when it cannot be read */
  catchUp(): void {
    if (this.isWhole) return
    if (!this.canCatchUp) throw new Error(`piece ${this.#next} was never written`)
    const start = this.#next * this.lengthBytes
    const lengthBytes = Math.min(this.lengthBytes, this.#sizeBytes - start)
    const bytes = readPart(this.fd, start, lengthBytes)
    if (bytes.length < lengthBytes) throw new Error(`the file ends within piece ${this.#next}`)
    this.#hash.update(bytes)
    this.#next++
  }

  restart(): void {
    this.#next = 0
    this.#hash = createHash("sha256")
    this.#before.clear()
  }

  /** Goes back to before a piece, or to the beginning when the hash before it is not known. */
  #goBack(index: number): void {
    const before = this.#before.get(index)
    if (before === undefined) {
      this.restart()
      return
    }
    this.#next = index
    this.#hash = before
    for (const later of [...this.#before.keys()]) if (later >= index) this.#before.delete(later)
  }

  /** Gives the SHA-256 of the whole; it can be asked for again. */
  sha256(): Uint8Array {
    return this.#hash.copy().digest()
  }
}
