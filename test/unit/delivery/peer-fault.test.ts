/** What a node does when its peers misbehave. */
import { describe, expect, test } from "vitest"
import { digestOf } from "../../../src/core/digest.ts"
import {
  bytesOf,
  codeOfFailure,
  createWorld,
  drain,
  give,
  MIB,
  type Node,
  never,
  PIECE,
  type World,
  wish,
} from "./world.ts"

const open = { signal: never() }

async function pullRight(world: World, node: Node, digest: ReturnType<typeof digestOf>) {
  const got = await world.run(drain(node.delivery.open(wish(digest), open)))
  expect(digestOf(got)).toBe(digest)
}

describe("a peer that holds the blob", () => {
  test("but sends nothing for 2 s is not waited for: the origin is asked", async () => {
    const world = createWorld()
    const [holder, node] = [world.node(), world.node()]
    const bytes = bytesOf("frozen", MIB)
    const digest = await give(holder, bytes)
    world.registry.put(bytes)
    world.swarms.freeze(holder.net.id, true)
    const startMs = world.clock.now()
    await pullRight(world, node, digest)
    expect(world.clock.now() - startMs).toBeLessThan(3_000)
    expect(node.metrics.value("sealift_delivery_hedges_total")).toBe(1)
  })

  test("but sends nothing is reported as BLOB_UNAVAILABLE when there is no origin", async () => {
    const world = createWorld()
    const [holder, node] = [world.node(), world.node()]
    const digest = await give(holder, bytesOf("frozen", MIB))
    world.swarms.freeze(holder.net.id, true)
    const startMs = world.clock.now()
    const pull = codeOfFailure(node.delivery.open({ digest }, open))
    expect(await world.run(pull)).toBe("BLOB_UNAVAILABLE")
    expect(world.clock.now() - startMs).toBeLessThanOrEqual(5_000)
  })

  test("and lets the node wait for its turn is waited for", async () => {
    const world = createWorld()
    const [holder, node] = [world.node(), world.node()]
    const digest = await give(holder, bytesOf("queue", MIB))
    world.swarms.queue(holder.net.id, true)
    world.clock.after(20_000, () => world.swarms.queue(holder.net.id, false))
    const got = await world.run(drain(node.delivery.open({ digest }, open)))
    expect(digestOf(got)).toBe(digest)
  })

  test("and lets the node wait for ever is given up after a minute", async () => {
    const world = createWorld()
    const [holder, node] = [world.node(), world.node()]
    const digest = await give(holder, bytesOf("queue", MIB))
    world.swarms.queue(holder.net.id, true)
    const startMs = world.clock.now()
    const pull = codeOfFailure(node.delivery.open({ digest }, open))
    expect(await world.run(pull)).toBe("BLOB_UNAVAILABLE")
    expect(world.clock.now() - startMs).toBeGreaterThan(55_000)
    expect(world.clock.now() - startMs).toBeLessThanOrEqual(60_000)
  })

  test("gives it although the origin hangs", async () => {
    const world = createWorld()
    const [holder, node] = [world.node(), world.node()]
    const bytes = bytesOf("hanging origin", MIB)
    const digest = await give(holder, bytes)
    world.registry.behave({ isHanging: true })
    await pullRight(world, node, digest)
  })

  test("and comes while the origin hangs is taken", async () => {
    const world = createWorld()
    const node = world.node()
    const bytes = bytesOf("late holder", MIB)
    const digest = world.registry.put(bytes)
    world.registry.behave({ isHanging: true })
    const pull = drain(node.delivery.open(wish(digest, bytes.length), open))
    await world.pass(1_000)
    await give(world.node(), bytes)
    expect(digestOf(await world.run(pull))).toBe(digest)
  })

  test("and lies costs another copy and never a wrong blob", async () => {
    const world = createWorld()
    const [liar, node] = [world.node(), world.node()]
    const bytes = bytesOf("lying peer", MIB)
    const digest = await give(liar, bytes)
    world.registry.put(bytes)
    world.swarms.corrupt(liar.net.id, true)
    await world.run(node.delivery.ensure(wish(digest), open))
    const got = await world.run(drain(node.delivery.open(wish(digest), open)))
    expect(digestOf(got)).toBe(digest)
  })

  test("and lies breaks the stream before its last piece", async () => {
    const world = createWorld()
    const [liar, node] = [world.node(), world.node()]
    const bytes = bytesOf("lying peer", MIB)
    const digest = await give(liar, bytes)
    world.swarms.corrupt(liar.net.id, true)
    const stream = await world.run(node.delivery.open({ digest }, open))
    let received = 0
    const read = async () => {
      for await (const chunk of stream.body) received += chunk.length
    }
    expect(await world.run(codeOfFailure(read()))).toBe("BLOB_MISMATCH")
    expect(received).toBeLessThanOrEqual(bytes.length - PIECE)
    await world.pass(20_000)
    expect(node.store.stat(digest)?.isComplete ?? false).toBe(false)
  })
})

describe("a peer that tells a false size", () => {
  test("is overruled by an honest one", async () => {
    const world = createWorld()
    const [liar, honest, node] = [world.node({ id: "a" }), world.node({ id: "b" }), world.node()]
    const bytes = bytesOf("size", MIB)
    const digest = await give(honest, bytes)
    world.swarms.claimSize(liar.net.id, digest, 3 * MIB)
    const got = await world.run(drain(node.delivery.open({ digest }, open)))
    expect(digestOf(got)).toBe(digest)
  })

  test("is overruled by the origin", async () => {
    const world = createWorld()
    const [liar, node] = [world.node(), world.node()]
    const bytes = bytesOf("size", MIB)
    const digest = world.registry.put(bytes)
    world.swarms.claimSize(liar.net.id, digest, 3 * MIB)
    await pullRight(world, node, digest)
  })

  test("beyond every bound is not believed at all", async () => {
    const world = createWorld()
    const [liar, node] = [world.node(), world.node()]
    const { digest } = { digest: digestOf(bytesOf("huge", 10)) }
    world.swarms.claimSize(liar.net.id, digest, 2 ** 50)
    const pull = codeOfFailure(node.delivery.open({ digest }, open))
    expect(["BLOB_UNKNOWN", "BLOB_UNAVAILABLE"]).toContain(await world.run(pull))
  })
})
