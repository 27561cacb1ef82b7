/** Many cold nodes want the same blob: the origin sends about one copy. */
import { describe, expect, test } from "vitest"
import { digestOf } from "../../src/core/digest.ts"
import { rankFetchers } from "../../src/delivery/election.ts"
import type { OriginBehaviour } from "../../src/delivery/memory-origin.ts"
import {
  bytesOf,
  createWorld,
  drain,
  give,
  MIB,
  type Node,
  type NodeOptions,
  never,
  REF,
  type World,
  wish,
} from "../unit/delivery/world.ts"

const open = { signal: never() }
const ORIGIN_RATIO_MAX = 1.1
const RATE = { bytesPerSecond: 20 * MIB }
/** So long nodes bring the first segment alone. */
const BEGINNING_MS = 300
const SMALL_SEGMENTS = { limits: { segmentBytes: MIB / 2 } }

function cold(count: number, options: NodeOptions = {}): { world: World; nodes: Node[] } {
  const world = createWorld()
  world.registry.behave(RATE)
  const nodes = Array.from({ length: count }, () => world.node({ ...RATE, ...options }))
  return { world, nodes }
}

function pull(node: Node, digest: ReturnType<typeof digestOf>, sizeBytes?: number) {
  return drain(node.delivery.open(wish(digest, sizeBytes), open)).then((got) => digestOf(got))
}

/** All nodes pull a new blob at the same moment. @returns origin bytes ÷ size */
async function pullAll(world: World, nodes: readonly Node[], label: string, sizeBytes: number) {
  const digest = world.registry.put(bytesOf(label, sizeBytes))
  const pulls = nodes.map((node) => pull(node, digest, sizeBytes))
  expect(await world.run(Promise.all(pulls))).toEqual(nodes.map(() => digest))
  return world.registry.sentBytes(digest) / sizeBytes
}

function originBytes(node: Node): number {
  return node.metrics.value("sealift_delivery_bytes_total", { source: "origin" })
}

function readers(nodes: readonly Node[]): Node[] {
  return nodes.filter((node) => originBytes(node) > 0)
}

