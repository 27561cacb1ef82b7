/** What a node does when its origin misbehaves: a right blob, or a clear error in time. */
import { describe, expect, test } from "vitest"
import { digestOf } from "../../../src/core/digest.ts"
import type { OriginBehaviour } from "../../../src/delivery/memory-origin.ts"
import {
  bytesOf,
  codeOfFailure,
  createWorld,
  drain,
  MIB,
  never,
  PIECE,
  type World,
  wish,
} from "./world.ts"

const open = { signal: never() }
const ANSWER_MS_MAX = 5_000
const BREAK_MS_MAX = 10_000

async function timed<T>(world: World, promise: Promise<T>): Promise<{ value: T; ms: number }> {
  const startMs = world.clock.now()
  const value = await world.run(promise)
  return { value, ms: world.clock.now() - startMs }
}

describe("an origin that answers for one blob and is silent for another", () => {
  /** One blob comes at 1 MiB/s; then the registry falls silent for whatever else is asked. */
  async function halfSilent(slowBytes: number, options: { silentAfterMs: number }) {
    const world = createWorld()
    const node = world.node()
    const [slow, late] = [bytesOf("slow", slowBytes), bytesOf("late", MIB)]
    const digests = [world.registry.put(slow), world.registry.put(late)] as const
    world.registry.behave({ bytesPerSecond: MIB })
    const first = drain(node.delivery.open(wish(digests[0], slow.length), open))
    await world.pass(options.silentAfterMs)
    world.registry.behave({ isHanging: true })
    const second = drain(node.delivery.open(wish(digests[1], late.length), open))
    return { world, digests, first, second }
  }

  test("has a full link: the other one comes once it answers", async () => {
    const { world, digests, first, second } = await halfSilent(8 * MIB, { silentAfterMs: 500 })
    const late = timed(world, second)
    await world.pass(6_000)
    world.registry.behave({})
    const { value, ms } = await late
    expect([digestOf(value), digestOf(await world.run(first))]).toEqual([digests[1], digests[0]])
    expect(ms).toBeGreaterThan(ANSWER_MS_MAX)
  })

  test("is gone when nothing comes for the one either", async () => {
    const { world, first, second } = await halfSilent(6 * MIB, { silentAfterMs: 100 })
    const { value, ms } = await timed(world, codeOfFailure(second))
    await world.run(first)
    expect(value).toBe("ORIGIN_STALLED")
    // Six seconds of the one, and as long as for any origin from its last byte on.
    expect(ms).toBeGreaterThan(6_000)
    expect(ms).toBeLessThanOrEqual(6_500 + ANSWER_MS_MAX)
  })
})

describe("an origin that does not answer one request", () => {
  test("is asked once more after two seconds, and the first answer counts", async () => {
    const world = createWorld()
    const node = world.node()
    const bytes = bytesOf("lost", MIB)
    const digest = world.registry.put(bytes)
    world.registry.behave({ isHanging: true })
    const pull = timed(world, drain(node.delivery.open(wish(digest, bytes.length), open)))
    await world.pass(500)
    world.registry.behave({})
    const { value, ms } = await pull
    expect(digestOf(value)).toBe(digest)
    expect(ms).toBeLessThan(2_500)
    expect([world.registry.requestCount, world.registry.openCount]).toEqual([2, 0])
    expect(world.registry.sentBytes(digest)).toBe(MIB)
  })

  test("and then answers both sends one body", async () => {
    const world = createWorld()
    const node = world.node()
    const bytes = bytesOf("late", MIB)
    const digest = world.registry.put(bytes)
    world.registry.behave({ delayMs: 2_500 })
    const pull = drain(node.delivery.open(wish(digest, bytes.length), open))
    expect(digestOf(await world.run(pull))).toBe(digest)
    await world.pass(5_000)
    expect([world.registry.requestCount, world.registry.openCount]).toEqual([2, 0])
    expect(world.registry.sentBytes(digest)).toBe(MIB)
  })
})

