/**
 * One blob on disk while somebody holds it: how it grows, becomes whole, and falls back to partial
 * when the disk lies. Its state in memory and its file's name change in one turn of the event loop.
 * @module
 */
import { fsync, renameSync, rmSync } from "node:fs"
import { promisify } from "node:util"
import { Bitfield } from "../core/bitfield.ts"
import { type Digest, digestOf, digestOfRaw, SHA256_BYTES } from "../core/digest.ts"
import { codeOf } from "../core/errors.ts"
import type { BlobEntry } from "./blob-entry.ts"
import { hashAt } from "./blob-index.ts"
import { makeSparse } from "./directory.ts"
import { acquireFile, type DiskContext } from "./disk-context.ts"
import { blobCorrupt, pieceMissing } from "./faults.ts"
import { identityOf } from "./file-identity.ts"
import { PieceWriting } from "./piece-writing.ts"
import type { WholeOutcome } from "./store.ts"
import { VerifiedReading } from "./verified-reading.ts"

const syncFile = promisify(fsync)

/** What all leases on one blob share. */
export class DiskBlob {
  readonly entry: BlobEntry
  readonly reading: VerifiedReading
  readonly writing: PieceWriting
  readonly #ctx: DiskContext
  /** The SHA-256 list, once the blob was whole. It stays right: the digest is right. */
  #list: Uint8Array | undefined
  #finishing: Promise<WholeOutcome> | undefined

  constructor(ctx: DiskContext, entry: BlobEntry) {
    this.#ctx = ctx
    this.entry = entry
    this.reading = new VerifiedReading(ctx, this)
    this.writing = new PieceWriting(ctx, this)
  }

  /** Gives the SHA-256 list of a complete blob. */
  list(): Uint8Array | undefined {
    if (!this.entry.isComplete) return undefined
    this.#list ??= this.#ctx.index.list(this.entry.digest)
    return this.#list
  }

  pieceSha256(index: number): Uint8Array | undefined {
    const list = this.#list ?? this.list()
    if (list !== undefined) return hashAt(list, index)
    return this.#ctx.index.pieceSha256(this.entry.digest, index)
  }

  async corrupted(pieces: readonly number[]): Promise<never> {
    await this.lose(pieces)
    throw blobCorrupt(this.entry.digest, pieces)
  }

  /** Drops pieces whose bytes changed on disk; a complete blob is partial again. */
  async lose(pieces: readonly number[]): Promise<void> {
    const { entry } = this
    const bad = pieces.filter((index) => entry.pieces.has(index))
    if (bad.length === 0) return
    this.#ctx.corruptPieces.add(bad.length)
    this.#ctx.log.warn({ digest: entry.digest, pieces: bad }, "pieces changed on disk")
    await (entry.isComplete ? this.#demote(bad) : this.drop(bad))
  }

  /** Forgets pieces of a growing blob; those of a complete one are proved right and stay. */
  async drop(indexes: readonly number[]): Promise<void> {
    const { entry } = this
    if (entry.isComplete) return
    const dropped = indexes.filter((index) => entry.pieces.delete(index))
    if (dropped.length === 0) return
    this.#forgetChecks(dropped)
    this.writing.dropped(dropped)
    const noted = this.#ctx.index.dropPieces(entry.digest, dropped)
    this.#ctx.changes.emit({ kind: "partial", digest: entry.digest })
    await noted
  }

  /** Checks the whole and makes the blob complete; callers at the same time share one attempt. */
  finish(): Promise<WholeOutcome> {
    if (this.entry.isComplete) return Promise.resolve({ kind: "complete" })
    this.#finishing ??= this.#ctx.serial
      .run(this.entry.digest, () => this.#finishOnce())
      .finally(() => {
        this.#finishing = undefined
      })
    return this.#finishing
  }

  /**
   * Takes over whole bytes that came by another way, are proved right and lie at `path`: the file
   * takes its place and the blob is complete. The index is the caller's to write.
   */
  becomeWhole(path: string, list: Uint8Array): void {
    const { entry } = this
    renameSync(path, this.#ctx.directory.blob(entry.digest, true))
    this.#ctx.files.forget(entry.digest)
    this.#markComplete(list)
  }

  /**
   * The only piece is right, and durable at the blob's own place: so is the whole. Notes it and tells.
   * @param identity - which file it is
   */
  async placed(sha256: Uint8Array, identity: string): Promise<void> {
    const { entry } = this
    const { digest } = entry
    entry.isNotedComplete = true
    try {
      await this.#ctx.index.complete(entry.record(), sha256, { isNew: true })
    } catch (error) {
      entry.isNotedComplete = false
      rmSync(this.#ctx.directory.blob(digest, true), { force: true })
      throw error
    }
    this.#markComplete(new Uint8Array(sha256))
    entry.markAllChecked(identity)
    this.#ctx.changes.emit({ kind: "piece", digest, index: 0 })
    this.#ctx.changes.emit({ kind: "complete", digest })
  }

  /** Rehashes the pieces that are there and drops the wrong ones. */
  async recheck(): Promise<void> {
    await this.lose(await this.reading.recheck(this.present()))
  }

  /** Gives the indexes of the pieces that are there. */
  present(): number[] {
    const { pieces } = this.entry
    const indexes = Array.from({ length: pieces.size }, (_, index) => index)
    return indexes.filter((index) => pieces.has(index))
  }

  /** Lets go of what only a held blob needs. */
  rest(): void {
    this.writing.detach()
  }

  async #finishOnce(): Promise<WholeOutcome> {
    const { entry } = this
    const drops = entry.dropCount
    if (entry.isComplete) return { kind: "complete" }
    this.#requireAll()
    // Of no bytes at all.
    if (!entry.isOnDisk) makeSparse(this.#ctx.directory.blob(entry.digest, false), 0)
    const list = await this.#collectList()
    // Pieces that a reader found changed and dropped meanwhile cannot be hashed: then all are looked at
    // again, and what is missing is told.
    const actual = await this.#wholeDigest(list).catch((error: unknown) => {
      if (entry.dropCount === drops) throw error
      return undefined
    })
    if (entry.dropCount !== drops || actual === undefined) return this.#finishOnce()
    if (actual !== entry.digest) {
      await this.#requireUnchanged()
      // A reader that finds changed pieces drops them by itself, and the look at them leaves those out.
      return entry.dropCount === drops ? { kind: "mismatch", actual } : this.#finishOnce()
    }
    await this.#syncFile()
    this.#requireAll()
    renameSync(
      this.#ctx.directory.blob(entry.digest, false),
      this.#ctx.directory.blob(entry.digest, true),
    )
    this.#markComplete(list)
    await this.settleComplete()
    return { kind: "complete" }
  }

  /** Makes a completion durable and known, after the file is at its place. */
  async settleComplete(): Promise<void> {
    const { entry } = this
    const epoch = entry.fileEpoch
    const identity = await identityOf(this.#ctx.directory.blob(entry.digest, true))
    if (entry.fileEpoch === epoch) entry.markAllChecked(identity)
    await this.#ctx.directory.syncName(entry.digest)
    // Unless the disk lied meanwhile: then the index was told so already.
    if (entry.isComplete && this.#list !== undefined) {
      entry.isNotedComplete = true
      await this.#ctx.index.complete(entry.record(), this.#list)
    }
    this.#ctx.changes.emit({ kind: "complete", digest: entry.digest })
  }

  /** @throws StoreError `BLOB_CORRUPT` when the disk has other bytes than were written */
  async #requireUnchanged(): Promise<void> {
    const bad = await this.reading.recheck(this.present())
    if (bad.length > 0) await this.corrupted(bad)
  }

  async #wholeDigest(list: Uint8Array): Promise<Digest> {
    const { count } = this.entry.layout
    if (count === 0) return digestOf(new Uint8Array(0))
    // A blob of one piece is that piece.
    if (count === 1) return digestOfRaw(list)
    return digestOfRaw(await this.writing.wholeSha256())
  }

  async #collectList(): Promise<Uint8Array> {
    const { digest, layout } = this.entry
    const list = new Uint8Array(layout.count * SHA256_BYTES)
    const found = new Bitfield(layout.count)
    for await (const [index, sha256] of this.#notedPieces(digest, layout.count)) {
      list.set(sha256, index * SHA256_BYTES)
      found.add(index)
    }
    // An index that lost keys: their pieces are fetched anew.
    if (!found.isFull) await this.drop(this.present().filter((index) => !found.has(index)))
    this.#requireAll()
    return list
  }

