/** The bounded random graph of a large fleet, in memory and on virtual time. */
import { expect, test } from "vitest"
import {
  FAR_NEIGHBOURS_MIN,
  NEIGHBOURS_MAX,
  NEIGHBOURS_MIN,
  Neighbours,
  type NeighboursDeps,
} from "../../../bench/simulation/neighbours.ts"
import { sha256 } from "../../../src/core/digest.ts"
import { silentLogger } from "../../../src/core/log.ts"
import { VirtualClock } from "../../../src/core/virtual-clock.ts"
import { createMemoryHub, type MemoryHub } from "../../../src/net/memory-network.ts"
import type { PeerId, PeerNetwork } from "../../../src/net/net.ts"
import { seededRandom } from "../swarm/seeded-random.ts"

interface World {
  readonly hub: MemoryHub
  readonly clock: VirtualClock
  readonly nodes: readonly PeerNetwork[]
}

function worldOf(
  count: number,
  options: (
    node: PeerNetwork,
    nodes: readonly PeerNetwork[],
  ) => Partial<NeighboursDeps> = () => ({}),
): World {
  const clock = new VirtualClock(1_000)
  const hub = createMemoryHub({ clock, latencyMs: 5 })
  const nodes = Array.from({ length: count }, (_, place) =>
    hub.join({ seed: sha256(Buffer.from(`neighbour ${place}`)) }),
  )
  for (const [place, net] of nodes.entries()) {
    const known = () => nodes.map(({ id }) => id)
    const random = seededRandom(place)
    new Neighbours({ net, clock, log: silentLogger, known, random, ...options(net, nodes) })
  }
  return { hub, clock, nodes }
}

/** All that one can reach over connections. */
function reachedFrom(start: PeerNetwork, nodes: readonly PeerNetwork[]): Set<PeerId> {
  const byId = new Map(nodes.map((node) => [node.id, node]))
  const reached = new Set([start.id])
  for (const id of reached) for (const peer of byId.get(id)!.peers()) reached.add(peer.id)
  return reached
}

test("each of many nodes gets a few neighbours, and together they are one graph", async () => {
  const { clock, nodes } = worldOf(100)
  await clock.advance(8_000)
  const degrees = nodes.map((node) => node.peers().length)
  expect(Math.min(...degrees)).toBeGreaterThanOrEqual(NEIGHBOURS_MIN)
  expect(degrees.reduce((sum, degree) => sum + degree, 0) / nodes.length).toBeLessThan(
    NEIGHBOURS_MAX,
  )
  expect(reachedFrom(nodes[0]!, nodes).size).toBe(nodes.length)
})

test("a fleet of a few is connected each to each", async () => {
  const { clock, nodes } = worldOf(NEIGHBOURS_MIN)
  await clock.advance(8_000)
  for (const node of nodes) expect(node.peers()).toHaveLength(NEIGHBOURS_MIN - 1)
})

test("neighbours that vanish are replaced", async () => {
  const { hub, clock, nodes } = worldOf(60)
  await clock.advance(8_000)
  for (const node of nodes.slice(0, 20)) hub.drop(node.id)
  await clock.advance(15_000)
  for (const node of nodes.slice(20)) {
    expect(node.peers().length).toBeGreaterThanOrEqual(NEIGHBOURS_MIN)
  }
})

test("who is connected to too many lets spare ones go, and keeps those in use", async () => {
  const { hub, clock, nodes } = worldOf(40, (node, all) => {
    // The first node is reached by everybody, and uses two of them.
    const inUse = new Set([all[1]!.id, all[2]!.id])
    return { isSpare: (peer) => node !== all[0] || !inUse.has(peer) }
  })
  const [first] = nodes
  for (const other of nodes.slice(1)) hub.connect(first!.id, other.id)
  await clock.advance(60_000)
  const left = first!.peers().map(({ id }) => id)
  expect(left.length).toBeLessThanOrEqual(NEIGHBOURS_MAX)
  expect(left).toContain(nodes[1]!.id)
  expect(left).toContain(nodes[2]!.id)
})

test("a node of a zone finds neighbours beyond it, and keeps them", async () => {
  // Three of four stand in one zone.
  const isOdd = (id: PeerId, all: readonly PeerNetwork[]) =>
    all.findIndex((node) => node.id === id) % 4 === 0
  const { clock, nodes } = worldOf(100, (node, all) => ({
    isFar: (peer) => isOdd(peer, all) !== isOdd(node.id, all),
    isSpare: () => true,
  }))
  await clock.advance(120_000)
  const lacking = nodes.filter((node) => {
    const far = node.peers().filter(({ id }) => isOdd(id, nodes) !== isOdd(node.id, nodes))
    return far.length < FAR_NEIGHBOURS_MIN
  })
  expect(lacking.length).toBeLessThanOrEqual(nodes.length / 10)
})
