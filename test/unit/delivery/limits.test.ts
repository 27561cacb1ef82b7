/** Reads from an origin under limits, and over a metered way, on virtual time. */
import { describe, expect, test } from "vitest"
import { PeerClasses } from "../../../src/swarm/peer-class.ts"
import { Shaping } from "../../../src/swarm/shaping.ts"
import {
  bytesOf,
  codeOfFailure,
  createWorld,
  drain,
  give,
  MIB,
  never,
  type World,
  wish,
} from "./world.ts"

const RATE = MIB

/** A node whose traffic is shaped. */
function shapedNode(
  world: World,
  options: { down?: number; isMetered?: boolean; id?: string } = {},
) {
  const { clock } = world
  let shaping: Shaping | undefined
  const node = world.node({
    ...(options.id === undefined ? {} : { id: options.id }),
    shaping: (net) => {
      const classes = new PeerClasses({ net, isSameZone: () => false }, options)
      shaping = new Shaping({ clock, classes }, { down: options.down })
      return shaping
    },
  })
  return { ...node, shaping: shaping! }
}

describe("an origin under a limit", () => {
  test("sends at the limit in the mean, to several readers together", async () => {
    const world = createWorld()
    const node = shapedNode(world, { down: RATE })
    const digests = ["a", "b"].map((label) => world.registry.put(bytesOf(label, 4 * MIB)))
    const startMs = world.clock.monotonicMs()
    const streams = digests.map((digest) =>
      drain(node.delivery.open(wish(digest), { signal: never() })),
    )
    await world.run(Promise.all(streams))
    const rate = (8 * MIB * 1000) / (world.clock.monotonicMs() - startMs)
    expect(rate / RATE).toBeGreaterThan(0.95)
    expect(rate / RATE).toBeLessThan(1.02)
    expect(node.shaping.down.passedBytes.wan).toBe(8 * MIB)
  })

  test("that is so low that a chunk takes a quarter of a second is not taken for a stalled one", async () => {
    const world = createWorld()
    const node = shapedNode(world, { down: RATE / 4 })
    const digests = ["a", "b", "c", "d"].map((label) => world.registry.put(bytesOf(label, MIB)))
    const streams = digests.map((digest) =>
      drain(node.delivery.open(wish(digest), { signal: never() })),
    )
    await world.run(Promise.all(streams))
    expect(world.registry.sentBytes()).toBe(4 * MIB)
    expect(world.registry.requestCount).toBe(4)
  })

  test("gives its turn back when its reader goes away", async () => {
    const world = createWorld()
    const node = shapedNode(world, { down: RATE })
    const digest = world.registry.put(bytesOf("a", 8 * MIB))
    const leaving = new AbortController()
    const stream = drain(node.delivery.open(wish(digest), { signal: leaving.signal }))
    await world.pass(500)
    leaving.abort(new Error("gone"))
    await world.run(codeOfFailure(stream))
    await world.pass(10_000)
    expect(world.registry.openCount).toBe(0)
    expect(node.shaping.down.waitMs("wan")).toBe(0)
  })
})

describe("over a metered way", () => {
  test("nothing is read from an origin, and the error says why", async () => {
    const world = createWorld()
    const node = shapedNode(world, { isMetered: true })
    const digest = world.registry.put(bytesOf("a", MIB))
    const opened = node.delivery.open(wish(digest), { signal: never() })
    expect(await world.run(codeOfFailure(opened))).toBe("LINK_METERED")
    expect([world.registry.requestCount, world.registry.sentBytes()]).toEqual([0, 0])
  })

  test("what a neighbour has comes from it", async () => {
    const world = createWorld()
    const node = shapedNode(world, { isMetered: true })
    const neighbour = world.node()
    const bytes = bytesOf("a", MIB)
    const digest = await give(neighbour, bytes)
    await world.pass(100)
    const got = await world.run(drain(node.delivery.open(wish(digest), { signal: never() })))
    expect(Buffer.compare(got, bytes)).toBe(0)
    expect(world.registry.requestCount).toBe(0)
  })

  test("a neighbour whose way out is not metered reads it for this node", async () => {
    const world = createWorld()
    const node = shapedNode(world, { isMetered: true, id: "metered" })
    world.node({ id: "free" })
    const bytes = bytesOf("a", MIB)
    const digest = world.registry.put(bytes)
    await world.pass(100)
    const got = await world.run(drain(node.delivery.open(wish(digest), { signal: never() })))
    expect(Buffer.compare(got, bytes)).toBe(0)
    expect(node.shaping.down.passedBytes.metered).toBe(0)
    expect(world.registry.sentBytes()).toBe(MIB)
  })

  test("a read that runs is ended when the way becomes metered, and goes on when it is no longer", async () => {
    const world = createWorld()
    const node = shapedNode(world, { down: RATE })
    const digest = world.registry.put(bytesOf("a", 8 * MIB))
    const first = drain(node.delivery.open(wish(digest), { signal: never() }))
    first.catch(() => {})
    await world.pass(2_000)
    node.shaping.classes.setMetered(true)
    expect(await world.run(codeOfFailure(first))).toBe("LINK_METERED")
    const sentBytes = world.registry.sentBytes()
    expect(sentBytes).toBeLessThan(3 * MIB)
    await world.pass(5_000)
    expect([world.registry.sentBytes(), world.registry.openCount]).toEqual([sentBytes, 0])
    node.shaping.classes.setMetered(false)
    const got = await world.run(drain(node.delivery.open(wish(digest), { signal: never() })))
    expect(got.length).toBe(8 * MIB)
  })
})
