/** What a client sees of a stream: ranges, order, proof, backpressure, its own going away. */
import fc from "fast-check"
import { describe, expect, test } from "vitest"
import { digestOf } from "../../../src/core/digest.ts"
import {
  bytesOf,
  codeOfFailure,
  createWorld,
  drain,
  give,
  KIB,
  MIB,
  type Node,
  never,
  PIECE,
  type World,
  wish,
} from "./world.ts"

const open = { signal: never() }

async function settleAll(world: World) {
  await world.pass(6_000)
}

/** Nothing holds the blob any more: the store lets go of it. */
async function expectNoLease(node: Node, digest: ReturnType<typeof digestOf>) {
  expect(await node.store.remove(digest)).toBe(true)
}

describe("a stream", () => {
  test("begins before the blob is here, and gives whole pieces in order", async () => {
    const world = createWorld()
    const node = world.node()
    const bytes = bytesOf("early", 4 * MIB)
    const digest = world.registry.put(bytes)
    world.registry.behave({ bytesPerSecond: MIB })
    const startMs = world.clock.now()
    const stream = await world.run(node.delivery.open(wish(digest, bytes.length), open))
    expect(world.clock.now() - startMs).toBeLessThan(600)
    expect(digestOf(await world.run(drain(stream)))).toBe(digest)
  })

  test("keeps its last piece back until the digest of the whole is right", async () => {
    const world = createWorld()
    const node = world.node()
    const bytes = bytesOf("held back", MIB)
    const digest = world.registry.put(bytes)
    world.registry.behave({ stallsAtBytes: MIB - PIECE })
    const stream = await world.run(node.delivery.open(wish(digest, bytes.length), open))
    const chunks = stream.body[Symbol.asyncIterator]()
    for (let at = 0; at < MIB - PIECE; ) at += (await world.run(chunks.next())).value?.length ?? 0
    let isThere = false
    const last = chunks.next().then((result) => {
      isThere = true
      return result
    })
    await world.pass(500)
    expect(isThere).toBe(false)
    world.registry.behave({})
    expect((await world.run(last)).value?.length).toBe(PIECE)
    expect(node.store.stat(digest)?.isComplete).toBe(true)
  })

  test("is fed by one flight together with others", async () => {
    const world = createWorld()
    const node = world.node()
    const bytes = bytesOf("shared flight", 2 * MIB)
    const digest = world.registry.put(bytes)
    world.registry.behave({ bytesPerSecond: 4 * MIB })
    const request = wish(digest, bytes.length)
    const pulls = [
      drain(node.delivery.open(request, open)),
      drain(node.delivery.open(request, open)),
    ]
    await world.pass(100)
    expect(node.delivery.flights()).toHaveLength(1)
    pulls.push(drain(node.delivery.open(request, { ...open, range: { start: MIB } })))
    const [first, second, half] = await world.run(Promise.all(pulls))
    expect(digestOf(first!)).toBe(digest)
    expect(digestOf(second!)).toBe(digest)
    expect(Buffer.compare(half!, bytes.subarray(MIB))).toBe(0)
    expect(world.registry.sentBytes(digest)).toBeLessThanOrEqual(bytes.length + PIECE)
  })

  test("that its client gives up ends the flight after a grace, and what is written stays", async () => {
    const world = createWorld()
    const node = world.node()
    const bytes = bytesOf("given up", 8 * MIB)
    const digest = world.registry.put(bytes)
    world.registry.behave({ bytesPerSecond: MIB / 2 })
    const client = new AbortController()
    const stream = await world.run(
      node.delivery.open(wish(digest, bytes.length), { signal: client.signal }),
    )
    const pull = codeOfFailure(drain(stream))
    await world.pass(1_000)
    client.abort(new Error("the client is gone"))
    expect(await world.run(pull)).toBe("Error: the client is gone")
    expect(node.delivery.flights()).toHaveLength(1)
    await settleAll(world)
    expect(node.delivery.flights()).toEqual([])
    expect(world.registry.openCount).toBe(0)
    expect(node.store.stat(digest)?.pieceCount).toBeGreaterThan(2)
    await expectNoLease(node, digest)
  })

  test("that is never read ends with its signal", async () => {
    const world = createWorld()
    const node = world.node()
    const digest = world.registry.put(bytesOf("never read", 2 * MIB))
    const client = new AbortController()
    await world.run(node.delivery.open(wish(digest), { signal: client.signal }))
    await world.pass(100)
    client.abort()
    await settleAll(world)
    await expectNoLease(node, digest)
  })

  test("that is returned early lets go of the blob", async () => {
    const world = createWorld()
    const node = world.node()
    const bytes = bytesOf("returned", 2 * MIB)
    const digest = world.registry.put(bytes)
    const stream = await world.run(node.delivery.open(wish(digest), open))
    const read = async () => {
      for await (const _ of stream.body) return
    }
    await world.run(read())
    await settleAll(world)
    await expectNoLease(node, digest)
  })

  test("of a client that waits for the abandoned flight is served from what was written", async () => {
    const world = createWorld()
    const node = world.node()
    const bytes = bytesOf("resumed", 4 * MIB)
    const digest = world.registry.put(bytes)
    world.registry.behave({ bytesPerSecond: MIB })
    const client = new AbortController()
    const first = codeOfFailure(
      node.delivery.ensure(wish(digest, bytes.length), { signal: client.signal }),
    )
    await world.pass(1_500)
    client.abort(new Error("gone"))
    await world.run(first)
    await settleAll(world)
    const written = node.store.stat(digest)!.pieceCount * PIECE
    const before = world.registry.sentBytes(digest)
    expect(digestOf(await world.run(drain(node.delivery.open(wish(digest), open))))).toBe(digest)
    expect(world.registry.sentBytes(digest) - before).toBe(bytes.length - written)
  })

  test("goes on when the disk has lost a piece, and the client notices nothing", async () => {
    const world = createWorld()
    const node = world.node()
    const bytes = bytesOf("bit rot", 3 * MIB)
    const digest = world.registry.put(bytes)
    await world.run(node.delivery.ensure(wish(digest), open))
    const before = world.registry.sentBytes(digest)
    node.store.flipBit(digest, 2 * MIB + 5)
    expect(digestOf(await world.run(drain(node.delivery.open(wish(digest), open))))).toBe(digest)
    expect(world.registry.sentBytes(digest) - before).toBe(PIECE)
    expect(node.store.stat(digest)?.isComplete).toBe(true)
  })
})

