/**
 * Reads of one blob that never give bytes which were not hashed since the file last changed.
 * @module
 */
import { fstatSync } from "node:fs"
import { Bitfield } from "../core/bitfield.ts"
import { sha256 } from "../core/digest.ts"
import { codeOf } from "../core/errors.ts"
import { type ByteRange, pieceRange, piecesOf } from "../core/piece.ts"
import type { BlobEntry } from "./blob-entry.ts"
import { acquireFile, type DiskContext } from "./disk-context.ts"
import { pieceMissing } from "./faults.ts"
import { identityOf, identityOfStat } from "./file-identity.ts"
import { readFully } from "./file-reading.ts"
import { holdsRange } from "./reading.ts"

/** So often a file is looked at, whether somebody else changed it. */
const LOOK_MS = 1_000
/** Below this, asking the piece thread costs about as much as hashing. */
const THREAD_BYTES_MIN = 128 * 1024

/** What the reading needs of its blob. */
export interface ReadableBlob {
  readonly entry: BlobEntry
  /** Gives the SHA-256 that a piece was verified with. */
  pieceSha256(index: number): Uint8Array | undefined
  /** Drops pieces whose bytes changed on disk. @throws StoreError `BLOB_CORRUPT` */
  corrupted(pieces: readonly number[]): Promise<never>
}

/** The reading of one blob, for all its leases. */
export class VerifiedReading {
  readonly #ctx: DiskContext
  readonly #blob: ReadableBlob
  readonly #entry: BlobEntry
  readonly #checks = new Map<number, Promise<boolean>>()
  #lookDueMs = 0

  constructor(ctx: DiskContext, blob: ReadableBlob) {
    this.#ctx = ctx
    this.#blob = blob
    this.#entry = blob.entry
  }

  /** Makes the next read look whether the file changed. */
  lookAgain(): void {
    this.#lookDueMs = 0
  }

