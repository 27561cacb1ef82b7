/**
 * Whole bytes on their way in: written, verified, fsynced, renamed, noted in the index; on any fault
 * nothing is left.
 * @module
 */
import { rmSync } from "node:fs"
import type { Digest } from "../core/digest.ts"
import { BLOB_BYTES_MAX } from "../core/limits.ts"
import type { Counter } from "../core/metrics.ts"
import { BlobEntry, type BlobTable } from "./blob-entry.ts"
import { unlinkIfThere } from "./directory.ts"
import type { DiskContext } from "./disk-context.ts"
import { digestMismatch, sizeConflict, sizeExceeded } from "./faults.ts"
import type { LiveBlobs } from "./live-blobs.ts"
import type { Reservation, Room } from "./room.ts"
import { partsOf } from "./source.ts"
import { type Sealed, StagedFile } from "./staged-file.ts"
import type { UseNotes } from "./use-notes.ts"

/** What an intake needs of its store. */
export interface IntakeDeps {
  readonly ctx: DiskContext
  readonly table: BlobTable
  readonly live: LiveBlobs
  readonly room: Room
  readonly uses: UseNotes
  readonly ingestedBytes: Counter
}

/** Options of one ingest; see the port. */
export interface IngestOptions {
  readonly expected?: Digest
  readonly sizeBytesMax?: number
  readonly isShared?: boolean
  readonly signal?: AbortSignal
}

/** Takes in a stream. */
export async function ingest(
  deps: IntakeDeps,
  source: AsyncIterable<Uint8Array>,
  options: IngestOptions,
): Promise<BlobEntry> {
  const closing = deps.ctx.lifetime.signal
  const signals = options.signal === undefined ? [closing] : [closing, options.signal]
  const staging = new Staging(deps, options)
  try {
    for await (const bytes of partsOf(source, AbortSignal.any(signals))) {
      await staging.append(bytes)
    }
    return await staging.commit(options.expected)
  } finally {
    await staging.discard()
  }
}

/** One staged file, its share of the quota, and its end as a blob. */
export class Staging {
  readonly #deps: IntakeDeps
  readonly #file: StagedFile
  readonly #reservation: Reservation
  readonly #sizeBytesMax: number
  readonly #isShared: boolean

  constructor(deps: IntakeDeps, options: { sizeBytesMax?: number; isShared?: boolean }) {
    this.#deps = deps
    this.#file = new StagedFile({ thread: deps.ctx.thread }, deps.ctx.directory.staged())
    this.#reservation = deps.room.reservation()
    this.#sizeBytesMax = Math.min(options.sizeBytesMax ?? BLOB_BYTES_MAX, BLOB_BYTES_MAX)
    this.#isShared = options.isShared ?? true
  }

  get sizeBytes(): number {
    return this.#file.sizeBytes
  }

  async append(bytes: Uint8Array): Promise<void> {
    if (this.sizeBytes + bytes.length > this.#sizeBytesMax) throw sizeExceeded(this.#sizeBytesMax)
    this.#reservation.add(bytes.length)
    await this.#file.append(bytes)
  }

  /** @throws StoreError `DIGEST_MISMATCH`, `SIZE_CONFLICT` */
  async commit(expected: Digest | undefined): Promise<BlobEntry> {
    const sealed = await this.#file.seal()
    if (expected !== undefined && sealed.digest !== expected) {
      throw digestMismatch(expected, sealed.digest)
    }
    const { serial } = this.#deps.ctx
    return serial.run(sealed.digest, async () => {
      const entry = await this.#adopt(sealed)
      this.#deps.uses.touch(entry)
      return entry
    })
  }

  /** Removes what is not a blob by now. */
  async discard(): Promise<void> {
    this.#reservation.release()
    await this.#file.discard()
  }

  async #adopt(sealed: Sealed): Promise<BlobEntry> {
    const { ctx, table, room } = this.#deps
    const known = table.get(sealed.digest)
    if (known?.isComplete === true) return known
    if (known !== undefined && known.sizeBytes === sealed.sizeBytes) {
      await this.#complete(known, sealed)
      await unlinkIfThere(ctx.directory.blob(sealed.digest, false))
      return known
    }
    // These bytes are proved, so the size that the partial blob was said to have was wrong.
    if (known !== undefined) {
      if (known.holdCount > 0) throw sizeConflict(sealed.digest, known.sizeBytes, sealed.sizeBytes)
      await room.removeInTurn(known)
    }
    return this.#add(sealed)
  }

  async #add({ digest, sizeBytes, list }: Sealed): Promise<BlobEntry> {
    const { ctx, table } = this.#deps
    const entry = new BlobEntry({
      digest,
      sizeBytes,
      isComplete: false,
      isShared: this.#isShared,
      lastUsedMs: ctx.clock.now(),
      bootId: ctx.bootId,
    })
    try {
      await this.#complete(entry, { digest, sizeBytes, list })
      return entry
    } catch (error) {
      // The index does not know it: nothing may be left.
      table.delete(entry)
      rmSync(ctx.directory.blob(digest, true), { force: true })
      throw error
    }
  }

  async #complete(entry: BlobEntry, { sizeBytes, list }: Sealed): Promise<void> {
    const { table, live, ingestedBytes } = this.#deps
    await live.using(entry, async (blob) => {
      blob.becomeWhole(this.#file.path, list)
      this.#reservation.release()
      if (table.get(entry.digest) !== entry) table.add(entry)
      await blob.settleComplete()
    })
    ingestedBytes.add(sizeBytes)
  }
}
