/** What every {@link Kv} does. */
import * as fc from "fast-check"
import { afterEach, beforeEach, describe, expect, test } from "vitest"
import type { Kv, KvChange } from "../../src/store/kv.ts"

/** Runs the contract; `make` gives an empty index and the way to close it. */
export function testKv(
  name: string,
  make: () => Promise<{ kv: Kv; close(): Promise<void> }>,
): void {
  describe(name, () => {
    let kv: Kv
    let close: () => Promise<void>

    beforeEach(async () => {
      const made = await make()
      kv = made.kv
      close = () => made.close()
    })

    afterEach(() => close())

    test("gives what was put, and undefined for what was not", async () => {
      await kv.put("a", bytes("1"))
      expect(text(kv.get("a"))).toBe("1")
      expect(kv.get("b")).toBeUndefined()
    })

    test("replaces and deletes", async () => {
      await kv.put("a", bytes("1"))
      await kv.put("a", bytes("2"))
      expect(text(kv.get("a"))).toBe("2")
      await kv.del("a")
      await kv.del("never there")
      expect(kv.get("a")).toBeUndefined()
    })

    test("keeps the empty key and the empty value", async () => {
      await kv.put("", bytes(""))
      expect(kv.get("")?.length).toBe(0)
      expect(await keysOf(kv.scan(""))).toEqual([""])
    })

    test("keeps its own copy of a value", async () => {
      const value = bytes("one")
      await kv.put("a", value)
      value.fill(0)
      kv.get("a")!.fill(0)
      expect(text(kv.get("a"))).toBe("one")
    })

    test("applies a batch in order", async () => {
      await kv.put("gone", bytes("x"))
      await kv.batch([
        { kind: "put", key: "a", value: bytes("1") },
        { kind: "del", key: "gone" },
        { kind: "put", key: "a", value: bytes("2") },
        { kind: "put", key: "b", value: bytes("3") },
        { kind: "del", key: "b" },
      ])
      expect(await entriesOf(kv.scan(""))).toEqual([["a", "2"]])
    })

    test("scans a prefix in order, after a key, up to a limit", async () => {
      for (const key of ["b/2", "a", "b/1", "b/10", "b", "c", "b0"]) await kv.put(key, bytes(key))
      expect(await keysOf(kv.scan("b/"))).toEqual(["b/1", "b/10", "b/2"])
      expect(await keysOf(kv.scan("b/", { limit: 2 }))).toEqual(["b/1", "b/10"])
      expect(await keysOf(kv.scan("b/", { after: "b/1" }))).toEqual(["b/10", "b/2"])
      expect(await keysOf(kv.scan("b/", { after: "a", limit: 1 }))).toEqual(["b/1"])
      expect(await keysOf(kv.scan("b/", { after: "c" }))).toEqual([])
      expect(await keysOf(kv.scan("b/", { limit: 0 }))).toEqual([])
      expect(await keysOf(kv.scan("d"))).toEqual([])
    })

    test("orders keys by their UTF-8 bytes, also beyond U+FFFF", async () => {
      const keys = ["\u{1F600}", "\uFF5E", "z", "é"]
      for (const key of keys) await kv.put(key, bytes(key))
      expect(await keysOf(kv.scan(""))).toEqual(["z", "é", "\uFF5E", "\u{1F600}"])
    })

    test("a scan sees the map as it was when it began", async () => {
      for (const key of ["a", "b", "c"]) await kv.put(key, bytes(key))
      const seen: string[] = []
      for await (const [key] of kv.scan("")) {
        seen.push(key)
        if (key === "a") {
          await kv.del("b")
          await kv.put("d", bytes("d"))
        }
      }
      expect(seen).toEqual(["a", "b", "c"])
    })

    test("parts never see each other's keys, whatever their names", async () => {
      const names = ["a", "b", "a/b", "a:b", "a!", "", "%61"]
      const parts = [kv, ...names.map((name) => kv.part(name)), kv.part("a").part("b")]
      for (const [index, part] of parts.entries()) await part.put("key", bytes(`${index}`))
      for (const [index, part] of parts.entries()) {
        expect(await entriesOf(part.scan(""))).toEqual([["key", `${index}`]])
      }
      expect(text(kv.part("a").get("key"))).toBe("1")
    })

    test("agrees with a plain map over random batches", async () => {
      const key = fc.string({ maxLength: 3 })
      const change = fc.oneof(
        fc.record({
          kind: fc.constant("put" as const),
          key,
          value: fc.uint8Array({ maxLength: 4 }),
        }),
        fc.record({ kind: fc.constant("del" as const), key }),
      )
      let run = 0
      await fc.assert(
        fc.asyncProperty(
          fc.array(fc.array(change, { maxLength: 6 }), { maxLength: 6 }),
          key,
          async (batches, prefix) => {
            const part = kv.part(`run-${run++}`)
            const model = new Map<string, Uint8Array>()
            for (const batch of batches) {
              await part.batch(batch)
              apply(model, batch)
            }
            const expected = [...model.keys()]
              .filter((name) => name.startsWith(prefix))
              .sort(byUtf8)
            expect(await keysOf(part.scan(prefix))).toEqual(expected)
            for (const [name, value] of model)
              expect(Buffer.compare(part.get(name)!, value)).toBe(0)
          },
        ),
        { numRuns: 50 },
      )
    })
  })
}

function apply(model: Map<string, Uint8Array>, batch: readonly KvChange[]): void {
  for (const change of batch) {
    if (change.kind === "put") model.set(change.key, change.value)
    else model.delete(change.key)
  }
}

function byUtf8(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b))
}

function bytes(value: string): Uint8Array {
  return new TextEncoder().encode(value)
}

function text(value: Uint8Array | undefined): string | undefined {
  return value && new TextDecoder().decode(value)
}

async function keysOf(scan: AsyncIterable<readonly [string, Uint8Array]>): Promise<string[]> {
  return (await entriesOf(scan)).map(([key]) => key)
}

async function entriesOf(
  scan: AsyncIterable<readonly [string, Uint8Array]>,
): Promise<[string, string][]> {
  const entries: [string, string][] = []
  for await (const [key, value] of scan) entries.push([key, text(value)!])
  return entries
}