describe("an origin that refuses", () => {
  const cases: readonly [OriginBehaviour, string][] = [
    [{ status: 401 }, "ORIGIN_DENIED"],
    [{ status: 403 }, "ORIGIN_DENIED"],
    [{ status: 404 }, "ORIGIN_NOT_FOUND"],
    [{ status: 429, retryAfterSeconds: 7 }, "ORIGIN_BUSY"],
    [{ status: 500 }, "ORIGIN_UNAVAILABLE"],
    [{ isHanging: true }, "ORIGIN_STALLED"],
    [{ stallsAtBytes: 1_000 }, "ORIGIN_STALLED"],
    [{ endsAtBytes: 1_000 }, "ORIGIN_CORRUPT"],
    [{ breaksAtBytes: 1_000 }, "ORIGIN_UNAVAILABLE"],
    [{ claimedSizeBytes: 77 }, "ORIGIN_CORRUPT"],
  ]
  test.each(cases)("%o is reported as %s in time, and nothing is kept", async (behaviour, code) => {
    const world = createWorld()
    const node = world.node()
    const bytes = bytesOf("refused", 2 * PIECE)
    const digest = world.registry.put(bytes)
    world.registry.behave(behaviour)
    const pull = codeOfFailure(node.delivery.open(wish(digest, bytes.length), open))
    const { value, ms } = await timed(world, pull)
    expect(value).toBe(code)
    const isStallInBody = behaviour.stallsAtBytes !== undefined
    expect(ms).toBeLessThanOrEqual(isStallInBody ? BREAK_MS_MAX : ANSWER_MS_MAX)
    await world.pass(10_000)
    expect(node.store.stat(digest)).toBeUndefined()
    expect(node.delivery.flights()).toEqual([])
    expect(world.registry.openCount).toBe(0)
  })

  test("tells when to come back", async () => {
    const world = createWorld()
    const node = world.node()
    const digest = world.registry.put(bytesOf("later", 10))
    world.registry.behave({ status: 429, retryAfterSeconds: 7 })
    const failed = await world.run(
      node.delivery.open(wish(digest), open).catch((error: unknown) => error),
    )
    expect(failed).toMatchObject({ code: "ORIGIN_BUSY", details: { retryAfterSeconds: 7 } })
  })

  test("is asked anew by the next pull", async () => {
    const world = createWorld()
    const node = world.node()
    const digest = world.registry.put(bytesOf("anew", PIECE))
    world.registry.behave({ status: 404 })
    await world.run(codeOfFailure(node.delivery.open(wish(digest), open)))
    world.registry.behave({})
    expect(digestOf(await world.run(drain(node.delivery.open(wish(digest), open))))).toBe(digest)
  })
})

describe("an origin that breaks in the middle", () => {
  const cases: readonly OriginBehaviour[] = [
    { stallsAtBytes: MIB },
    { endsAtBytes: MIB + 1_000 },
    { breaksAtBytes: MIB + 1_000 },
  ]
  test.each(cases)("%o is asked for the rest only", async (behaviour) => {
    const world = createWorld()
    const node = world.node()
    const bytes = bytesOf("middle", 2 * MIB)
    const digest = world.registry.put(bytes)
    let requests = 0
    node.treat(undefined)
    world.registry.behave(behaviour)
    const pull = drain(node.delivery.open(wish(digest, bytes.length), open))
    // The first answer breaks; the origin is well again for the second.
    while (requests === 0) {
      await world.pass(1)
      requests = world.registry.requestCount
    }
    world.registry.behave({})
    expect(digestOf(await world.run(pull))).toBe(digest)
    expect(world.registry.sentBytes(digest)).toBeLessThanOrEqual(bytes.length + PIECE)
  })

  test("breaks a stream that has begun, by name, when it never comes back", async () => {
    const world = createWorld()
    const node = world.node()
    const bytes = bytesOf("gone", 2 * MIB)
    const digest = world.registry.put(bytes)
    world.registry.behave({ stallsAtBytes: MIB })
    const stream = await world.run(node.delivery.open(wish(digest, bytes.length), open))
    const { value, ms } = await timed(world, codeOfFailure(drain(stream)))
    expect(value).toBe("ORIGIN_STALLED")
    expect(ms).toBeLessThanOrEqual(BREAK_MS_MAX)
    expect(node.store.stat(digest)?.pieceCount).toBe(MIB / PIECE)
  })
})

describe("an origin that knows no ranges", () => {
  test("is read whole once, and what was there already is not written again", async () => {
    const world = createWorld()
    const node = world.node()
    const bytes = bytesOf("rangeless", 2 * MIB)
    const digest = world.registry.put(bytes)
    const partial = await node.store.openPartial(digest, bytes.length)
    await partial.writePiece(0, bytes.subarray(0, PIECE))
    partial.release()
    world.registry.behave({ ignoresRanges: true })
    expect(
      digestOf(await world.run(drain(node.delivery.open(wish(digest, bytes.length), open)))),
    ).toBe(digest)
    expect(world.registry.requestCount).toBe(1)
  })
})

