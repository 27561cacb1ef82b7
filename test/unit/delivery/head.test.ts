/** The first bytes of a stream come from the node's own origin, whoever was elected to bring the blob. */
import { describe, expect, test } from "vitest"
import { type Digest, digestOf } from "../../../src/core/digest.ts"
import { headBytes } from "../../../src/delivery/head.ts"
import type { OriginBehaviour } from "../../../src/delivery/memory-origin.ts"
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
/** The smallest that has a head. */
const SIZE = 4 * MIB
const HEAD = SIZE / 2_048
/** A piece takes a second to the one who was elected. */
const SLOW = { bytesPerSecond: PIECE }
/** One node reads all of it. */
const ONE_SEGMENT = { delivery: { limits: { segmentBytes: 64 * MIB } } }
const FAST: OriginBehaviour = { bytesPerSecond: 50 * MIB }
const AT_ONCE_MS = 60
const ORIGIN_CODES = [
  "ORIGIN_NOT_FOUND",
  "ORIGIN_DENIED",
  "ORIGIN_BUSY",
  "ORIGIN_UNAVAILABLE",
  "ORIGIN_STALLED",
  "ORIGIN_CORRUPT",
]

interface Crowd {
  readonly world: World
  readonly bytes: Uint8Array
  readonly digest: Digest
  /** Reads the blob from its origin, slowly. */
  readonly fetcher: Node
  /** Left it to the fetcher. */
  readonly others: readonly Node[]
}

/** Lets one node begin to read from a slow origin; the others find it doing so. */
async function crowd(label: string, behaviour: OriginBehaviour, count = 3): Promise<Crowd> {
  const world = createWorld()
  const bytes = bytesOf(label, SIZE)
  const digest = world.registry.put(bytes)
  const nodes = Array.from({ length: count }, () => world.node(ONE_SEGMENT))
  for (const node of nodes) node.treat(SLOW)
  for (const node of nodes) node.delivery.ensure(wish(digest, SIZE), open).catch(() => {})
  await world.pass(300)
  const fetcher = nodes.find((node) => originBytes(node) > 0)!
  const others = nodes.filter((node) => node !== fetcher)
  for (const node of others) node.treat(behaviour)
  return { world, bytes, digest, fetcher, others }
}

function originBytes(node: Node): number {
  return node.metrics.value("sealift_delivery_bytes_total", { source: "origin" })
}

async function firstChunk(world: World, node: Node, digest: Digest, range?: { start: number }) {
  const startMs = world.clock.now()
  const wished = range === undefined ? open : { ...open, range }
  const stream = await world.run(node.delivery.open(wish(digest, SIZE), wished))
  const chunks = stream.body[Symbol.asyncIterator]()
  const { value } = await world.run(chunks.next())
  return { value: value!, ms: world.clock.now() - startMs, chunks }
}

