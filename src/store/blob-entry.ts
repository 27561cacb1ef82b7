/**
 * What the store keeps in memory of each blob, and of all of them together.
 * @module
 */
import { Bitfield } from "../core/bitfield.ts"
import type { Digest } from "../core/digest.ts"
import { type PieceLayout, pieceLayout } from "../core/piece.ts"
import type { BlobRecord } from "./blob-index.ts"
import type { PinSet } from "./pin-set.ts"
import type { BlobStat } from "./store.ts"

/** Pieces whose bytes on disk were seen to be right, and the file in which they were. */
export interface Checked {
  /** Changes whenever somebody touches the file; undefined while only this process writes it. */
  identity: string | undefined
  readonly pieces: Bitfield
}

/** One blob, in memory. */
export class BlobEntry {
  readonly digest: Digest
  readonly layout: PieceLayout
  isComplete: boolean
  /** Whether the index has it, or is about to have it, as complete. */
  isNotedComplete: boolean
  /**
   * Whether a blob that grows has a file and a record of its own. One of one piece needs neither: it is
   * not there, or whole.
   */
  isOnDisk = true
  isShared: boolean
  lastUsedMs: number
  bootId: string
  /** Leases and operations that need the bytes to stay. */
  holdCount = 0
  /** Grows whenever pieces are dropped, so that a read under way notices. */
  dropCount = 0
  /** Grows whenever the bytes move to another path or file. */
  fileEpoch = 0
  checked: Checked | undefined
  #pieces: Bitfield | undefined

  constructor(record: BlobRecord) {
    this.digest = record.digest
    this.layout = pieceLayout(record.sizeBytes)
    this.isComplete = record.isComplete
    this.isNotedComplete = record.isComplete
    this.isShared = record.isShared
    this.lastUsedMs = record.lastUsedMs
    this.bootId = record.bootId
  }

  get sizeBytes(): number {
    return this.layout.sizeBytes
  }

  /** The pieces that are there; one object for the life of the entry. */
  get pieces(): Bitfield {
    this.#pieces ??= this.isComplete
      ? Bitfield.full(this.layout.count)
      : new Bitfield(this.layout.count)
    return this.#pieces
  }

  get pieceCount(): number {
    return this.isComplete ? this.layout.count : this.pieces.count
  }

  /** Marks all pieces as right on disk, in the file of this identity. */
  markAllChecked(identity: string | undefined): void {
    this.checked = { identity, pieces: Bitfield.full(this.layout.count) }
  }

  /** Marks a piece as right on disk. */
  markChecked(index: number): void {
    this.checked ??= { identity: undefined, pieces: new Bitfield(this.layout.count) }
    this.checked.pieces.add(index)
  }

  /** Whether the index has a record of it, or is about to. */
  get isNoted(): boolean {
    return this.isOnDisk || this.isNotedComplete
  }

  /**
   * Gives what the index is to have. Only the step that completes a blob in the index may call it
   * complete there, since the SHA-256 list must come with it.
   */
  record(): BlobRecord {
    const { digest, sizeBytes, isNotedComplete: isComplete, isShared, lastUsedMs, bootId } = this
    return { digest, sizeBytes, isComplete, isShared, lastUsedMs, bootId }
  }

  stat(pins: PinSet): BlobStat {
    const { digest, layout, isComplete, pieceCount, lastUsedMs, isShared } = this
    const isPinned = pins.has(digest)
    return { digest, layout, isComplete, pieceCount, isPinned, lastUsedMs, isShared }
  }
}

/** All blobs of a store and the bytes they count for. */
export class BlobTable {
  readonly #entries = new Map<Digest, BlobEntry>()
  #blobBytes = 0
  /** Bytes of ingests and uploads that are no blob yet. */
  stagedBytes = 0

  get usedBytes(): number {
    return this.#blobBytes + this.stagedBytes
  }

  get count(): number {
    return this.#entries.size
  }

  get(digest: Digest): BlobEntry | undefined {
    return this.#entries.get(digest)
  }

  add(entry: BlobEntry): void {
    this.#entries.set(entry.digest, entry)
    this.#blobBytes += entry.sizeBytes
  }

  delete(entry: BlobEntry): void {
    if (this.#entries.get(entry.digest) !== entry) return
    this.#entries.delete(entry.digest)
    this.#blobBytes -= entry.sizeBytes
  }

  values(): BlobEntry[] {
    return [...this.#entries.values()]
  }
}
