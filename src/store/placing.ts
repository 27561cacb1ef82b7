/**
 * Makes the bytes of a blob of one piece a file under its own name: written, renamed, made durable. The
 * index is the caller's to write, and only then the blob counts: a file that the index does not name is
 * removed at the next start. So one fsync after the rename is enough, for the bytes and for the name.
 * @module
 */
import { closeSync, fstatSync, fsync, fsyncSync, openSync, renameSync, writeSync } from "node:fs"
import { promisify } from "node:util"
import { FILE_MODE } from "./directory.ts"
import { identityOfStat } from "./file-identity.ts"

const syncFile = promisify(fsync)

/** A disk that takes longer than this for one fsync is asked for several at the same time. */
const SLOW_SYNC_MS = 0.3

/** Where the bytes go. */
export interface Place {
  /** Where they are written; a file that is there is overwritten. */
  readonly partialPath: string
  readonly path: string
}

/** What became of a file that was to be made durable; see {@link identityOfStat}. */
export type Settled = { readonly identity: string } | { readonly fault: unknown }

/** Writes bytes and gives them their name. @returns the open file, to be settled */
export function place({ partialPath, path }: Place, bytes: Uint8Array): number {
  const fd = openSync(partialPath, "w", FILE_MODE)
  try {
    let count = 0
    while (count < bytes.length) count += writeSync(fd, bytes, count, bytes.length - count, count)
    renameSync(partialPath, path)
    return fd
  } catch (error) {
    closeSync(fd)
    throw error
  }
}

/** Makes a file durable and closes it, while other work goes on. */
export async function settle(fd: number): Promise<Settled> {
  try {
    await syncFile(fd)
    return identify(fd)
  } catch (fault) {
    return { fault }
  } finally {
    closeSync(fd)
  }
}

/** The same at once. */
function settleNow(fd: number): Settled {
  try {
    fsyncSync(fd)
    return identify(fd)
  } catch (fault) {
    return { fault }
  } finally {
    closeSync(fd)
  }
}

function identify(fd: number): Settled {
  return { identity: identityOfStat(fstatSync(fd, { bigint: true })) }
}

/**
 * Settles files group by group. Handing a fast disk's fsync to another thread costs more than it takes; a
 * slow disk makes several files durable in the time of one.
 */
export class Settling {
  #isSlow = false

  /** @param done - told of each file, by its place in the group */
  settle(files: readonly number[], done: (at: number, settled: Settled) => void): void {
    let at = 0
    for (; at < files.length && !this.#isSlow; at++) {
      const startMs = performance.now()
      const settled = settleNow(files[at]!)
      this.#isSlow = performance.now() - startMs > SLOW_SYNC_MS
      done(at, settled)
    }
    for (; at < files.length; at++) void this.#settleSoon(files[at]!, at, done)
  }

  async #settleSoon(
    fd: number,
    at: number,
    done: (at: number, settled: Settled) => void,
  ): Promise<void> {
    const startMs = performance.now()
    const settled = await settle(fd)
    if (performance.now() - startMs <= SLOW_SYNC_MS) this.#isSlow = false
    done(at, settled)
  }
}
