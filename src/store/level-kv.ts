/**
 * The index on disk: {@link Kv} over LevelDB. Its lock is the kernel's (fcntl), so that a killed
 * node leaves none behind.
 * @module
 */
import { Level } from "level"
import { codeOf } from "../core/errors.ts"
import { StoreError } from "./errors.ts"
import { diskFault, storeClosed } from "./faults.ts"
import type { Kv, KvChange } from "./kv.ts"

/**
 * What LevelDB keeps of blocks that were read, and of changes before it writes a table (twice that while it
 * does); 8 and 4 MiB unless told. Records here are of a few bytes, and a block that is not kept is one copy
 * from the system's memory.
 */
const CACHE_BYTES: number = 1024 * 1024
const WRITE_BUFFER_BYTES: number = 1024 * 1024
/** Most changes that one write to LevelDB carries; larger batches stay whole. */
const WRITE_CHANGES_MAX = 4096

type Operation =
  | { readonly type: "put"; readonly key: string; readonly value: Uint8Array }
  | { readonly type: "del"; readonly key: string }

interface Pending {
  readonly operations: readonly Operation[]
  readonly isSync: boolean
  readonly resolve: () => void
  readonly reject: (reason: unknown) => void
}

/** An index whose batches can be made durable against a loss of power. */
export interface DurableKv extends Kv {
  batch(changes: readonly KvChange[], options?: { isSync?: boolean }): Promise<void>
  part(name: string): DurableKv
}

/**
 * Opens the index in a directory.
 * @param owner - the directory that a fault names; what the index belongs to
 * @throws StoreError `STORE_LOCKED`, `STORE_READ_ONLY`, `DISK_FULL`
 */
export async function openLevelKv(
  directory: string,
  owner: string = directory,
): Promise<{ kv: DurableKv; close(): Promise<void> }> {
  const level = new Level<string, Uint8Array>(directory, {
    keyEncoding: "utf8",
    valueEncoding: "view",
    cacheSize: CACHE_BYTES,
    writeBufferSize: WRITE_BUFFER_BYTES,
  })
  try {
    await level.open()
  } catch (error) {
    throw openFault(owner, error)
  }
  const writer = new LevelWriter(level)
  return { kv: new LevelKv(level, writer, ""), close: () => writer.close() }
}

function openFault(owner: string, error: unknown): unknown {
  const cause = error instanceof Error ? (error.cause ?? error) : error
  if (codeOf(cause) !== "LEVEL_LOCKED") return diskFault(cause)
  return new StoreError("STORE_LOCKED", `another node runs on ${owner}`, { cause })
}

/**
 * Writes in the order of the calls. What comes while a write is under way goes into the next one
 * together, so that many small notes cost little.
 */
class LevelWriter {
  readonly #level: Level<string, Uint8Array>
  #queue: Pending[] = []
  #running: Promise<void> | undefined
  #isClosed = false

  constructor(level: Level<string, Uint8Array>) {
    this.#level = level
  }

  write(operations: readonly Operation[], isSync: boolean): Promise<void> {
    if (this.#isClosed) return Promise.reject(storeClosed())
    return new Promise((resolve, reject) => {
      this.#queue.push({ operations, isSync, resolve, reject })
      this.#running ??= this.#drain()
    })
  }

  async close(): Promise<void> {
    this.#isClosed = true
    await this.#running
    await this.#level.close()
  }

  async #drain(): Promise<void> {
    // One turn of the microtask queue, so that calls made together go together.
    await Promise.resolve()
    while (this.#queue.length > 0) await this.#writeOnce(this.#next())
    this.#running = undefined
  }

  #next(): Pending[] {
    let count = 0
    let changes = 0
    for (const { operations } of this.#queue) {
      changes += operations.length
      if (count > 0 && changes > WRITE_CHANGES_MAX) break
      count++
    }
    return this.#queue.splice(0, count)
  }

  async #writeOnce(group: readonly Pending[]): Promise<void> {
    const operations = group.flatMap((pending) => pending.operations)
    const isSync = group.some((pending) => pending.isSync)
    try {
      await this.#level.batch(operations, { sync: isSync })
      for (const pending of group) pending.resolve()
    } catch (error) {
      const fault = diskFault(error)
      for (const pending of group) pending.reject(fault)
    }
  }
}

class LevelKv implements DurableKv {
  readonly #level: Level<string, Uint8Array>
  readonly #writer: LevelWriter
  readonly #path: string

  /** @param path - names of the parts, escaped; `:` ends it, so no path begins another */
  constructor(level: Level<string, Uint8Array>, writer: LevelWriter, path: string) {
    this.#level = level
    this.#writer = writer
    this.#path = path
  }

  get(key: string): Uint8Array | undefined {
    try {
      return this.#level.getSync(this.#key(key))
    } catch (error) {
      throw diskFault(error)
    }
  }

  put(key: string, value: Uint8Array): Promise<void> {
    return this.batch([{ kind: "put", key, value }])
  }

  del(key: string): Promise<void> {
    return this.batch([{ kind: "del", key }])
  }

  batch(changes: readonly KvChange[], options?: { isSync?: boolean }): Promise<void> {
    // Values are copied: the write may wait for its turn, and the caller may reuse its bytes.
    const operations = changes.map((change): Operation => {
      const key = this.#key(change.key)
      if (change.kind === "del") return { type: "del", key }
      return { type: "put", key, value: change.value.slice() }
    })
    return this.#writer.write(operations, options?.isSync ?? false)
  }

  async *scan(
    prefix: string,
    options?: { after?: string; limit?: number },
  ): AsyncIterable<readonly [key: string, value: Uint8Array]> {
    const skip = Buffer.byteLength(this.#key(""))
    const first = Buffer.from(this.#key(prefix))
    const after = options?.after === undefined ? undefined : Buffer.from(this.#key(options.after))
    const start =
      after !== undefined && Buffer.compare(after, first) >= 0 ? { gt: after } : { gte: first }
    const iterator = this.#level.iterator({
      ...start,
      lt: afterPrefix(first),
      limit: options?.limit ?? -1,
      keyEncoding: "buffer",
    })
    try {
      for await (const [key, value] of iterator) yield [key.subarray(skip).toString(), value]
    } catch (error) {
      throw diskFault(error)
    }
  }

  part(name: string): DurableKv {
    return new LevelKv(this.#level, this.#writer, `${this.#path}/${encodeURIComponent(name)}`)
  }

  #key(key: string): string {
    return `${this.#path}:${key}`
  }
}

/** Gives the first key after all that begin with `prefix`. UTF-8 has no byte 0xff. */
function afterPrefix(prefix: Buffer): Buffer {
  const end = Buffer.from(prefix)
  end[end.length - 1]! += 1
  return end
}
