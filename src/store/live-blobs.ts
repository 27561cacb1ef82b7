/**
 * The blobs that somebody holds: one object each, for as long as it is held.
 * @module
 */
import type { Digest } from "../core/digest.ts"
import type { BlobEntry } from "./blob-entry.ts"
import { DiskBlob } from "./disk-blob.ts"
import type { DiskContext } from "./disk-context.ts"

/** Counts who holds a blob. */
export class LiveBlobs {
  readonly #ctx: DiskContext
  readonly #blobs = new Map<Digest, DiskBlob>()

  constructor(ctx: DiskContext) {
    this.#ctx = ctx
  }

  get(digest: Digest): DiskBlob | undefined {
    return this.#blobs.get(digest)
  }

  /** Holds a blob: until {@link drop}, nothing takes its bytes away. */
  hold(entry: BlobEntry): DiskBlob {
    entry.holdCount++
    let blob = this.#blobs.get(entry.digest)
    if (blob === undefined) {
      blob = new DiskBlob(this.#ctx, entry)
      this.#blobs.set(entry.digest, blob)
    }
    return blob
  }

  drop(blob: DiskBlob): void {
    blob.entry.holdCount--
    if (blob.entry.holdCount > 0) return
    this.#blobs.delete(blob.entry.digest)
    blob.rest()
  }

  /** Holds a blob while `work` runs. */
  async using<T>(entry: BlobEntry, work: (blob: DiskBlob) => Promise<T>): Promise<T> {
    const blob = this.hold(entry)
    try {
      return await work(blob)
    } finally {
      this.drop(blob)
    }
  }
}