describe("a stampede", () => {
  test("of eight nodes at the same moment costs the origin about one copy", async () => {
    const { world, nodes } = cold(8)
    expect(await pullAll(world, nodes, "eight", 2 * MIB)).toBeLessThanOrEqual(ORIGIN_RATIO_MAX)
    expect(readers(nodes).length).toBeLessThanOrEqual(2)
  })

  test("over several segments has several fetchers and still costs one copy", async () => {
    const { world, nodes } = cold(8, { delivery: SMALL_SEGMENTS })
    expect(await pullAll(world, nodes, "segments", 3 * MIB)).toBeLessThanOrEqual(ORIGIN_RATIO_MAX)
    expect(readers(nodes).length).toBeGreaterThan(2)
  })

  test("for all layers of an image in parallel costs one image, spread over the nodes", async () => {
    const { world, nodes } = cold(5)
    const sizes = [900, 40_000, MIB + 5, MIB]
    const ratios = await world.run(
      Promise.all(sizes.map((size, index) => pullAll(world, nodes, `layer ${index}`, size))),
    )
    for (const ratio of ratios) expect(ratio).toBeLessThanOrEqual(ORIGIN_RATIO_MAX)
  })

  test("of an origin that knows no ranges soon has one reader", async () => {
    const { world, nodes } = cold(6)
    world.registry.behave({ ...RATE, ignoresRanges: true })
    const sizeBytes = 6 * MIB
    const first = await pullAll(world, nodes, "rangeless", sizeBytes)
    expect(first).toBeLessThan(2.5)
    expect(await pullAll(world, nodes, "rangeless again", sizeBytes)).toBeLessThanOrEqual(1.1)
  })

  test("is read by nearly all nodes, each a part", async () => {
    const { world, nodes } = cold(8)
    expect(await pullAll(world, nodes, "parts", 16 * MIB)).toBeLessThanOrEqual(1.1)
    expect(readers(nodes).length).toBeGreaterThanOrEqual(6)
  })

  test("without sizes in the requests costs one copy", async () => {
    const { world, nodes } = cold(6)
    const sizeBytes = MIB + 3
    const digest = world.registry.put(bytesOf("no size", sizeBytes))
    const pulls = nodes.map((node) => pull(node, digest))
    expect(await world.run(Promise.all(pulls))).toEqual(nodes.map(() => digest))
    expect(world.registry.sentBytes(digest) / sizeBytes).toBeLessThanOrEqual(ORIGIN_RATIO_MAX)
  })

  test("that a node joins a second later costs one copy", async () => {
    const { world, nodes } = cold(6)
    world.registry.behave({ bytesPerSecond: MIB })
    const sizeBytes = 2 * MIB
    const digest = world.registry.put(bytesOf("late", sizeBytes))
    const pulls = nodes.slice(1).map((node) => pull(node, digest, sizeBytes))
    await world.pass(1_000)
    pulls.push(pull(nodes[0]!, digest, sizeBytes))
    // A node that the others did not know when they elected.
    pulls.push(pull(world.node(RATE), digest, sizeBytes))
    expect(await world.run(Promise.all(pulls))).toEqual(pulls.map(() => digest))
    expect(world.registry.sentBytes(digest) / sizeBytes).toBeLessThanOrEqual(ORIGIN_RATIO_MAX)
  })

  test("of late nodes that would all have been elected costs one copy", async () => {
    const { world, nodes } = cold(2)
    world.registry.behave({ bytesPerSecond: MIB })
    const sizeBytes = 2 * MIB
    const digest = world.registry.put(bytesOf("late and high", sizeBytes))
    const pulls = nodes.map((node) => pull(node, digest, sizeBytes))
    for (let count = 0; count < 6; count++) {
      await world.pass(200)
      pulls.push(pull(world.node(RATE), digest, sizeBytes))
    }
    expect(await world.run(Promise.all(pulls))).toEqual(pulls.map(() => digest))
    expect(world.registry.sentBytes(digest) / sizeBytes).toBeLessThanOrEqual(ORIGIN_RATIO_MAX)
  })

  test("of nodes that each see another part of the rest stays far below a copy each", async () => {
    const world = createWorld()
    world.registry.behave({ bytesPerSecond: 2 * MIB })
    const nodes = Array.from({ length: 8 }, () => world.node({ ...RATE, isConnected: false }))
    for (const [index, node] of nodes.entries()) {
      for (const step of [1, 2, 4]) {
        world.hub.connect(node.net.id, nodes[(index + step) % nodes.length]!.net.id)
      }
    }
    expect(await pullAll(world, nodes, "views", 2 * MIB)).toBeLessThanOrEqual(2)
  })

  test("begins with one segment, so that all clients have first bytes before the link is full", async () => {
    const { world, nodes } = cold(8, { delivery: SMALL_SEGMENTS })
    world.registry.behave({ bytesPerSecond: MIB / 2 })
    const sizeBytes = 8 * MIB
    const digest = world.registry.put(bytesOf("beginning", sizeBytes))
    const pulls = nodes.map((node) => pull(node, digest, sizeBytes))
    // More than a head.
    const segmentReaders = () => nodes.filter((node) => originBytes(node) > 64 * 1024)
    await world.pass(BEGINNING_MS - 50)
    expect(readers(nodes).length).toBe(nodes.length)
    expect(segmentReaders().length).toBe(1)
    await world.pass(1_000)
    expect(segmentReaders().length).toBeGreaterThan(3)
    world.registry.behave(RATE)
    await world.run(Promise.all(pulls))
  })

  test("makes nodes that do not want the blob fetch no more of it than they were elected for", async () => {
    const { world, nodes } = cold(8, { delivery: SMALL_SEGMENTS })
    const wanting = nodes.slice(0, 3)
    const sizeBytes = 3 * MIB
    expect(await pullAll(world, wanting, "bystanders", sizeBytes)).toBeLessThanOrEqual(1.1)
    await world.pass(8_000)
    const digest = digestOf(bytesOf("bystanders", sizeBytes))
    for (const node of nodes.slice(3)) {
      const pieces = node.store.stat(digest)?.pieceCount ?? 0
      expect(pieces * 256 * 1024).toBe(originBytes(node))
      expect(node.delivery.flights()).toEqual([])
    }
  })
})

