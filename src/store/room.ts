/**
 * Room on the disk: counts what is promised, and makes blobs go that nobody needs.
 * @module
 */
import { statfsSync } from "node:fs"
import type { Counter } from "../core/metrics.ts"
import type { BlobEntry, BlobTable } from "./blob-entry.ts"
import { unlinkIfThere } from "./directory.ts"
import type { DiskContext } from "./disk-context.ts"
import { StoreError } from "./errors.ts"
import type { PinSet } from "./pin-set.ts"
import { leastRecentlyUsed, makeRoom } from "./quota.ts"
import type { SweepReport } from "./store.ts"

/** So much of the file system stays free, for the index above all. */
const SPARE_BYTES = 8 * 1024 * 1024
/** The file system is asked for its free space after so many bytes, or so long. */
const LOOK_BYTES = 1024 * 1024
const LOOK_MS = 1_000

/** Bytes that are promised to something that is no blob yet. */
export interface Reservation {
  add(bytes: number): void
  /** Gives all of it back; may be called again. */
  release(): void
}

/** The quota of one store. */
export class Room {
  readonly quotaBytes: number
  readonly #ctx: DiskContext
  readonly #table: BlobTable
  readonly #pins: PinSet
  readonly #sweptBytes: Counter
  /** Bytes of removed blobs that are still on the disk. */
  #clearingBytes = 0
  #promisedBytes = 0
  #lookedMs = Number.NEGATIVE_INFINITY
  #isTight = false

  constructor(
    deps: { ctx: DiskContext; table: BlobTable; pins: PinSet; sweptBytes: Counter },
    options: { quotaBytes: number },
  ) {
    this.#ctx = deps.ctx
    this.#table = deps.table
    this.#pins = deps.pins
    this.#sweptBytes = deps.sweptBytes
    this.quotaBytes = options.quotaBytes
  }

  /**
   * Makes sure that `bytes` more fit; what must go for it goes at once from the table, and from the
   * disk soon after.
   * @throws StoreError `QUOTA_EXCEEDED`, `DISK_FULL`
   */
  make(bytes: number): void {
    const { usedBytes } = this.#table
    const diskBytes = this.#diskBytes(bytes)
    const quotaBytes = Math.min(this.quotaBytes, diskBytes)
    for (const entry of this.#choose({ usedBytes, quotaBytes, wantedBytes: bytes })) {
      this.#sweptBytes.add(entry.sizeBytes)
      void this.remove(entry)
    }
  }

  reservation(): Reservation {
    let reserved = 0
    return {
      add: (bytes) => {
        this.make(bytes)
        reserved += bytes
        this.#table.stagedBytes += bytes
      },
      release: () => {
        this.#table.stagedBytes -= reserved
        reserved = 0
      },
    }
  }

  async sweep(targetBytes: number): Promise<SweepReport> {
    const bytes = this.#table.usedBytes - targetBytes
    const victims = leastRecentlyUsed(this.#candidates(), bytes, this.#pins.goesLast)
    const freedBytes = victims.reduce((sum, entry) => sum + entry.sizeBytes, 0)
    const removed = victims.map((entry) => entry.digest)
    this.#sweptBytes.add(freedBytes)
    await Promise.all(victims.map((entry) => this.remove(entry)))
    return { removed, freedBytes }
  }

  /** Takes a blob away: from the table in this turn, then from the index and the disk. */
  remove(entry: BlobEntry): Promise<void> {
    this.#forget(entry)
    return this.#ctx.serial.run(entry.digest, () => this.#clear(entry))
  }

  /** The same for a caller that has the digest's turn already. */
  removeInTurn(entry: BlobEntry): Promise<void> {
    this.#forget(entry)
    return this.#clear(entry)
  }

  #forget(entry: BlobEntry): void {
    this.#table.delete(entry)
    this.#ctx.changes.emit({ kind: "removed", digest: entry.digest })
  }

  /** First the index, then the file: a file alone is removed at the next start. */
  async #clear(entry: BlobEntry): Promise<void> {
    const { directory, files, index, log } = this.#ctx
    const { digest } = entry
    const freedBytes = entry.isComplete ? entry.sizeBytes : 0
    this.#clearingBytes += freedBytes
    try {
      await index.remove(digest, entry.isComplete ? [] : indexesOf(entry))
      files.forget(digest)
      await unlinkIfThere(directory.blob(digest, true))
      await unlinkIfThere(directory.blob(digest, false))
    } catch (error) {
      log.error({ digest, error }, "a removed blob could not be cleared from disk")
    } finally {
      this.#clearingBytes -= freedBytes
    }
  }

  #choose(amounts: {
    usedBytes: number
    quotaBytes: number
    wantedBytes: number
  }): readonly BlobEntry[] {
    if (amounts.usedBytes + amounts.wantedBytes <= amounts.quotaBytes) return []
    try {
      return makeRoom(this.#candidates(), amounts, this.#pins.goesLast)
    } catch (error) {
      if (amounts.quotaBytes >= this.quotaBytes) throw error
      const message = `${amounts.wantedBytes} more bytes do not fit on the disk`
      throw new StoreError("DISK_FULL", message, { cause: error })
    }
  }

  #candidates(): BlobEntry[] {
    const isFree = (entry: BlobEntry) => entry.holdCount === 0 && !this.#pins.keeps(entry.digest)
    return this.#table.values().filter(isFree)
  }

  /** Gives what the store could use of the file system in all; looks only now and then. */
  #diskBytes(bytes: number): number {
    const nowMs = this.#ctx.clock.monotonicMs()
    this.#promisedBytes += bytes
    const isDue =
      this.#isTight || this.#promisedBytes >= LOOK_BYTES || nowMs - this.#lookedMs >= LOOK_MS
    if (!isDue) return Number.POSITIVE_INFINITY
    this.#promisedBytes = 0
    this.#lookedMs = nowMs
    const { bavail, bsize } = statfsSync(this.#ctx.directory.root)
    const freeBytes = Math.max(0, bavail * bsize + this.#clearingBytes - SPARE_BYTES)
    this.#isTight = freeBytes < LOOK_BYTES + bytes
    return this.#table.usedBytes + freeBytes
  }
}

function* indexesOf(entry: BlobEntry): Iterable<number> {
  for (let index = 0; index < entry.layout.count; index++) {
    if (entry.pieces.has(index)) yield index
  }
}