  /** Gives what the index knows. For one piece no iterator is needed. */
  #notedPieces(
    digest: Digest,
    count: number,
  ): AsyncIterable<readonly [number, Uint8Array]> | Iterable<readonly [number, Uint8Array]> {
    if (count !== 1) return this.#ctx.index.pieces(digest)
    const sha256 = this.#ctx.index.pieceSha256(digest, 0)
    return sha256 === undefined ? [] : [[0, sha256]]
  }

  async #syncFile(): Promise<void> {
    const file = await acquireFile(this.#ctx, this.entry)
    try {
      await syncFile(file.fd)
    } finally {
      this.#ctx.files.release(file)
    }
  }

  #markComplete(list: Uint8Array): void {
    const { entry } = this
    for (let index = 0; index < entry.layout.count; index++) entry.pieces.add(index)
    entry.isComplete = true
    entry.fileEpoch++
    this.#list = list
    this.writing.detach()
  }

  /** Makes a complete blob partial again, without some of its pieces. */
  async #demote(bad: readonly number[]): Promise<void> {
    const { entry } = this
    const list = this.list()
    // Without its list nothing of the blob can be told right from wrong.
    const lost = list === undefined ? this.present() : bad
    const dropped = lost.filter((index) => entry.pieces.delete(index))
    this.#forgetChecks(dropped)
    entry.isComplete = false
    entry.isNotedComplete = false
    entry.isOnDisk = true
    entry.bootId = this.#ctx.bootId
    entry.fileEpoch++
    this.#ctx.files.forget(entry.digest)
    this.#moveBack()
    const isGood = (index: number) => entry.pieces.has(index)
    const noted = this.#ctx.index.demote(entry.record(), list ?? new Uint8Array(0), isGood)
    this.#ctx.changes.emit({ kind: "partial", digest: entry.digest })
    await noted
  }

  #moveBack(): void {
    const { directory } = this.#ctx
    const { digest, sizeBytes } = this.entry
    try {
      renameSync(directory.blob(digest, true), directory.blob(digest, false))
    } catch (error) {
      // The file is gone: the blob begins anew.
      if (codeOf(error) !== "ENOENT") throw error
    }
    makeSparse(directory.blob(digest, false), sizeBytes)
  }

  #forgetChecks(dropped: readonly number[]): void {
    this.entry.dropCount++
    for (const index of dropped) this.entry.checked?.pieces.delete(index)
  }

  #requireAll(): void {
    const { entry } = this
    if (!entry.pieces.isFull) throw pieceMissing(entry.digest, { start: 0, end: entry.sizeBytes })
  }
}
