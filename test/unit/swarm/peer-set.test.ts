/** With whom a blob is exchanged. */
import { expect, test } from "vitest"
import { digestOf } from "../../../src/core/digest.ts"
import { VirtualClock } from "../../../src/core/virtual-clock.ts"
import { PEER_SET_MAX, PeerSet } from "../../../src/swarm/peer-set.ts"
import { SOURCES_MAX } from "../../../src/swarm/source-roster.ts"
import type { Holder, Torrent } from "../../../src/swarm/swarm.ts"
import { finish, ingest, join, patternBytes, until } from "../../contract/swarm.ts"
import { MemoryWorld } from "./memory-world.ts"

const digest = digestOf(Buffer.from("neighbours"))
const holder = (peer: string, isComplete = false): Holder => ({ peer, isComplete, sizeBytes: 1 })
const nowhere = () => false
const peersOf = (holders: readonly Holder[]) => holders.map(({ peer }) => peer)

/** Whom each of some takes from, where all still fetch beside one seed. */
function chosenByEach(all: readonly string[], seed: string): Map<string, readonly string[]> {
  return new Map(
    all.map((self) => {
      const others = all.filter((peer) => peer !== self).map((peer) => holder(peer))
      const ordered = new PeerSet(digest, self).ordered([holder(seed, true), ...others], nowhere)
      return [self, peersOf(PeerSet.chosen(ordered, nowhere))]
    }),
  )
}

test.each([12, 32, 64, 250])(
  "%i that fetch take from the seed, and about as many take from each as it takes from itself",
  (count) => {
    const all = Array.from({ length: count }, (_, index) => `peer ${index}`)
    const chosen = [...chosenByEach(all, "seed").values()]
    for (const theirs of chosen) {
      expect(theirs).toHaveLength(PEER_SET_MAX)
      expect(new Set(theirs).size).toBe(PEER_SET_MAX)
      expect(theirs[0]).toBe("seed")
    }
    const asked = all.map((peer) => chosen.filter((theirs) => theirs.includes(peer)).length)
    expect(Math.max(...asked)).toBeLessThanOrEqual(PEER_SET_MAX + 2)
    expect(Math.min(...asked)).toBeGreaterThanOrEqual(PEER_SET_MAX - 4)
  },
)

test("what one has comes to all over few others", () => {
  const all = Array.from({ length: 250 }, (_, index) => `peer ${index}`)
  const chosen = chosenByEach(all, "seed")
  let reached = new Set(["peer 0"])
  let steps = 0
  for (; reached.size < all.length; steps++) {
    expect(steps).toBeLessThan(5)
    const takers = all.filter((peer) => chosen.get(peer)!.some((other) => reached.has(other)))
    reached = new Set([...reached, ...takers])
  }
})

test("of many seeds each node takes others, and about as many take from each", () => {
  const seeds = Array.from({ length: 32 }, (_, index) => holder(`seed ${index}`, true))
  const takes = new Map(seeds.map(({ peer }) => [peer, 0]))
  for (let index = 0; index < 64; index++) {
    const ordered = new PeerSet(digest, `peer ${index}`).ordered(seeds, nowhere)
    for (const peer of peersOf(PeerSet.chosen(ordered, nowhere))) {
      takes.set(peer, takes.get(peer)! + 1)
    }
  }
  // Sixteen each, were it even.
  expect(Math.max(...takes.values())).toBeLessThanOrEqual(32)
  expect(Math.min(...takes.values())).toBeGreaterThanOrEqual(5)
})

test("near ones come before far ones, and whole ones before others", () => {
  const holders = [holder("far seed", true), holder("near"), holder("near seed", true)]
  const ordered = new PeerSet(digest, "self").ordered(holders, (peer) => peer === "far seed")
  expect(peersOf(ordered)).toEqual(["near seed", "near", "far seed"])
})

test("two places are for nodes beyond the zone: the first of them, and one that fetches", () => {
  const near = Array.from({ length: 12 }, (_, index) => holder(`near ${index}`))
  const far = [holder("far seed", true), holder("far seed 2", true), holder("far", false)]
  const isFar = (peer: string) => peer.startsWith("far")
  const ordered = new PeerSet(digest, "self").ordered([...far, ...near], isFar)
  const chosen = peersOf(PeerSet.chosen(ordered, isFar))
  expect(chosen).toHaveLength(PEER_SET_MAX)
  expect(chosen.filter((peer) => !isFar(peer))).toEqual(peersOf(ordered).slice(0, 6))
  expect(chosen.filter(isFar)).toEqual([expect.stringContaining("far seed"), "far"])
})