describe("a slow disk", () => {
  test("makes no piece be asked for twice", async () => {
    const world = createWorld()
    const node = world.node()
    const bytes = bytesOf("slow disk", 3 * MIB)
    const digest = world.registry.put(bytes)
    const openPartial = node.store.openPartial.bind(node.store)
    node.store.openPartial = async (...args) => {
      const blob = await openPartial(...args)
      const writePiece = blob.writePiece.bind(blob)
      blob.writePiece = async (...piece) => {
        await world.clock.sleep(400)
        return await writePiece(...piece)
      }
      return blob
    }
    const got = await world.run(drain(node.delivery.open(wish(digest, bytes.length), open)))
    expect(digestOf(got)).toBe(digest)
    expect(world.registry.sentBytes(digest)).toBe(bytes.length)
    expect(world.registry.requestCount).toBe(1)
  })
})

describe("an origin that lies", () => {
  test("is found out after two tries, and no client completes the blob", async () => {
    const world = createWorld()
    const node = world.node()
    const bytes = bytesOf("liar", MIB)
    const digest = world.registry.put(bytes)
    world.registry.behave({ isLying: true })
    const stream = await world.run(node.delivery.open(wish(digest, bytes.length), open))
    let received = 0
    const read = async () => {
      for await (const chunk of stream.body) received += chunk.length
    }
    expect(await world.run(codeOfFailure(read()))).toBe("BLOB_MISMATCH")
    expect(received).toBeLessThanOrEqual(bytes.length - PIECE)
    const again = node.delivery.ensure(wish(digest, bytes.length), open)
    expect(await world.run(codeOfFailure(again))).toBe("ORIGIN_CORRUPT")
    expect(world.registry.sentBytes(digest)).toBeLessThanOrEqual(4 * bytes.length)
    expect(node.store.stat(digest)?.isComplete ?? false).toBe(false)
  })

  test("of one piece is an error and never a stream", async () => {
    const world = createWorld()
    const node = world.node()
    const digest = world.registry.put(bytesOf("small liar", 1_000))
    world.registry.behave({ isLying: true })
    const pull = codeOfFailure(node.delivery.open(wish(digest), open))
    expect(await world.run(pull)).toBe("ORIGIN_CORRUPT")
    expect(world.registry.sentBytes(digest)).toBe(2_000)
  })

  test("to the elected node alone costs about one more copy, and everybody has the right bytes", async () => {
    const world = createWorld()
    const nodes = Array.from({ length: 5 }, () => world.node())
    const bytes = bytesOf("lying mirror", MIB)
    const digest = world.registry.put(bytes)
    world.registry.behave({ bytesPerSecond: 20 * MIB })
    let first: string | undefined
    for (const node of nodes) node.treat(undefined)
    const pulls = nodes.map((node) => node.delivery.ensure(wish(digest, bytes.length), open))
    await world.pass(10)
    for (const node of nodes) {
      const got = node.metrics.value("sealift_delivery_bytes_total", { source: "origin" })
      if (got > 0) first = node.net.id
    }
    expect(first).toBeDefined()
    await world.run(Promise.all(pulls))

    // The same again with a second blob whose fetcher is lied to from the beginning.
    for (const liar of nodes) liar.treat({ isLying: true, bytesPerSecond: 20 * MIB })
    for (const node of nodes) if (node.net.id !== first) node.treat(undefined)
    const other = bytesOf("lying mirror 2", MIB)
    const otherDigest = world.registry.put(other)
    const settled = await world.run(
      Promise.allSettled(
        nodes.map((node) => node.delivery.ensure(wish(otherDigest, other.length), open)),
      ),
    )
    const honest = settled.filter((_, index) => nodes[index]!.net.id !== first)
    expect(honest.map((result) => result.status)).toEqual(honest.map(() => "fulfilled"))
    for (const node of nodes) {
      const reader = node.store.open(otherDigest)
      if (reader?.isComplete === true) {
        expect(digestOf(await reader.read({ start: 0, end: other.length }))).toBe(otherDigest)
      }
      reader?.release()
    }
  })
})

describe("an origin that wants credentials", () => {
  test("makes the content private: it goes to no other node and each node asks for itself", async () => {
    const world = createWorld()
    const nodes = [world.node(), world.node(), world.node()]
    const bytes = bytesOf("private", MIB)
    const digest = world.registry.put(bytes)
    world.registry.behave({ usesCredentials: true, bytesPerSecond: 20 * MIB })
    const pulls = nodes.map((node) => drain(node.delivery.open(wish(digest, bytes.length), open)))
    for (const result of await world.run(Promise.all(pulls))) {
      expect(digestOf(result)).toBe(digest)
    }
    for (const node of nodes) {
      expect(node.store.stat(digest)?.isShared).toBe(false)
      expect(node.metrics.value("sealift_delivery_bytes_total", { source: "peers" })).toBe(0)
    }
    const outsider = world.node({ registries: [] })
    const refused = codeOfFailure(outsider.delivery.open(wish(digest, bytes.length), open))
    expect(await world.run(refused)).toBe("ORIGIN_FORBIDDEN")
  })
})