describe("an elected fetcher", () => {
  /** Lets a stampede begin and finds who has read most from the origin: the first segment. */
  async function begin(count: number, label: string, sizeBytes: number) {
    const { world, nodes } = cold(count)
    world.registry.behave({ bytesPerSecond: MIB })
    const digest = world.registry.put(bytesOf(label, sizeBytes))
    const pulls = nodes.map((node) => pull(node, digest, sizeBytes))
    await world.pass(700)
    const [fetcher] = readers(nodes).sort((a, b) => originBytes(b) - originBytes(a))
    return { world, nodes, digest, pulls, fetcher: fetcher! }
  }

  test("that dies half way is replaced; what it brought is kept", async () => {
    const sizeBytes = 2 * MIB
    const { world, nodes, digest, pulls, fetcher } = await begin(5, "dies", sizeBytes)
    expect(originBytes(fetcher)).toBeGreaterThan(0.2 * sizeBytes)
    expect(originBytes(fetcher)).toBeLessThan(0.6 * sizeBytes)
    world.hub.drop(fetcher.net.id)
    const others = pulls.filter((_, index) => nodes[index] !== fetcher)
    const dead = pulls.find((_, index) => nodes[index] === fetcher)!
    expect(await world.run(Promise.all(others))).toEqual(others.map(() => digest))
    await world.run(dead.catch(() => {}))
    // The dead node is alone in its part of the world and read the rest for itself.
    const shared = world.registry.sentBytes(digest) - originBytes(fetcher)
    expect(shared).toBeLessThanOrEqual(0.8 * sizeBytes)
  })

  test.each<[string, OriginBehaviour]>([
    ["hangs", { isHanging: true }],
    ["refuses", { status: 403 }],
    ["breaks", { status: 500 }],
    ["is rate limited", { status: 429, retryAfterSeconds: 60 }],
  ])("whose own origin %s is passed over", async (_, behaviour) => {
    const probe = await begin(4, "passed over", MIB)
    await probe.world.run(Promise.all(probe.pulls))
    const { world, nodes } = cold(4)
    const fetcher = nodes.find((node) => node.net.id === probe.fetcher.net.id)!
    fetcher.treat(behaviour)
    const sizeBytes = MIB
    const digest = world.registry.put(bytesOf("passed over", sizeBytes))
    const startMs = world.clock.now()
    const pulls = nodes.map((node) => pull(node, digest, sizeBytes))
    expect(await world.run(Promise.all(pulls))).toEqual(nodes.map(() => digest))
    expect(world.clock.now() - startMs).toBeLessThan(4_500)
    expect(world.registry.sentBytes(digest) / sizeBytes).toBeLessThanOrEqual(ORIGIN_RATIO_MAX)
  })

  test("that hears nothing for a second is not waited for when the blob is tiny", async () => {
    const { world, nodes } = cold(4)
    const bytes = bytesOf("tiny", 500)
    const digest = world.registry.put(bytes)
    const ids = nodes.map(({ net }) => net.id)
    const elected = nodes.find(({ net }) => net.id === rankFetchers(digest, 0, ids)[0])!
    elected.treat({ isHanging: true })
    const startMs = world.clock.monotonicMs()
    const others = nodes.filter((node) => node !== elected)
    await world.run(Promise.all(others.map((node) => pull(node, digest, bytes.length))))
    expect(world.clock.monotonicMs() - startMs).toBeLessThan(1_500)
  })

  test("that waits on a full link is waited for, while another blob of the registry comes in", async () => {
    const { world, nodes } = cold(2, { delivery: { limits: { segmentBytes: 16 * MIB } } })
    const [reader, other] = nodes as [Node, Node]
    const ids = nodes.map(({ net }) => net.id)
    /** A blob that the reader is elected for. */
    const putForReader = (label: string, sizeBytes: number): ReturnType<typeof digestOf> => {
      const digest = world.registry.put(bytesOf(label, sizeBytes))
      if (rankFetchers(digest, 0, ids)[0] === reader.net.id) return digest
      return putForReader(`${label}.`, sizeBytes)
    }
    const [slow, late] = [putForReader("slow", 8 * MIB), putForReader("late", MIB / 2)]
    world.registry.behave({ bytesPerSecond: MIB })
    const pulls = nodes.map((node) => pull(node, slow, 8 * MIB))
    await world.pass(500)
    reader.treat({ delayMs: 3_000 })
    expect(await world.run(pull(other, late, MIB / 2))).toBe(late)
    await world.run(Promise.all(pulls))
    // A head of the slow one, and nothing of the late one.
    expect(originBytes(other)).toBeLessThan(64 * 1024)
  })

  test("contacts no registry that its own configuration does not serve", async () => {
    const world = createWorld()
    const strict = world.node({ registries: ["other.test"] })
    const node = world.node({ registries: [REF.registry] })
    for (let count = 0; count < 6; count++) {
      expect(await pullAll(world, [node], `strict ${count}`, 300_000)).toBe(1)
    }
    expect(originBytes(strict)).toBe(0)
  })

  test("serves a node that may not contact the registry itself", async () => {
    const world = createWorld()
    const far = world.node({ registries: [] })
    const near = world.node()
    expect(await pullAll(world, [far], "far", MIB)).toBe(1)
    expect(originBytes(near)).toBe(MIB)
  })

  test("refuses an asker that may not have the repository", async () => {
    const world = createWorld()
    const far = world.node({ registries: [] })
    const near = world.node({ delivery: { mayAsk: () => false } })
    const digest = world.registry.put(bytesOf("not for you", 1_000))
    const failed = await world.run(
      far.delivery.open(wish(digest), open).catch((error: unknown) => error),
    )
    expect(failed).toMatchObject({ code: "ORIGIN_FORBIDDEN" })
    expect(originBytes(near)).toBe(0)
  })

  test("is not needed when a connected peer has all of it", async () => {
    const { world, nodes } = cold(4)
    const bytes = bytesOf("warm", MIB)
    world.registry.put(bytes)
    const digest = await give(nodes[0]!, bytes)
    const pulls = nodes.map((node) => pull(node, digest))
    expect(await world.run(Promise.all(pulls))).toEqual(nodes.map(() => digest))
    expect(world.registry.requestCount).toBe(0)
  })
})
