/**
 * One blob of the in-memory store, and the leases on it.
 * @module
 */
import { Bitfield } from "../core/bitfield.ts"
import { type Digest, digestOf, digestOfRaw, isExpected } from "../core/digest.ts"
import { assert } from "../core/errors.ts"
import { type ByteRange, type PieceLayout, pieceRange, piecesOf } from "../core/piece.ts"
import type { Changes } from "./changes.ts"
import { blobCorrupt, pieceMissing } from "./faults.ts"
import type { PieceBuffers } from "./piece-buffers.ts"
import { assertReadable, holdsRange } from "./reading.ts"
import type { BlobReader, PartialBlob, PieceOutcome, WholeOutcome } from "./store.ts"

interface Piece {
  readonly bytes: Uint8Array
  readonly sha256: Uint8Array
  /** Whether a bit was flipped since: nothing else changes the bytes, so nothing else is hashed again. */
  isTouched: boolean
}

/** What all leases on one blob share. */
export class MemoryBlob {
  readonly digest: Digest
  readonly layout: PieceLayout
  readonly pieces: Bitfield
  readonly #held = new Map<number, Piece>()
  readonly #changes: Changes
  readonly #sha256: (bytes: Uint8Array) => Uint8Array
  readonly #keep: (piece: Uint8Array) => Uint8Array
  isShared: boolean
  isComplete = false
  /** Whether anything of it would be on a disk. */
  hasBegun: boolean
  lastUsedMs: number
  leaseCount = 0

  constructor(
    deps: {
      changes: Changes
      sha256: (bytes: Uint8Array) => Uint8Array
      /** Gives what is kept of a piece whose bytes may change afterwards. */
      keep: (piece: Uint8Array) => Uint8Array
    },
    options: { digest: Digest; layout: PieceLayout; isShared: boolean; nowMs: number },
  ) {
    this.#changes = deps.changes
    this.#sha256 = deps.sha256
    this.#keep = deps.keep
    this.digest = options.digest
    this.layout = options.layout
    this.pieces = new Bitfield(options.layout.count)
    this.hasBegun = options.layout.count > 1
    this.isShared = options.isShared
    this.lastUsedMs = options.nowMs
  }

  get sizeBytes(): number {
    return this.layout.sizeBytes
  }

  sha256Of(index: number): Uint8Array | undefined {
    return this.#held.get(index)?.sha256.slice()
  }

  write(index: number, bytes: Uint8Array, expected: Uint8Array | undefined): PieceOutcome {
    const range = pieceRange(this.layout, index)
    assert(bytes.length === range.end - range.start, `piece ${index} of ${bytes.length} bytes`)
    const actual = this.#sha256(bytes)
    const known = this.#held.get(index)?.sha256 ?? actual
    const isRight = isEqual(actual, known) && isExpected(bytes, actual, expected)
    if (!isRight) return { kind: "mismatch", sha256: actual }
    if (this.pieces.has(index)) return { kind: "written", sha256: actual }
    this.hasBegun = true
    this.#held.set(index, { bytes: this.#keep(bytes), sha256: actual, isTouched: false })
    this.pieces.add(index)
    // A blob of one piece is whole by it.
    const isWhole = this.layout.count === 1 && digestOfRaw(actual) === this.digest
    if (isWhole) this.isComplete = true
    this.#changes.emit({ kind: "piece", digest: this.digest, index })
    if (isWhole) this.#complete()
    return { kind: "written", sha256: actual }
  }

  /** Fills the blob from its whole bytes, whose digest is right. */
  fill(bytes: Uint8Array): void {
    for (let index = 0; index < this.layout.count; index++) {
      const { start, end } = pieceRange(this.layout, index)
      const part = this.#keep(bytes.subarray(start, end))
      this.#held.set(index, { bytes: part, sha256: this.#sha256(part), isTouched: false })
      this.pieces.add(index)
    }
    this.#complete()
  }

