/**
 * What libp2p writes down (peers it met, who provides what), in memory and bounded: strangers decide
 * how much comes, so they must not decide how much is kept.
 * @module
 */
import type { createLibp2p } from "libp2p"

/** Records that are kept; the one that was written longest ago gives way. */
const RECORDS_MAX = 16_384
/** A record of libp2p is far smaller; a larger one is not kept. */
const RECORD_BYTES_MAX: number = 64 * 1024

type Datastore = NonNullable<NonNullable<Parameters<typeof createLibp2p>[0]>["datastore"]>
type Key = Parameters<Datastore["get"]>[0]
type Batch = ReturnType<Datastore["batch"]>
type Query = Parameters<Datastore["query"]>[0]
type KeyQuery = Parameters<Datastore["queryKeys"]>[0]

interface Pair {
  readonly key: Key
  readonly value: Uint8Array
}

type Source<T> = Iterable<T> | AsyncIterable<T>

/** libp2p's `Datastore` in memory. */
export class BoundedDatastore implements Datastore {
  readonly #pairs = new Map<string, Pair>()

  get size(): number {
    return this.#pairs.size
  }

  put(key: Key, value: Uint8Array): Key {
    const name = key.toString()
    this.#pairs.delete(name)
    if (value.length > RECORD_BYTES_MAX) return key
    this.#pairs.set(name, { key: compactKey(key), value: compact(value) })
    const [oldest] = this.#pairs.keys()
    if (this.#pairs.size > RECORDS_MAX) this.#pairs.delete(oldest!)
    return key
  }

  get(key: Key): Uint8Array {
    const pair = this.#pairs.get(key.toString())
    // libp2p knows absence by this name.
    if (pair === undefined) throw Object.assign(new Error("not found"), { name: "NotFoundError" })
    return pair.value
  }

  has(key: Key): boolean {
    return this.#pairs.has(key.toString())
  }

  delete(key: Key): void {
    this.#pairs.delete(key.toString())
  }

  async *putMany(source: Source<Pair>): AsyncGenerator<Key> {
    for await (const { key, value } of source) yield this.put(key, value)
  }

  async *getMany(source: Source<Key>): AsyncGenerator<Pair> {
    for await (const key of source) yield { key, value: this.get(key) }
  }

  async *deleteMany(source: Source<Key>): AsyncGenerator<Key> {
    for await (const key of source) {
      this.delete(key)
      yield key
    }
  }

  batch(): Batch {
    const changes: (() => void)[] = []
    return {
      put: (key, value) => changes.push(() => this.put(key, value)),
      delete: (key) => changes.push(() => this.delete(key)),
      commit: () => {
        for (const change of changes.splice(0)) change()
      },
    }
  }

  *query(query: Query): Generator<Pair> {
    const prefix = query.prefix ?? ""
    const named = [...this.#pairs].filter(([name]) => name.startsWith(prefix))
    const kept = named
      .map(([, pair]) => pair)
      .filter((pair) => (query.filters ?? []).every((filter) => filter(pair)))
    for (const order of query.orders ?? []) kept.sort(order)
    yield* sliceOf(kept, query)
  }

  *queryKeys(query: KeyQuery): Generator<Key> {
    const prefix = query.prefix ?? ""
    const kept = [...this.#pairs]
      .filter(([name]) => name.startsWith(prefix))
      .map(([, { key }]) => key)
      .filter((key) => (query.filters ?? []).every((filter) => filter(key)))
    for (const order of query.orders ?? []) kept.sort(order)
    yield* sliceOf(kept, query)
  }
}

/** Bytes of libp2p lie in pools of 8 KiB and in frames of the network: a view would keep all of them. */
const compact = (bytes: Uint8Array): Uint8Array => new Uint8Array(bytes)

function compactKey(key: Key): Key {
  const KeyOfBytes = key.constructor as new (bytes: Uint8Array) => Key
  return new KeyOfBytes(compact(key.uint8Array()))
}

function sliceOf<T>(all: readonly T[], query: { offset?: number; limit?: number }): readonly T[] {
  const start = query.offset ?? 0
  return all.slice(start, query.limit === undefined ? undefined : start + query.limit)
}
