/**
 * What the parts of the store on disk share.
 * @module
 */
import type { Clock } from "../core/clock.ts"
import type { Digest } from "../core/digest.ts"
import type { Logger } from "../core/log.ts"
import type { Counter } from "../core/metrics.ts"
import type { Serial } from "../core/serial.ts"
import type { BlobEntry } from "./blob-entry.ts"
import type { BlobIndex } from "./blob-index.ts"
import type { Changes } from "./changes.ts"
import type { Directory } from "./directory.ts"
import type { FilePool, PooledFile } from "./file-pool.ts"
import type { Lifetime } from "./lifetime.ts"
import type { PieceBuffers } from "./piece-buffers.ts"
import type { PieceThread } from "./piece-thread.ts"
import type { WholePlacing } from "./whole-placing.ts"

/** The tools of one open store. */
export interface DiskContext {
  readonly clock: Clock
  readonly log: Logger
  readonly directory: Directory
  readonly index: BlobIndex
  readonly files: FilePool
  /** Hashes and writes pieces. */
  readonly thread: PieceThread
  /** Hashes whole blobs as they grow: a thread that did both was what all others waited for. */
  readonly wholeThread: PieceThread
  /** Makes files of blobs of one piece. */
  readonly placing: WholePlacing
  readonly buffers: PieceBuffers
  readonly changes: Changes
  readonly lifetime: Lifetime
  /** Changes of one blob's state wait for each other; reads do not. */
  readonly serial: Serial<Digest>
  readonly bootId: string
  readonly corruptPieces: Counter
}

/** Opens the file that holds a blob's bytes now. Hand it back to the pool. */
export async function acquireFile(ctx: DiskContext, entry: BlobEntry): Promise<PooledFile> {
  for (;;) {
    const epoch = entry.fileEpoch
    const path = ctx.directory.blob(entry.digest, entry.isComplete)
    const isGrowing = !entry.isComplete
    try {
      const file = await ctx.files.acquire(entry.digest, { path, isGrowing })
      if (entry.fileEpoch === epoch) return file
      ctx.files.release(file)
    } catch (error) {
      // The bytes moved while their old place was being opened: look again.
      if (entry.fileEpoch === epoch) throw error
    }
  }
}