  finish(): WholeOutcome {
    if (this.isComplete) return { kind: "complete" }
    if (!this.pieces.isFull) {
      throw pieceMissing(this.digest, { start: 0, end: this.sizeBytes })
    }
    const whole = new Uint8Array(this.sizeBytes)
    for (const [index, piece] of this.#held) whole.set(piece.bytes, index * this.layout.lengthBytes)
    const actual = digestOf(whole)
    if (actual !== this.digest) return { kind: "mismatch", actual }
    this.#complete()
    return { kind: "complete" }
  }

  drop(indexes: readonly number[]): void {
    if (this.isComplete) return
    const dropped = indexes.filter((index) => this.pieces.delete(index))
    for (const index of dropped) this.#held.delete(index)
    if (dropped.length > 0) this.#changes.emit({ kind: "partial", digest: this.digest })
  }

  copy(range: ByteRange, target: Uint8Array): void {
    if (!holdsRange(this.layout, this.pieces, range)) throw pieceMissing(this.digest, range)
    const bad = this.badPieces(piecesOf(this.layout, range))
    if (bad.length > 0) {
      this.demote(bad)
      throw blobCorrupt(this.digest, bad)
    }
    const { start: first, end: last } = piecesOf(this.layout, range)
    for (let index = first; index < last; index++) {
      const piece = pieceRange(this.layout, index)
      const start = Math.max(range.start, piece.start)
      const end = Math.min(range.end, piece.end)
      const { bytes } = this.#held.get(index)!
      target.set(bytes.subarray(start - piece.start, end - piece.start), start - range.start)
    }
  }

  /** Gives the pieces of a range of indexes whose bytes are not what they were. */
  badPieces(indexes: ByteRange): number[] {
    const bad: number[] = []
    for (let index = indexes.start; index < indexes.end; index++) {
      const piece = this.#held.get(index)
      if (piece?.isTouched !== true) continue
      if (!isEqual(this.#sha256(piece.bytes), piece.sha256)) bad.push(index)
    }
    return bad
  }

  /** Drops pieces that went bad; the blob is partial again. */
  demote(bad: readonly number[]): void {
    this.isComplete = false
    this.drop(bad)
  }

  flipBit(offset: number): void {
    const index = Math.floor(offset / this.layout.lengthBytes)
    const piece = this.#held.get(index)
    assert(piece !== undefined, `byte ${offset} of ${this.digest} is not there`)
    piece.bytes[offset % this.layout.lengthBytes]! ^= 1
    piece.isTouched = true
  }

  #complete(): void {
    this.isComplete = true
    this.hasBegun = true
    this.#changes.emit({ kind: "complete", digest: this.digest })
  }
}

/** A lease on a blob in memory. */
export class MemoryReader implements BlobReader {
  protected readonly blob: MemoryBlob
  protected readonly check: () => void
  #isReleased = false

  /** @param check - throws once the store is closed */
  constructor(blob: MemoryBlob, check: () => void) {
    this.blob = blob
    this.check = check
    blob.leaseCount++
  }

  get digest(): Digest {
    return this.blob.digest
  }

  get layout(): PieceLayout {
    return this.blob.layout
  }

  get isComplete(): boolean {
    return this.blob.isComplete
  }

  hasRange(range: ByteRange): boolean {
    return holdsRange(this.layout, this.blob.pieces, range)
  }

  async read(range: ByteRange, target?: Uint8Array): Promise<Uint8Array> {
    this.check()
    assertReadable(this.layout, range)
    const lengthBytes = range.end - range.start
    const into = target?.subarray(0, lengthBytes) ?? new Uint8Array(lengthBytes)
    assert(into.length === lengthBytes, "the target is shorter than the range")
    this.blob.copy(range, into)
    return into
  }

  async readScattered(start: number, targets: readonly Uint8Array[]): Promise<void> {
    let offset = start
    for (const target of targets) {
      if (target.length > 0) await this.read({ start: offset, end: offset + target.length }, target)
      offset += target.length
    }
  }

  release(): void {
    assert(!this.#isReleased, "a lease is released once")
    this.#isReleased = true
    this.blob.leaseCount--
  }
}

/** A lease on a growing blob in memory. */
export class MemoryPartial extends MemoryReader implements PartialBlob {
  readonly #buffers: PieceBuffers

  constructor(blob: MemoryBlob, check: () => void, buffers: PieceBuffers) {
    super(blob, check)
    this.#buffers = buffers
  }

  get pieces(): Bitfield {
    return this.blob.pieces
  }

  pieceSha256(index: number): Uint8Array | undefined {
    return this.blob.sha256Of(index)
  }

  takeBuffer(options?: { signal?: AbortSignal }): Promise<Uint8Array> {
    return this.#buffers.take(this.layout.lengthBytes, options?.signal)
  }

  tryTakeBuffer(): Uint8Array | undefined {
    return this.#buffers.tryTake(this.layout.lengthBytes)
  }

  returnBuffer(buffer: Uint8Array): void {
    this.#buffers.giveBack(buffer)
  }

  async writePiece(index: number, bytes: Uint8Array, expected?: Uint8Array): Promise<PieceOutcome> {
    this.check()
    return this.blob.write(index, bytes, expected)
  }

  async dropPieces(indexes: readonly number[]): Promise<void> {
    this.check()
    this.blob.drop(indexes)
  }

  async finish(options?: { signal?: AbortSignal }): Promise<WholeOutcome> {
    this.check()
    options?.signal?.throwIfAborted()
    return this.blob.finish()
  }
}

function isEqual(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0
}
