/** What the engine does beyond the port's contract, on virtual time where time matters. */
import { describe, expect, test } from "vitest"
import { digestOf } from "../../../src/core/digest.ts"
import { silentLogger } from "../../../src/core/log.ts"
import { MemoryMetrics } from "../../../src/core/metrics.ts"
import { VirtualClock } from "../../../src/core/virtual-clock.ts"
import { createSwarm } from "../../../src/swarm/engine.ts"
import { fetchBlob, finish, ingest, join, patternBytes, until } from "../../contract/swarm.ts"
import { type MemoryNode, MemoryWorld } from "./memory-world.ts"
import { seededRandom } from "./seeded-random.ts"

const SIZE_BYTES = 3_000_000
const bytes = patternBytes(SIZE_BYTES)
const digest = digestOf(bytes)

async function endWorld(world: MemoryWorld, clock: VirtualClock): Promise<void> {
  const disposed = world[Symbol.asyncDispose]()
  await clock.advance(3_000)
  await disposed
}

/** Moves time on in small steps until something holds. @returns how long it took, milliseconds */
async function timeUntil(clock: VirtualClock, holds: () => boolean): Promise<number> {
  const startMs = clock.monotonicMs()
  while (!holds()) {
    if (clock.monotonicMs() - startMs > 60_000) throw new Error("not within a minute")
    await clock.advance(1)
  }
  return clock.monotonicMs() - startMs
}

describe("time", () => {
  test("a small blob takes one round trip once there is a session", async () => {
    const clock = new VirtualClock(1_000)
    const world = new MemoryWorld({ clock, latencyMs: 50 })
    const [seed, leech] = [await world.add(), await world.add()]
    const blobs = [patternBytes(9_000), patternBytes(10_000)]
    for (const blob of blobs) await ingest(seed, blob)
    await clock.advance(500)
    const times: number[] = []
    for (const blob of blobs) {
      const torrent = await join(leech, digestOf(blob), blob.length)
      times.push(await timeUntil(clock, () => torrent.blob.pieces.isFull))
      torrent.close()
      torrent.blob.release()
    }
    expect(times[1]).toBeLessThanOrEqual(102)
    await endWorld(world, clock)
  })

  test.each([9_000, SIZE_BYTES])("a blob of %d bytes is counted once it is here", async (size) => {
    const clock = new VirtualClock(1_000)
    const world = new MemoryWorld({ clock, latencyMs: 3 })
    const [seed, leech] = [await world.add(), await world.add()]
    const blob = patternBytes(size)
    await ingest(seed, blob)
    await clock.advance(500)
    const torrent = await join(leech, digestOf(blob), size)
    await timeUntil(clock, () => torrent.blob.pieces.isFull)
    torrent.close()
    torrent.blob.release()
    expect(leech.metrics.value("sealift_swarm_downloaded_bytes_total")).toBe(size)
    await endWorld(world, clock)
  })

  test("a large blob on a long link is not held up by its round trips", async () => {
    const clock = new VirtualClock(1_000)
    const world = new MemoryWorld({ clock, latencyMs: 50 })
    const [seed, leech] = [await world.add(), await world.add()]
    await ingest(seed, bytes)
    await clock.advance(500)
    const torrent = await join(leech, digest, SIZE_BYTES)
    // 184 blocks, 32 at first and doubled each round trip: 3 of them, and those of the open.
    expect(await timeUntil(clock, () => torrent.blob.pieces.isFull)).toBeLessThan(600)
    torrent.close()
    torrent.blob.release()
    await endWorld(world, clock)
  })

  test("with one upload slot several fetchers take turns and all end", async () => {
    const clock = new VirtualClock(1_000)
    const world = new MemoryWorld({ clock })
    const seed = await world.add({ uploadSlots: 1 })
    const leeches = [await world.add(), await world.add(), await world.add()]
    for (const leech of leeches) {
      for (const other of leeches) if (other !== leech) await leech.net.disconnect(other.net.id)
    }
    await ingest(seed, bytes)
    await clock.advance(50)
    const torrents = await Promise.all(leeches.map((leech) => join(leech, digest, SIZE_BYTES)))
    await timeUntil(clock, () => torrents.every((torrent) => torrent.blob.pieces.isFull))
    for (const torrent of torrents) {
      torrent.close()
      torrent.blob.release()
    }
    await endWorld(world, clock)
  })

  test("the same seed of randomness asks for the same pieces in the same order", async () => {
    const orders: number[][] = []
    for (let run = 0; run < 2; run++) {
      const clock = new VirtualClock(1_000)
      const world = new MemoryWorld({ clock })
      const seed = await world.add({ random: seededRandom(1) })
      const leech = await world.add({ random: seededRandom(2) })
      await ingest(seed, bytes)
      await clock.advance(50)
      const order: number[] = []
      leech.store.onChange((change) => {
        if (change.kind === "piece") order.push(change.index)
      })
      const torrent = await join(leech, digest, SIZE_BYTES)
      await timeUntil(clock, () => torrent.blob.pieces.isFull)
      orders.push(order)
      torrent.close()
      torrent.blob.release()
      await endWorld(world, clock)
    }
    expect(orders[0]).toEqual(orders[1])
    expect(orders[0]).not.toEqual([...orders[0]!].sort((a, b) => a - b))
  })
})

