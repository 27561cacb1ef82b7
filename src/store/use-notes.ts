/**
 * Notes when blobs were last used; to the index only now and then.
 * @module
 */
import type { Clock } from "../core/clock.ts"
import type { Logger } from "../core/log.ts"
import type { BlobEntry, BlobTable } from "./blob-entry.ts"
import type { BlobIndex } from "./blob-index.ts"

/** A use is written at most this often; a crash forgets no more. */
const SAVE_MS = 60_000
/** With so many noted uses, and whenever there are twice as many again, removed blobs are let go of. */
const SWEEP_COUNT_MIN = 1_024

/** The uses that the index does not know yet. */
export class UseNotes {
  readonly #deps: { clock: Clock; log: Logger; index: BlobIndex; table: BlobTable }
  readonly #unsaved = new Set<BlobEntry>()
  #sweepCount = SWEEP_COUNT_MIN
  #cancelSave: (() => void) | undefined

  constructor(deps: { clock: Clock; log: Logger; index: BlobIndex; table: BlobTable }) {
    this.#deps = deps
  }

  touch(entry: BlobEntry): void {
    entry.lastUsedMs = this.#deps.clock.now()
    this.#unsaved.add(entry)
    if (this.#unsaved.size > this.#sweepCount) this.#sweep()
    this.#cancelSave ??= this.#deps.clock.after(SAVE_MS, () => {
      this.save().catch((error: unknown) => {
        this.#deps.log.warn({ error }, "the uses of blobs could not be noted")
      })
    })
  }

  async save(): Promise<void> {
    this.#cancelSave?.()
    this.#cancelSave = undefined
    const entries = [...this.#unsaved]
    this.#unsaved.clear()
    this.#sweepCount = SWEEP_COUNT_MIN
    // A blob that was removed meanwhile must not come back by this.
    const kept = entries.filter((entry) => entry.isNoted && this.#isThere(entry))
    const records = kept.map((entry) => entry.record())
    await Promise.all(records.map((record) => this.#deps.index.putBlob(record)))
  }

  /** Blobs that pass through a small quota would be held here long after they were removed. */
  #sweep(): void {
    for (const entry of this.#unsaved) if (!this.#isThere(entry)) this.#unsaved.delete(entry)
    this.#sweepCount = Math.max(SWEEP_COUNT_MIN, 2 * this.#unsaved.size)
  }

  #isThere(entry: BlobEntry): boolean {
    return this.#deps.table.get(entry.digest) === entry
  }
}