describe("a head", () => {
  test("is a two-thousandth of the blob, none of a small one, and never more than 64 KiB", () => {
    expect(headBytes(0)).toBe(0)
    expect(headBytes(4 * MIB - 1)).toBe(0)
    expect(headBytes(4 * MIB)).toBe(2 * KIB)
    expect(headBytes(100 * MIB)).toBe(50 * KIB)
    expect(headBytes(2 ** 40)).toBe(64 * KIB)
  })

  test("comes at once from the own origin, while another node was elected to read", async () => {
    const { world, bytes, digest, others } = await crowd("at once", FAST)
    const node = others[0]!
    const { value, ms } = await firstChunk(world, node, digest)
    expect(ms).toBeLessThanOrEqual(AT_ONCE_MS)
    expect(Buffer.compare(value, bytes.subarray(0, HEAD))).toBe(0)
    expect(originBytes(node)).toBe(HEAD)
    expect(node.delivery.flights()[0]?.fromOriginBytes).toBe(HEAD)
    expect(node.store.stat(digest)?.pieceCount).toBe(0)
  })

  test("comes where an open-ended range begins, and ends with its piece", async () => {
    const { world, bytes, digest, others } = await crowd("in the middle", FAST)
    const start = 3 * PIECE - 100
    const { value, ms } = await firstChunk(world, others[0]!, digest, { start })
    expect(ms).toBeLessThanOrEqual(AT_ONCE_MS)
    expect(Buffer.compare(value, bytes.subarray(start, 3 * PIECE))).toBe(0)
  })

  test("serves a bounded range before anything is proved, since it is the own origin's word", async () => {
    const { world, bytes, digest, others } = await crowd("bounded", FAST)
    const range = { start: PIECE, end: PIECE + (3 * HEAD) / 4 }
    const startMs = world.clock.now()
    const read = await world.run(
      drain(others[0]!.delivery.open(wish(digest, SIZE), { ...open, range })),
    )
    expect(world.clock.now() - startMs).toBeLessThanOrEqual(AT_ONCE_MS)
    expect(Buffer.compare(read, bytes.subarray(range.start, range.end))).toBe(0)
  })

  test("is none of the last piece, which proves the whole", async () => {
    const { world, digest, others } = await crowd("the last piece", FAST)
    const range = { start: SIZE - PIECE }
    let isOpen = false
    others[0]!.delivery.open(wish(digest, SIZE), { ...open, range }).then(
      () => {
        isOpen = true
      },
      () => {},
    )
    await world.pass(1_000)
    expect(isOpen).toBe(false)
    expect(originBytes(others[0]!)).toBe(0)
  })

  test("is followed by the rest, whole and right, and costs the origin no more than itself", async () => {
    const world = createWorld()
    const bytes = bytesOf("all of it", SIZE)
    const digest = world.registry.put(bytes)
    world.registry.behave({ bytesPerSecond: 8 * MIB })
    const nodes = Array.from({ length: 6 }, () => world.node({ bytesPerSecond: 16 * MIB }))
    const pulls = nodes.map((node) => drain(node.delivery.open(wish(digest, SIZE), open)))
    const read = await world.run(Promise.all(pulls))
    expect(read.map(digestOf)).toEqual(nodes.map(() => digest))
    expect(world.registry.sentBytes(digest)).toBeLessThanOrEqual(SIZE + 6 * HEAD + 64 * KIB)
  })

  test("of the node that reads the blob comes with its own stream, which is asked once", async () => {
    const world = createWorld()
    const bytes = bytesOf("alone", SIZE)
    const digest = world.registry.put(bytes)
    world.registry.behave({ bytesPerSecond: PIECE })
    const node = world.node()
    const { value, ms } = await firstChunk(world, node, digest)
    // One chunk of the registry, a quarter of a piece.
    expect(ms).toBeLessThanOrEqual(250 + AT_ONCE_MS)
    expect(Buffer.compare(value, bytes.subarray(0, 64 * KIB))).toBe(0)
    expect(world.registry.requestCount).toBe(1)
  })

  test("goes before the segments that its node was elected to read", async () => {
    const world = createWorld()
    const digest = world.registry.put(bytesOf("first things first", SIZE))
    world.registry.behave({ ...FAST, delayMs: 100 })
    const nodes = Array.from({ length: 4 }, () => world.node())
    for (const node of nodes) {
      node.delivery.open(wish(digest, SIZE), open).catch(() => {})
    }
    await world.pass(80)
    // Who was elected for the first segment reads it; the others ask for their heads alone.
    expect(world.registry.requestCount).toBe(nodes.length)
    await world.pass(80)
    expect(world.registry.requestCount).toBeGreaterThan(nodes.length)
  })

  test("that does not come holds nothing up for long", async () => {
    const world = createWorld()
    const digest = world.registry.put(bytesOf("not held up", SIZE))
    world.registry.behave({ isHanging: true })
    const nodes = Array.from({ length: 4 }, () => world.node())
    for (const node of nodes) {
      node.delivery.open(wish(digest, SIZE), open).catch(() => {})
    }
    await world.pass(700)
    expect(world.registry.requestCount).toBeGreaterThan(nodes.length)
  })

  test("that is not the blob's breaks the stream when the blob is proved, and is the origin's fault", async () => {
    const { world, digest, others } = await crowd("a lying head", {
      ...FAST,
      isLying: true,
    })
    const node = others[0]!
    const { chunks } = await firstChunk(world, node, digest)
    const rest = codeOfFailure(
      (async () => {
        while ((await chunks.next()).done !== true);
      })(),
    )
    expect(await world.run(rest)).toBe("BLOB_MISMATCH")
    const faults = { code: "ORIGIN_CORRUPT" }
    expect(node.metrics.value("sealift_delivery_origin_errors_total", faults)).toBe(1)
    // The blob itself is right, and so is the next answer.
    expect(digestOf(await world.run(drain(node.delivery.open(wish(digest), open))))).toBe(digest)
  })

  test("that took credentials keeps the blob here: all of it comes from the own origin", async () => {
    const { world, digest, others } = await crowd("private", { ...FAST, usesCredentials: true })
    const node = others[0]!
    const pull = drain(node.delivery.open(wish(digest, SIZE), open))
    expect(digestOf(await world.run(pull))).toBe(digest)
    expect(node.store.stat(digest)).toMatchObject({ isComplete: true, isShared: false })
    expect(originBytes(node)).toBeGreaterThan(SIZE / 2)
  })

  test.each<[string, OriginBehaviour]>([
    ["knows no ranges", { ...FAST, ignoresRanges: true }],
    ["says 401", { status: 401 }],
    ["says 404", { status: 404 }],
    ["says 429", { status: 429, retryAfterSeconds: 30 }],
    ["says 500", { status: 500 }],
    ["never answers", { isHanging: true }],
    ["stalls", { stallsAtBytes: 100 }],
    ["breaks", { breaksAtBytes: 100 }],
    ["ends early", { endsAtBytes: 100 }],
    ["tells another size", { ...FAST, claimedSizeBytes: SIZE - 1 }],
  ])("of an origin that %s is done without, and nobody is told a fault", async (_, behaviour) => {
    const { world, digest, others } = await crowd("without", behaviour)
    const node = others[0]!
    const pull = drain(node.delivery.open(wish(digest, SIZE), open))
    expect(digestOf(await world.run(pull))).toBe(digest)
    for (const code of ORIGIN_CODES) {
      expect(node.metrics.value("sealift_delivery_origin_errors_total", { code })).toBe(0)
    }
    expect(originBytes(node)).toBeLessThanOrEqual(64 * KIB)
  })

  test("is not asked twice of an origin that knows no ranges", async () => {
    const { world, digest, others } = await crowd("rangeless", { ...FAST, ignoresRanges: true })
    const node = others[0]!
    const before = world.registry.requestCount
    node.delivery.open(wish(digest, SIZE), open).catch(() => {})
    await world.pass(300)
    expect(world.registry.requestCount).toBe(before + 1)
    const second = world.registry.put(bytesOf("rangeless, the second", SIZE))
    node.delivery.open(wish(second, SIZE), open).catch(() => {})
    await world.pass(300)
    // At most one for the blob itself, where this node is elected.
    expect(world.registry.requestCount).toBeLessThanOrEqual(before + 2)
  })

  test("ends with its client", async () => {
    const { world, digest, others } = await crowd("gone", { delayMs: 300 })
    const client = new AbortController()
    const pull = codeOfFailure(
      others[0]!.delivery.open(wish(digest, SIZE), { signal: client.signal }),
    )
    await world.pass(100)
    client.abort(new Error("the client is gone"))
    expect(await world.run(pull)).toBe("Error: the client is gone")
    await world.pass(20_000)
    expect(world.registry.openCount).toBeLessThanOrEqual(1)
  })

  test("is not asked for when a connected peer has all of the blob", async () => {
    const world = createWorld()
    const bytes = bytesOf("complete", SIZE)
    const holder = world.node(SLOW)
    const node = world.node()
    const digest = await give(holder, bytes)
    world.registry.put(bytes)
    world.registry.behave(FAST)
    node.delivery.open(wish(digest, SIZE), open).catch(() => {})
    await world.pass(500)
    expect(world.registry.requestCount).toBe(0)
  })
})
