import { describe, expect, test } from "vitest"
import { BoundedDatastore } from "../../../src/net/bounded-datastore.ts"

type Key = Parameters<BoundedDatastore["get"]>[0]

/** As much of libp2p's key as the store uses. */
class NamedKey {
  readonly #bytes: Uint8Array

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
  }

  uint8Array(): Uint8Array {
    return this.#bytes
  }

  toString(): string {
    return Buffer.from(this.#bytes).toString()
  }
}

const keyOf = (name: string): Key => new NamedKey(Buffer.from(name)) as unknown as Key
const value = (byte: number): Uint8Array => Uint8Array.of(byte)

async function all<T>(source: AsyncIterable<T> | Iterable<T>): Promise<T[]> {
  const items: T[] = []
  for await (const item of source) items.push(item)
  return items
}

describe("bounded datastore", () => {
  test("keeps, finds and forgets", () => {
    const store = new BoundedDatastore()
    store.put(keyOf("/a"), value(1))
    expect([store.has(keyOf("/a")), [...store.get(keyOf("/a"))]]).toEqual([true, [1]])
    store.delete(keyOf("/a"))
    expect(store.has(keyOf("/a"))).toBe(false)
    expect(() => store.get(keyOf("/a"))).toThrow(expect.objectContaining({ name: "NotFoundError" }))
  })

  test("keeps nothing of the pools and frames that keys and values lie in", async () => {
    const store = new BoundedDatastore()
    const frame = new Uint8Array(8 * 1024)
    frame.set(Buffer.from("/a"), 100)
    store.put(new NamedKey(frame.subarray(100, 102)) as unknown as Key, frame.subarray(200, 240))
    const [pair] = await all(store.query({}))
    expect(pair!.key.toString()).toBe("/a")
    expect(pair!.key.uint8Array().buffer.byteLength).toBe(2)
    expect(pair!.value.buffer.byteLength).toBe(40)
  })

  test("answers queries by prefix, filter, order, offset and limit", async () => {
    const store = new BoundedDatastore()
    for (const [index, name] of ["/x/a", "/x/b", "/y/c", "/x/d"].entries()) {
      store.put(keyOf(name), value(index))
    }
    const found = await all(store.query({ prefix: "/x", filters: [(pair) => pair.value[0]! > 0] }))
    expect(found.map(({ key }) => String(key))).toEqual(["/x/b", "/x/d"])
    const byName = (left: Key, right: Key): 1 | -1 => (String(left) < String(right) ? 1 : -1)
    const keys = store.queryKeys({ prefix: "/x", orders: [byName], offset: 1, limit: 1 })
    expect((await all(keys)).map(String)).toEqual(["/x/b"])
  })

  test("does many things at once", async () => {
    const store = new BoundedDatastore()
    const pairs = ["/a", "/b"].map((name, index) => ({ key: keyOf(name), value: value(index) }))
    await all(store.putMany(pairs))
    expect((await all(store.getMany(pairs.map(({ key }) => key)))).length).toBe(2)
    await all(store.deleteMany([keyOf("/a")]))
    const batch = store.batch()
    batch.put(keyOf("/c"), value(2))
    batch.delete(keyOf("/b"))
    expect(store.size).toBe(1)
    await batch.commit()
    expect([store.has(keyOf("/b")), store.has(keyOf("/c"))]).toEqual([false, true])
  })

  test("is bounded: what was written longest ago gives way", () => {
    const store = new BoundedDatastore()
    for (let count = 0; count < 16_384; count++) store.put(keyOf(`/${count}`), value(0))
    store.put(keyOf("/0"), value(1))
    store.put(keyOf("/one more"), value(0))
    expect(store.size).toBe(16_384)
    expect([store.has(keyOf("/0")), store.has(keyOf("/1"))]).toEqual([true, false])
  })

  test("keeps no record that is too large, nor the old one in its place", () => {
    const store = new BoundedDatastore()
    store.put(keyOf("/a"), value(1))
    store.put(keyOf("/a"), new Uint8Array(64 * 1024 + 1))
    expect(store.size).toBe(0)
  })
})
