/** Delivery on the real swarm engine, over the network's and the store's twins, in real time. */
import { afterEach, describe, expect, test } from "vitest"
import { systemClock } from "../../../src/core/clock.ts"
import { type Digest, digestOf } from "../../../src/core/digest.ts"
import { silentLogger } from "../../../src/core/log.ts"
import { MemoryMetrics } from "../../../src/core/metrics.ts"
import type { Delivery } from "../../../src/delivery/delivery.ts"
import {
  createMemoryRegistry,
  type MemoryRegistry,
  type OriginBehaviour,
} from "../../../src/delivery/memory-origin.ts"
import { createDelivery } from "../../../src/delivery/road.ts"
import { createMemoryHub, type MemoryHub } from "../../../src/net/memory-network.ts"
import type { PeerNetwork } from "../../../src/net/net.ts"
import { createMemoryStore, type MemoryStore } from "../../../src/store/memory-store.ts"
import { createSwarm } from "../../../src/swarm/engine.ts"
import type { Swarm } from "../../../src/swarm/swarm.ts"
import { bytesOf, codeOfFailure, drain, MIB, never, PIECE, wish } from "./world.ts"

const clock = systemClock
const open = { signal: never() }

interface RealNode {
  readonly net: PeerNetwork
  readonly store: MemoryStore
  readonly swarm: Swarm
  readonly delivery: Delivery
  readonly metrics: MemoryMetrics
  behaviour: OriginBehaviour | undefined
}

interface RealWorld {
  readonly hub: MemoryHub
  readonly registry: MemoryRegistry
  readonly nodes: readonly RealNode[]
}

const running: RealNode[] = []

afterEach(async () => {
  for (const node of running) {
    await node.delivery.stop({ deadlineMs: 0 })
    await node.swarm.stop()
  }
  for (const node of running.splice(0)) {
    await node.net.stop()
    await node.store.close()
  }
})

function createNode(hub: MemoryHub, registry: MemoryRegistry): RealNode {
  const net = hub.join()
  const store = createMemoryStore({ clock })
  const metrics = new MemoryMetrics()
  const swarm = createSwarm({ store, net, clock, log: silentLogger, metrics })
  const node: { behaviour: OriginBehaviour | undefined } = { behaviour: undefined }
  const origin = registry.origin({ behaviour: () => node.behaviour })
  const deps = { store, swarm, net, origin, clock, log: silentLogger, metrics }
  return Object.assign(node, { net, store, swarm, metrics, delivery: createDelivery(deps) })
}

async function createWorld(count: number): Promise<RealWorld> {
  const hub = createMemoryHub({ clock })
  const registry = createMemoryRegistry({ clock })
  const nodes = Array.from({ length: count }, () => createNode(hub, registry))
  running.push(...nodes)
  hub.connectAll()
  return { hub, registry, nodes }
}

async function pull(node: RealNode, digest: Digest, sizeBytes: number): Promise<Digest> {
  return digestOf(await drain(node.delivery.open(wish(digest, sizeBytes), open)))
}

function originBytes(node: RealNode): number {
  return node.metrics.value("sealift_delivery_bytes_total", { source: "origin" })
}

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 5))
}

describe("delivery on the engine", () => {
  test("costs the origin one copy in a stampede of eight nodes", async () => {
    const { registry, nodes } = await createWorld(8)
    registry.behave({ bytesPerSecond: 10 * MIB })
    const sizeBytes = 2 * MIB + 99
    const digest = registry.put(bytesOf("engine stampede", sizeBytes))
    const pulls = nodes.map((node) => pull(node, digest, sizeBytes))
    expect(await Promise.all(pulls)).toEqual(nodes.map(() => digest))
    expect(registry.sentBytes(digest) / sizeBytes).toBeLessThanOrEqual(1.1)
  })

  test("goes on when the fetcher dies half way", async () => {
    const { hub, registry, nodes } = await createWorld(4)
    registry.behave({ bytesPerSecond: 3 * MIB })
    const sizeBytes = 3 * MIB
    const digest = registry.put(bytesOf("engine dies", sizeBytes))
    const pulls = nodes.map((node) => codeOfFailure(pull(node, digest, sizeBytes)))
    // Each reads a segment of a mebibyte, or several.
    await until(() => nodes.some((node) => originBytes(node) > MIB / 2))
    const fetcher = nodes.find((node) => originBytes(node) > MIB / 2)!
    hub.drop(fetcher.net.id)
    await Promise.all(pulls)
    for (const node of nodes) {
      if (node !== fetcher) expect(node.store.stat(digest)?.isComplete).toBe(true)
    }
    const others = registry.sentBytes(digest) - originBytes(fetcher)
    expect(others).toBeLessThan(sizeBytes)
  })

  test("recovers from a fetcher whose mirror lies, and bans no honest node", async () => {
    const { registry, nodes } = await createWorld(4)
    const sizeBytes = MIB
    const digest = registry.put(bytesOf("engine mirror", sizeBytes))
    registry.behave({ bytesPerSecond: 10 * MIB })
    // Whoever asks first is lied to.
    let liar: RealNode | undefined
    for (const node of nodes) {
      Object.defineProperty(node, "behaviour", {
        get: () => {
          liar ??= node
          return node === liar ? { isLying: true, bytesPerSecond: 10 * MIB } : undefined
        },
      })
    }
    const ensured = await Promise.allSettled(
      nodes.map((node) => node.delivery.ensure(wish(digest, sizeBytes), open)),
    )
    for (const [index, result] of ensured.entries()) {
      if (nodes[index] !== liar) expect(result.status).toBe("fulfilled")
    }
    const honest = nodes.filter((node) => node !== liar).map((node) => node.net.id)
    for (const node of nodes) {
      for (const { peer } of node.net.bans()) expect(honest).not.toContain(peer)
    }
    expect(registry.sentBytes(digest) / sizeBytes).toBeLessThanOrEqual(6)
  })

  test("heals a lost piece from a neighbour in the middle of a stream", async () => {
    const { registry, nodes } = await createWorld(2)
    const [first, second] = nodes as [RealNode, RealNode]
    const bytes = bytesOf("engine heals", 3 * MIB)
    const digest = registry.put(bytes)
    await first.delivery.ensure(wish(digest), open)
    await second.delivery.ensure(wish(digest), open)
    const before = registry.requestCount
    second.store.flipBit(digest, 2 * MIB + 7)
    expect(await pull(second, digest, bytes.length)).toBe(digest)
    expect(registry.requestCount).toBe(before)
    expect(second.swarm.stats().downloadedBytes).toBeGreaterThanOrEqual(PIECE)
  })
})