describe("a range", () => {
  test("that lies outside the blob is refused with the size", async () => {
    const world = createWorld()
    const node = world.node()
    const digest = world.registry.put(bytesOf("outside", 1_000))
    for (const range of [{ start: 1_000 }, { start: 5_000, end: 6_000 }]) {
      const failed = await world.run(
        node.delivery.open(wish(digest), { ...open, range }).catch((error: unknown) => error),
      )
      expect(failed).toMatchObject({ code: "RANGE_INVALID", details: { sizeBytes: 1_000 } })
    }
    for (const range of [
      { start: -1 },
      { start: 5, end: 5 },
      { start: 0.5 },
      { start: 9, end: 3 },
    ]) {
      const pull = codeOfFailure(node.delivery.open(wish(digest), { ...open, range }))
      expect(await world.run(pull)).toBe("RANGE_INVALID")
    }
    await settleAll(world)
    await expectNoLease(node, digest)
  })

  test("that is bounded comes at once from bytes of the own origin", async () => {
    const world = createWorld()
    const node = world.node()
    const bytes = bytesOf("own bytes", 8 * MIB)
    const digest = world.registry.put(bytes)
    world.registry.behave({ bytesPerSecond: MIB })
    const range = { start: 10, end: 300 * KIB }
    const startMs = world.clock.now()
    const got = await world.run(drain(node.delivery.open(wish(digest), { ...open, range })))
    expect(world.clock.now() - startMs).toBeLessThan(1_000)
    expect(Buffer.compare(got, bytes.subarray(range.start, range.end))).toBe(0)
  })

  test("that is bounded waits for the proof when the bytes are from a peer", async () => {
    const world = createWorld()
    const [holder, node] = [world.node({ bytesPerSecond: MIB }), world.node()]
    const bytes = bytesOf("foreign bytes", 4 * MIB)
    const digest = world.registry.put(bytes)
    await give(holder, bytes)
    const range = { start: 10, end: 300 * KIB }
    const got = await world.run(drain(node.delivery.open(wish(digest), { ...open, range })))
    expect(Buffer.compare(got, bytes.subarray(range.start, range.end))).toBe(0)
    expect(node.store.stat(digest)?.isComplete).toBe(true)
  })

  test("that is bounded is never served from a liar, not even its first bytes", async () => {
    const world = createWorld()
    const [liar, node] = [world.node(), world.node()]
    const bytes = bytesOf("lying range", MIB)
    const digest = world.registry.put(bytes)
    await give(liar, bytes)
    world.swarms.corrupt(liar.net.id, true)
    world.registry.remove(digest)
    const range = { start: 0, end: 100 }
    const pull = codeOfFailure(node.delivery.open(wish(digest), { ...open, range }))
    expect(["BLOB_MISMATCH", "ORIGIN_NOT_FOUND"]).toContain(await world.run(pull))
  })

  test("gives exactly its bytes, whatever it is and wherever they come from", async () => {
    const sizeBytes = 3 * PIECE + 1_234
    const bytes = bytesOf("property", sizeBytes)
    const place = fc.nat({ max: sizeBytes + 10 })
    const asked = fc.record(
      { start: place, lengthBytes: fc.integer({ min: 1, max: sizeBytes + 10 }) },
      { requiredKeys: ["start"] },
    )
    await fc.assert(
      fc.asyncProperty(asked, fc.constantFrom("cold", "warm", "peer"), async (ask, from) => {
        const world = createWorld()
        const [other, node] = [world.node(), world.node()]
        const digest = world.registry.put(bytes)
        if (from === "warm") await world.run(node.delivery.ensure(wish(digest), open))
        if (from === "peer") await give(other, bytes)
        const { start, lengthBytes } = ask
        const range = lengthBytes === undefined ? { start } : { start, end: start + lengthBytes }
        const pull = node.delivery.open(wish(digest), { ...open, range })
        if (start >= sizeBytes) {
          expect(await world.run(codeOfFailure(pull))).toBe("RANGE_INVALID")
          return
        }
        const got = await world.run(drain(pull))
        expect(Buffer.compare(got, bytes.subarray(start, range.end ?? sizeBytes))).toBe(0)
      }),
      { numRuns: 40, seed: Number(process.env.SEED ?? 7) },
    )
  })
})