  /** Fills `targets` with the bytes of `range`. @throws StoreError `PIECE_MISSING`, `BLOB_CORRUPT` */
  async read(range: ByteRange, targets: readonly Uint8Array[]): Promise<void> {
    const entry = this.#entry
    const pieces = piecesOf(entry.layout, range)
    for (;;) {
      if (!holdsRange(entry.layout, entry.pieces, range)) throw pieceMissing(entry.digest, range)
      const drops = entry.dropCount
      if (entry.isComplete && this.#ctx.clock.monotonicMs() >= this.#lookDueMs) await this.#look()
      const unchecked = this.#unchecked(pieces)
      if (unchecked.length > 0) await this.#checkAll(unchecked)
      const count = await this.#readFile(range, targets)
      // Pieces were dropped meanwhile, and perhaps written anew: what was read may be a mixture.
      if (entry.dropCount !== drops || this.#unchecked(pieces).length > 0) continue
      if (count === range.end - range.start) return
      const lost = piecesOf(entry.layout, { start: range.start + count, end: range.end })
      await this.#blob.corrupted(indexesOf(lost))
    }
  }

  /** Hashes pieces from disk, whatever is known of them. @returns those that are wrong */
  async recheck(indexes: readonly number[], signal?: AbortSignal): Promise<number[]> {
    const bad: number[] = []
    for (const index of indexes) {
      signal?.throwIfAborted()
      this.#ctx.lifetime.check()
      const drops = this.#entry.dropCount
      const isRight = await this.#hashPiece(index)
      if (isRight || this.#entry.dropCount !== drops) continue
      this.#entry.checked?.pieces.delete(index)
      bad.push(index)
    }
    return bad
  }

  async #readFile(range: ByteRange, targets: readonly Uint8Array[]): Promise<number> {
    const { files } = this.#ctx
    const file = files.tryAcquire(this.#entry.digest) ?? (await this.#acquire())
    if (file === undefined) return 0
    try {
      return await readFully(file.fd, targets, range.start)
    } finally {
      files.release(file)
    }
  }

  async #acquire() {
    try {
      return await acquireFile(this.#ctx, this.#entry)
    } catch (error) {
      // Somebody deleted the file: it is read as an empty one, and its pieces are found lost.
      if (codeOf(error) === "ENOENT") return undefined
      throw error
    }
  }

  /** Forgets what was checked if the file is no longer the same. */
  async #look(): Promise<void> {
    const entry = this.#entry
    const epoch = entry.fileEpoch
    const identity = await this.#identity()
    if (entry.fileEpoch !== epoch) return
    this.#lookDueMs = this.#ctx.clock.monotonicMs() + LOOK_MS
    if (entry.checked !== undefined && entry.checked.identity === identity) return
    entry.checked = { identity, pieces: new Bitfield(entry.layout.count) }
    this.#ctx.files.forget(entry.digest)
  }

  /** Of the file at the blob's place: one that is just being opened is that one. */
  async #identity(): Promise<string | undefined> {
    const { digest } = this.#entry
    if (this.#ctx.files.has(digest)) return identityOf(this.#ctx.directory.blob(digest, true))
    const file = await this.#acquire()
    if (file === undefined) return undefined
    const identity = identityOfStat(fstatSync(file.fd, { bigint: true }))
    this.#ctx.files.release(file)
    return identity
  }

  #unchecked(pieces: ByteRange): number[] {
    const checked = this.#entry.checked?.pieces
    const unchecked: number[] = []
    for (let index = pieces.start; index < pieces.end; index++) {
      if (checked?.has(index) !== true) unchecked.push(index)
    }
    return unchecked
  }

  async #checkAll(indexes: readonly number[]): Promise<void> {
    this.#checkAhead(indexes.at(-1)! + 1)
    const results = await Promise.all(indexes.map((index) => this.#check(index)))
    const bad = indexes.filter((_, position) => results[position] === false)
    if (bad.length > 0) await this.#blob.corrupted(bad)
  }

  /** A reader most often goes on: the next piece is hashed while this one is sent. */
  #checkAhead(index: number): void {
    const entry = this.#entry
    if (index >= entry.layout.count || !entry.pieces.has(index)) return
    if (entry.checked?.pieces.has(index) === true) return
    // A fault shows again when the piece is really read.
    this.#ctx.lifetime.run(() => this.#check(index)).catch(() => {})
  }

  /** @returns false when the bytes are wrong; one check of a piece runs at a time */
  #check(index: number): Promise<boolean> {
    const running = this.#checks.get(index)
    if (running !== undefined) return running
    const check = this.#checkOnce(index).finally(() => this.#checks.delete(index))
    this.#checks.set(index, check)
    return check
  }

  async #checkOnce(index: number): Promise<boolean> {
    const entry = this.#entry
    const drops = entry.dropCount
    if (entry.checked === undefined) {
      entry.checked = { identity: undefined, pieces: new Bitfield(entry.layout.count) }
    }
    const { checked } = entry
    const isRight = await this.#hashPiece(index)
    // The piece that was hashed may be gone by now; the reader looks again.
    if (entry.dropCount !== drops) return true
    if (isRight) checked.pieces.add(index)
    return isRight
  }

  /** Hashes a piece from disk. @returns whether it is there and right */
  async #hashPiece(index: number): Promise<boolean> {
    const wanted = this.#blob.pieceSha256(index)
    const file = this.#ctx.files.tryAcquire(this.#entry.digest) ?? (await this.#acquire())
    if (file === undefined || wanted === undefined) return false
    try {
      const actual = await this.#hashPart(file.fd, pieceRange(this.#entry.layout, index))
      return Buffer.compare(actual, wanted) === 0
    } finally {
      this.#ctx.files.release(file)
    }
  }

  async #hashPart(fd: number, { start, end }: ByteRange): Promise<Uint8Array> {
    const lengthBytes = end - start
    if (lengthBytes >= THREAD_BYTES_MIN) {
      const answer = await this.#ctx.thread.ask({ kind: "hash", fd, offset: start, lengthBytes })
      return answer.sha256
    }
    const bytes = new Uint8Array(lengthBytes)
    const count = await readFully(fd, [bytes], start)
    return sha256(bytes.subarray(0, count))
  }
}

function indexesOf({ start, end }: ByteRange): number[] {
  return Array.from({ length: end - start }, (_, position) => start + position)
}
