/**
 * The in-memory twin of the index ({@link Kv}).
 * @module
 */
import type { Kv, KvChange } from "./kv.ts"

/** Makes an empty index in memory. */
export function createMemoryKv(): Kv {
  return new MemoryKv()
}

class MemoryKv implements Kv {
  readonly #values = new Map<string, Uint8Array>()
  readonly #parts = new Map<string, MemoryKv>()
  #sorted: readonly string[] | undefined

  get(key: string): Uint8Array | undefined {
    return this.#values.get(key)?.slice()
  }

  put(key: string, value: Uint8Array): Promise<void> {
    return this.batch([{ kind: "put", key, value }])
  }

  del(key: string): Promise<void> {
    return this.batch([{ kind: "del", key }])
  }

  async batch(changes: readonly KvChange[]): Promise<void> {
    for (const change of changes) {
      if (change.kind === "put") this.#values.set(change.key, change.value.slice())
      else this.#values.delete(change.key)
    }
    this.#sorted = undefined
  }

  async *scan(
    prefix: string,
    options?: { after?: string; limit?: number },
  ): AsyncIterable<readonly [key: string, value: Uint8Array]> {
    const { after, limit = Number.POSITIVE_INFINITY } = options ?? {}
    const keys = this.#keys().filter(
      (key) => key.startsWith(prefix) && (after === undefined || compareUtf8(key, after) > 0),
    )
    // A scan sees the map as it was when it began, as a snapshot of level does.
    const entries = keys.slice(0, limit).map((key) => [key, this.#values.get(key)!] as const)
    for (const [key, value] of entries) yield [key, value.slice()]
  }

  part(name: string): Kv {
    const known = this.#parts.get(name)
    if (known !== undefined) return known
    const part = new MemoryKv()
    this.#parts.set(name, part)
    return part
  }

  #keys(): readonly string[] {
    this.#sorted ??= [...this.#values.keys()].sort(compareUtf8)
    return this.#sorted
  }
}

/** Compares as level does: by UTF-8 bytes, which differs from `<` beyond U+FFFF. */
function compareUtf8(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b))
}
