/** A pull by one node: from its own store, its peers, its origin. */
import { describe, expect, test } from "vitest"
import { digestOf } from "../../../src/core/digest.ts"
import {
  bytesOf,
  codeOfFailure,
  createWorld,
  drain,
  give,
  MIB,
  never,
  PIECE,
  wish,
} from "./world.ts"

const open = { signal: never() }

describe("a node alone", () => {
  test("brings a blob from its origin, byte for byte, and keeps it", async () => {
    const world = createWorld()
    const node = world.node()
    const bytes = bytesOf("alone", 3 * MIB + 17)
    const digest = world.registry.put(bytes)
    const stream = await world.run(node.delivery.open(wish(digest, bytes.length), open))
    expect(stream.sizeBytes).toBe(bytes.length)
    expect(digestOf(await world.run(drain(stream)))).toBe(digest)
    expect(node.store.stat(digest)?.isComplete).toBe(true)
    expect(world.registry.sentBytes(digest)).toBe(bytes.length)
    expect(world.registry.requestCount).toBe(1)
    world.registry.remove(digest)
    expect(digestOf(await world.run(drain(node.delivery.open(wish(digest), open))))).toBe(digest)
  })

  test("learns the size from its origin", async () => {
    const world = createWorld()
    const node = world.node()
    const bytes = bytesOf("size", 2 * PIECE)
    const digest = world.registry.put(bytes)
    expect(digestOf(await world.run(drain(node.delivery.open(wish(digest), open))))).toBe(digest)
    expect(world.registry.sentBytes(digest)).toBe(bytes.length)
  })

  test("brings a blob of no bytes", async () => {
    const world = createWorld()
    const node = world.node()
    const digest = world.registry.put(new Uint8Array(0))
    const stream = await world.run(node.delivery.open(wish(digest), open))
    expect(stream.sizeBytes).toBe(0)
    expect((await world.run(drain(stream))).length).toBe(0)
    expect(node.store.stat(digest)?.isComplete).toBe(true)
  })

  test("says BLOB_UNKNOWN when nobody has it and it has no origin", async () => {
    const world = createWorld()
    const node = world.node()
    const digest = world.registry.put(bytesOf("unknown", 10))
    expect(await world.run(codeOfFailure(node.delivery.open({ digest }, open)))).toBe(
      "BLOB_UNKNOWN",
    )
  })
})

describe("a node with peers", () => {
  test("takes a blob that a peer holds and leaves the origin alone", async () => {
    const world = createWorld()
    const [seed, node] = [world.node(), world.node()]
    const bytes = bytesOf("warm", 2 * MIB)
    const digest = world.registry.put(bytes)
    await give(seed, bytes)
    const before = world.registry.requestCount
    expect(digestOf(await world.run(drain(node.delivery.open(wish(digest), open))))).toBe(digest)
    expect(world.registry.requestCount).toBe(before)
    expect(node.metrics.value("sealift_delivery_bytes_total", { source: "peers" })).toBe(
      bytes.length,
    )
  })
})