test.each([
  ["nobody stands beyond the zone", 12, 0, 8, 0],
  ["one node stands beyond it", 12, 1, 7, 1],
  ["few stand in it", 3, 12, 3, 5],
  ["nobody stands in it", 0, 12, 0, 8],
  ["there are few in all", 2, 3, 2, 3],
])("where %s all places are used", (_, nearCount, farCount, nearChosen, farChosen) => {
  const isFar = (peer: string) => peer.startsWith("far")
  const near = Array.from({ length: nearCount }, (_, index) => holder(`near ${index}`))
  const far = Array.from({ length: farCount }, (_, index) => holder(`far ${index}`))
  const ordered = new PeerSet(digest, "self").ordered([...near, ...far], isFar)
  const chosen = peersOf(PeerSet.chosen(ordered, isFar))
  expect(new Set(chosen).size).toBe(chosen.length)
  expect(chosen.filter((peer) => !isFar(peer))).toHaveLength(nearChosen)
  expect(chosen.filter(isFar)).toHaveLength(farChosen)
})

test("the order does not depend on who was heard of first, and differs from blob to blob", () => {
  const holders = Array.from({ length: 20 }, (_, index) => holder(`peer ${index}`))
  const ordered = peersOf(new PeerSet(digest, "self").ordered(holders, nowhere))
  const reversed = new PeerSet(digest, "self").ordered([...holders].reverse(), nowhere)
  expect(peersOf(reversed)).toEqual(ordered)
  const other = new PeerSet(digestOf(Buffer.from("another")), "self").ordered(holders, nowhere)
  expect(peersOf(other)).not.toEqual(ordered)
})

test("a node takes a blob from a few of many", async () => {
  const bytes = patternBytes(3_000_000)
  await using world = new MemoryWorld()
  for (let count = 0; count < 2 * PEER_SET_MAX; count++) await ingest(await world.add(), bytes)
  const leech = await world.add()
  const wanted = digestOf(bytes)
  await until(() => leech.swarm.holders(wanted).length === 2 * PEER_SET_MAX, "all are known")
  const torrent = await join(leech, wanted, bytes.length)
  await finish(torrent)
  expect(torrent.sources().length).toBeLessThanOrEqual(PEER_SET_MAX)
})

test("a node whose peer set brings nothing finds another", async () => {
  const bytes = patternBytes(600_000)
  const clock = new VirtualClock()
  const world = new MemoryWorld({ clock })
  const stuck = { tricks: { isStuck: true }, contents: bytes }
  for (let count = 0; count < PEER_SET_MAX; count++) {
    await ingest(await world.add({}, stuck), bytes)
  }
  await ingest(await world.add(), bytes)
  const leech = await world.add()
  await clock.advance(1_000)
  const torrent = await join(leech, digestOf(bytes), bytes.length)
  const startMs = clock.monotonicMs()
  while (!torrent.blob.pieces.isFull) {
    expect(clock.monotonicMs() - startMs).toBeLessThan(15_000)
    await clock.advance(100)
  }
  torrent.close()
  torrent.blob.release()
  const disposed = world[Symbol.asyncDispose]()
  await clock.advance(5_000)
  await disposed
})

test("more nodes than a blob has places for wait for a seed, and it reaches them all", async () => {
  const bytes = patternBytes(600_000)
  const clock = new VirtualClock()
  const world = new MemoryWorld({ clock })
  const torrents: Torrent[] = []
  for (let count = 0; count < SOURCES_MAX + 4; count++) {
    torrents.push(await join(await world.add(), digestOf(bytes), bytes.length))
  }
  // Long enough that each looks beyond its peer set and has all places taken by who has nothing.
  await clock.advance(10_000)
  await ingest(await world.add(), bytes)
  const startMs = clock.monotonicMs()
  while (torrents.some(({ blob }) => !blob.pieces.isFull)) {
    expect(clock.monotonicMs() - startMs).toBeLessThan(15_000)
    await clock.advance(100)
  }
  for (const torrent of torrents) {
    torrent.close()
    torrent.blob.release()
  }
  const disposed = world[Symbol.asyncDispose]()
  await clock.advance(5_000)
  await disposed
})