describe("a disk that lies", () => {
  test("costs its node the piece and nothing else: the blob comes from the others", async () => {
    await using world = new MemoryWorld()
    const [bad, good, leech] = [await world.add(), await world.add(), await world.add()]
    for (const node of [bad, good]) await ingest(node, bytes)
    bad.store.flipBit(digest, 1_500_000)
    await until(() => leech.swarm.holders(digest).length === 2, "both are known")
    await fetchBlob(leech, digest, SIZE_BYTES)
    expect(leech.net.bans()).toEqual([])
  })

  test("is found out by a lone fetcher, who gets all but that piece, and all once it is mended", async () => {
    await using world = new MemoryWorld()
    const [bad, leech] = [await world.add(), await world.add()]
    await ingest(bad, bytes)
    bad.store.flipBit(digest, 1_500_000)
    await until(() => leech.swarm.holders(digest).length === 1, "it is known")
    const torrent = await join(leech, digest, SIZE_BYTES)
    await until(() => torrent.blob.pieces.count === 11, "all but one")
    expect(bad.store.stat(digest)?.isComplete).toBe(false)
    const late = await world.add()
    const another = await join(late, digest, SIZE_BYTES)
    await until(() => another.blob.pieces.count === 11, "what is left of it is served")
    another.close()
    another.blob.release()
    await ingest(bad, bytes)
    await finish(torrent)
    expect(leech.net.bans()).toEqual([])
  })
})

/** Gives a growing blob at a relay: some pieces, fetched from an origin reader that then left. */
async function relayWithPieces(world: MemoryWorld): Promise<MemoryNode> {
  const [origin, relay] = [await world.add(), await world.add()]
  const [theirs, ours] = [
    await join(origin, digest, SIZE_BYTES),
    await join(relay, digest, SIZE_BYTES),
  ]
  for (const index of [0, 1, 2, 5]) {
    const piece = bytes.subarray(index * 262_144, (index + 1) * 262_144)
    await theirs.blob.writePiece(index, piece)
    theirs.announcePiece(index)
  }
  await until(() => ours.blob.pieces.count === 4, "the relay has them")
  ours.close()
  ours.blob.release()
  theirs.close()
  theirs.blob.release()
  await origin.swarm.stop()
  await origin.net.stop()
  return relay
}