describe("delivery", () => {
  test("tells a size without fetching: from its store, a peer, the origin", async () => {
    const world = createWorld()
    const [holder, node] = [world.node(), world.node()]
    const bytes = bytesOf("size", 5 * MIB)
    const digest = world.registry.put(bytes)
    expect(await world.run(node.delivery.size(wish(digest), open))).toBe(bytes.length)
    expect(world.registry.sentBytes(digest)).toBeLessThanOrEqual(64 * KIB)
    expect(node.delivery.isAtHand(digest)).toBe(false)
    await give(holder, bytes)
    world.registry.remove(digest)
    expect(node.delivery.isAtHand(digest)).toBe(true)
    expect(await world.run(node.delivery.size({ digest }, open))).toBe(bytes.length)
    const unknown = wish(digestOf(bytesOf("none", 1)))
    expect(await world.run(node.delivery.size(unknown, open))).toBeUndefined()
    world.registry.behave({ status: 500 })
    const failed = codeOfFailure(node.delivery.size(unknown, open))
    expect(await world.run(failed)).toBe("ORIGIN_UNAVAILABLE")
  })

  test("reports how far a flight is", async () => {
    const world = createWorld()
    const node = world.node()
    const bytes = bytesOf("progress", 2 * MIB)
    const digest = world.registry.put(bytes)
    world.registry.behave({ bytesPerSecond: MIB })
    const seen: number[] = []
    const onProgress = (report: { haveBytes: number }) => seen.push(report.haveBytes)
    await world.run(node.delivery.ensure(wish(digest), { ...open, onProgress }))
    expect(seen.length).toBeGreaterThan(4)
    expect(seen.at(-1)).toBe(bytes.length)
    expect([...seen].sort((a, b) => a - b)).toEqual(seen)
  })

  test("that stops lets flights that are waited for end, and takes no new ones", async () => {
    const world = createWorld()
    const node = world.node()
    const bytes = bytesOf("stopping", 2 * MIB)
    const digest = world.registry.put(bytes)
    world.registry.behave({ bytesPerSecond: 2 * MIB })
    const pull = drain(node.delivery.open(wish(digest), open))
    await world.pass(200)
    const stopped = node.delivery.stop({ deadlineMs: 5_000 })
    const late = codeOfFailure(node.delivery.open(wish(digest), open))
    expect(await world.run(late)).toBe("DELIVERY_STOPPED")
    expect(digestOf(await world.run(pull))).toBe(digest)
    await world.run(stopped)
    expect(node.delivery.flights()).toEqual([])
  })

  test("that stops ends what is not done at the deadline", async () => {
    const world = createWorld()
    const node = world.node()
    const bytes = bytesOf("stopping", 8 * MIB)
    const digest = world.registry.put(bytes)
    world.registry.behave({ bytesPerSecond: MIB })
    const pull = codeOfFailure(drain(node.delivery.open(wish(digest), open)))
    await world.pass(500)
    await world.run(node.delivery.stop({ deadlineMs: 1_000 }))
    expect(await world.run(pull)).toBe("DELIVERY_STOPPED")
    await world.pass(10)
    expect(world.registry.openCount).toBe(0)
    await expectNoLease(node, digest)
  })
})