describe("a relay", () => {
  test("serves what it has, with the words of a signer that is gone", async () => {
    await using world = new MemoryWorld()
    await relayWithPieces(world)
    const leech = await world.add()
    const torrent = await join(leech, digest, SIZE_BYTES)
    await until(() => torrent.blob.pieces.count === 4, "what the relay has")
    torrent.close()
    torrent.blob.release()
  })

  test("serves it after a restart too", async () => {
    await using world = new MemoryWorld()
    const relay = await relayWithPieces(world)
    await relay.swarm.stop()
    const { store, net } = relay
    const deps = { store, net, clock: world.clock, log: silentLogger, metrics: new MemoryMetrics() }
    const restarted = createSwarm(deps)
    const leech = await world.add()
    const torrent = await join(leech, digest, SIZE_BYTES)
    await until(() => torrent.blob.pieces.count === 4, "what the relay has")
    torrent.close()
    torrent.blob.release()
    await restarted.stop()
  })
})

describe("many blobs", () => {
  test("share one session between two nodes", async () => {
    await using world = new MemoryWorld()
    const [seed, leech] = [await world.add(), await world.add()]
    const blobs = Array.from({ length: 60 }, (_, index) => patternBytes(20_000 + index, index + 1))
    for (const blob of blobs) await ingest(seed, blob)
    const last = digestOf(blobs.at(-1)!)
    await until(() => leech.swarm.holders(last).length === 1, "all are known")
    await Promise.all(blobs.map((blob) => fetchBlob(leech, digestOf(blob), blob.length)))
    expect(leech.swarm.stats().sessionCount).toBe(1)
    expect(seed.swarm.stats().sessionCount).toBe(1)
  })

  test("travel both ways on it at once", async () => {
    await using world = new MemoryWorld()
    const [left, right] = [await world.add(), await world.add()]
    const [ours, theirs] = [patternBytes(SIZE_BYTES, 2), patternBytes(SIZE_BYTES, 3)]
    await ingest(left, ours)
    await ingest(right, theirs)
    await until(() => left.swarm.holders(digestOf(theirs)).length === 1, "left knows")
    await until(() => right.swarm.holders(digestOf(ours)).length === 1, "right knows")
    await Promise.all([
      fetchBlob(right, digestOf(ours), SIZE_BYTES),
      fetchBlob(left, digestOf(theirs), SIZE_BYTES),
    ])
  })
})

test("counters tell what went over the wire", async () => {
  await using world = new MemoryWorld()
  const [seed, leech] = [await world.add(), await world.add()]
  await ingest(seed, bytes)
  await until(() => leech.swarm.holders(digest).length === 1, "it is known")
  await fetchBlob(leech, digest, SIZE_BYTES)
  const read = (node: MemoryNode, name: string) => node.metrics.value(`sealift_swarm_${name}`)
  await until(() => read(leech, "downloaded_bytes_total") === SIZE_BYTES, "it is counted")
  expect(read(seed, "uploaded_bytes_total")).toBe(SIZE_BYTES)
  expect(read(leech, "wasted_bytes_total")).toBe(0)
  expect(read(leech, "sessions")).toBe(1)
  expect(read(leech, "torrents")).toBe(0)
})

test("a request that was cancelled and made anew is not mistaken for the cancelled one", async () => {
  // The seed is asked for all by each; what the others get is taken from it again, and asked anew when
  // they are slow: its rejects of the cancelled requests must not look like broken promises.
  for (let salt = 1; salt <= 5; salt++) {
    const clock = new VirtualClock(1_000)
    const world = new MemoryWorld({ clock, latencyMs: 3, salt })
    const seed = await world.add({ random: seededRandom(salt) })
    const leeches = [await world.add(), await world.add(), await world.add()]
    const torrents = await Promise.all(leeches.map((leech) => join(leech, digest, SIZE_BYTES)))
    await clock.advance(100)
    await ingest(seed, bytes)
    const tookMs = await timeUntil(clock, () => torrents.every((one) => one.blob.pieces.isFull))
    expect(tookMs).toBeLessThan(2_000)
    for (const torrent of torrents) {
      torrent.close()
      torrent.blob.release()
    }
    await endWorld(world, clock)
  }
})
