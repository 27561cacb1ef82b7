/** Peers that lie, stall or talk nonsense: the blob comes all the same, and only they are banned. */
import { randomBytes } from "node:crypto"
import { describe, expect, test } from "vitest"
import { digestOf } from "../../../src/core/digest.ts"
import { VirtualClock } from "../../../src/core/virtual-clock.ts"
import { fetchBlob, finish, ingest, join, patternBytes, until } from "../../contract/swarm.ts"
import { type MemoryNode, MemoryWorld } from "./memory-world.ts"
import { type Tricks } from "./rogue-store.ts"

const SIZE_BYTES = 3_000_000
const bytes = patternBytes(SIZE_BYTES)
const digest = digestOf(bytes)

const flipAll = (part: Uint8Array) => {
  for (let at = 0; at < part.length; at++) part[at]! ^= 0xff
}
/** Flips one byte of the blob, wherever it is read. */
const flipOne = (where: number) => (part: Uint8Array, offset: number) => {
  if (where >= offset && where < offset + part.length) part[where - offset]! ^= 1
}
const flipHash = (index: number) => (hashes: Uint8Array) => {
  const changed = Uint8Array.from(hashes)
  changed[index * 32]! ^= 1
  return changed
}

/** A world with a leech, honest seeders and hostile ones. */
async function worldWith(honest: number, hostile: readonly Tricks[]) {
  const world = new MemoryWorld()
  const seeds: MemoryNode[] = []
  for (let count = 0; count < honest; count++) seeds.push(await world.add())
  const rogues: MemoryNode[] = []
  for (const tricks of hostile) rogues.push(await world.add({}, { tricks, contents: bytes }))
  for (const node of [...rogues, ...seeds]) await ingest(node, bytes)
  const leech = await world.add()
  await until(() => leech.swarm.holders(digest).length === honest + hostile.length, "holders")
  const banned = () => leech.net.bans().map((ban) => ban.peer)
  return {
    world,
    seeds,
    rogues,
    leech,
    banned,
    [Symbol.asyncDispose]: () => world[Symbol.asyncDispose](),
  }
}

/** Stopping waits for the time that only the test moves. */
async function endWorld(world: MemoryWorld, clock: VirtualClock): Promise<void> {
  const disposed = world[Symbol.asyncDispose]()
  await clock.advance(5_000)
  await disposed
}

describe("wrong pieces", () => {
  test("come from a peer that is banned with evidence, while the honest one is not", async () => {
    await using scene = await worldWith(1, [{ garble: flipAll }])
    const torrent = await join(scene.leech, digest, SIZE_BYTES)
    await finish(torrent)
    expect(scene.banned()).toEqual([scene.rogues[0]!.net.id])
    expect(scene.leech.net.bans()[0]!.reason).toContain("wrong-piece")
    const report = torrent.sources().find((one) => one.peer === scene.rogues[0]!.net.id)
    expect(report?.rejectedPieces).toBe(2)
    expect(scene.leech.metrics.value("sealift_swarm_bans_total", { reason: "wrong-piece" })).toBe(1)
  })

  test("do not come any more from a peer after two of them", async () => {
    await using scene = await worldWith(0, [{ garble: flipAll }])
    const torrent = await join(scene.leech, digest, SIZE_BYTES)
    await until(() => torrent.sources()[0]?.rejectedPieces === 2, "two are refused")
    await until(() => torrent.usefulSourceCount() === 0, "it is left alone")
    expect(torrent.blob.pieces.count).toBe(0)
    expect(scene.banned()).toEqual([])
    torrent.close()
    torrent.blob.release()
  })

  test("are found in a single flipped byte of a large blob", async () => {
    await using scene = await worldWith(2, [{ garble: flipOne(1_000_000) }])
    await fetchBlob(scene.leech, digest, SIZE_BYTES)
    for (const seed of scene.seeds) expect(scene.banned()).not.toContain(seed.net.id)
  })
})

describe("a wrong piece list", () => {
  test("with the wrong content to it: the liar is banned, the blob refetched", async () => {
    await using scene = await worldWith(1, [{ garble: flipAll, isListGarbled: true }])
    await fetchBlob(scene.leech, digest, SIZE_BYTES)
    expect(scene.banned()).toEqual([scene.rogues[0]!.net.id])
  })

  test("by two liars who agree against one honest peer", async () => {
    const lie = { garble: flipAll, isListGarbled: true }
    await using scene = await worldWith(1, [lie, lie])
    await fetchBlob(scene.leech, digest, SIZE_BYTES)
    expect(new Set(scene.banned())).toEqual(new Set(scene.rogues.map((rogue) => rogue.net.id)))
  })

  test("of one piece only, with that piece to it: the other pieces are kept", async () => {
    await using scene = await worldWith(1, [{ garble: flipOne(600_000), isListGarbled: true }])
    const torrent = await join(scene.leech, digest, SIZE_BYTES)
    await finish(torrent)
    expect(scene.banned()).not.toContain(scene.seeds[0]!.net.id)
    expect(torrent.receivedBytes - SIZE_BYTES).toBeLessThanOrEqual(8 * 262_144)
  })

  test("that its signer's own pieces contradict: the next list is tried", async () => {
    await using scene = await worldWith(1, [{ list: flipHash(2) }])
    await fetchBlob(scene.leech, digest, SIZE_BYTES)
    expect(scene.banned()).toEqual([scene.rogues[0]!.net.id])
    expect(scene.leech.net.bans()[0]!.reason).toContain("wrong-list")
  })

  test("never gets an honest sender banned, whoever is believed first", async () => {
    for (const hostileFirst of [true, false]) {
      const world = new MemoryWorld()
      await using _ = world
      const lie = { tricks: { list: flipHash(0) }, contents: bytes }
      const nodes: MemoryNode[] = []
      for (const isRogue of [hostileFirst, !hostileFirst]) {
        nodes.push(isRogue ? await world.add({}, lie) : await world.add())
      }
      const [first, second] = nodes
      await ingest(first!, bytes)
      const leech = await world.add()
      await until(() => leech.swarm.holders(digest).length === 1, "the first is known")
      const torrent = await join(leech, digest, SIZE_BYTES)
      await until(() => torrent.blob.pieces.count > 0, "it began")
      await ingest(second!, bytes)
      await finish(torrent)
      const rogue = nodes[hostileFirst ? 0 : 1]!
      const honest = nodes[hostileFirst ? 1 : 0]!
      const banned = leech.net.bans().map((ban) => ban.peer)
      expect(banned).not.toContain(honest.net.id)
      expect([[], [rogue.net.id]]).toContainEqual(banned)
    }
  })
})

describe("nonsense on the wire", () => {
  test("from a peer that opens a channel closes the session and nothing else", async () => {
    await using world = new MemoryWorld()
    const [seed, leech] = [await world.add(), await world.add()]
    const stranger = world.hub.join()
    world.hub.connectAll()
    for (let count = 0; count < 20; count++) {
      const signal = AbortSignal.timeout(5_000)
      const { duplex } = await stranger.openChannel(leech.net.id, { signal })
      duplex.on("error", () => {})
      duplex.resume()
      duplex.write(randomBytes(5_000))
      await new Promise((resolve) => duplex.once("close", resolve))
    }
    await ingest(seed, bytes)
    await fetchBlob(leech, digest, SIZE_BYTES)
    expect(leech.net.bans()).toEqual([])
  })

  test("after a right handshake closes the session too", async () => {
    await using world = new MemoryWorld()
    const leech = await world.add()
    const stranger = world.hub.join()
    world.hub.connectAll()
    const signal = AbortSignal.timeout(5_000)
    const { duplex } = await stranger.openChannel(leech.net.id, { signal })
    duplex.on("error", () => {})
    const heard: Buffer[] = []
    duplex.on("data", (chunk: Buffer) => heard.push(chunk))
    await until(() => Buffer.concat(heard).length >= 68, "the handshake came")
    duplex.write(Buffer.concat(heard).subarray(0, 68))
    duplex.write(randomBytes(100_000))
    await new Promise((resolve) => duplex.once("close", resolve))
    expect(leech.swarm.stats().sessionCount).toBe(0)
  })

  test("from a holder that answers a channel with noise: the blob comes from the other", async () => {
    await using world = new MemoryWorld()
    const [seed, leech] = [await world.add(), await world.add()]
    const noisy = world.hub.join()
    noisy.onChannel(({ duplex }) => {
      duplex.on("error", () => {})
      duplex.on("data", () => duplex.write(randomBytes(1_000)))
    })
    noisy.onRequest("/sealift/holdings/1", async () => new Uint8Array(0))
    world.hub.connectAll()
    const summary = Buffer.concat([
      Buffer.from([1, 0, 0, 0, 0, 1]),
      Buffer.from(digest.slice(7), "hex"),
      Buffer.from([0, 0, 0, 0, 0, 0x2d, 0xc6, 0xc0, 2]),
    ])
    const signal = AbortSignal.timeout(5_000)
    await noisy.request(leech.net.id, "/sealift/holdings/1", summary, { signal })
    expect(leech.swarm.holders(digest).map((holder) => holder.peer)).toEqual([noisy.id])
    const torrent = await join(leech, digest, SIZE_BYTES)
    await ingest(seed, bytes)
    await finish(torrent)
  })
})

describe("empty promises", () => {
  test("a peer whose holdings prove false three times is dropped from the index", async () => {
    const clock = new VirtualClock(1_000)
    const world = new MemoryWorld({ clock })
    const rogue = await world.add({}, { tricks: { isEmpty: true }, contents: bytes })
    const leech = await world.add()
    const sizes = [10_000, 10_001, 10_002]
    for (const size of sizes) await ingest(rogue, patternBytes(size))
    for (const size of sizes) {
      await clock.advance(50)
      const one = digestOf(patternBytes(size))
      expect(leech.swarm.holders(one)).toHaveLength(1)
      const torrent = await join(leech, one, size)
      await clock.advance(1_500)
      torrent.close()
      torrent.blob.release()
    }
    await ingest(rogue, patternBytes(10_003))
    await clock.advance(100)
    for (const size of [...sizes, 10_003]) {
      expect(leech.swarm.holders(digestOf(patternBytes(size)))).toEqual([])
    }
    await endWorld(world, clock)
  })

  test("a peer that never sends loses its requests to another within three seconds", async () => {
    const clock = new VirtualClock(1_000)
    const world = new MemoryWorld({ clock })
    const stuck = await world.add({}, { tricks: { isStuck: true }, contents: bytes })
    const [seed, leech] = [await world.add(), await world.add()]
    await ingest(stuck, bytes)
    await clock.advance(50)
    const torrent = await join(leech, digest, SIZE_BYTES)
    await clock.advance(300)
    expect(torrent.usefulSourceCount()).toBe(1)
    await ingest(seed, bytes)
    // The honest peer is found at once, but all pieces were asked of the other.
    await clock.advance(3_000)
    expect(torrent.blob.pieces.isFull).toBe(true)
    expect((await torrent.blob.finish()).kind).toBe("complete")
    await torrent.settle("right")
    expect(leech.net.bans()).toEqual([])
    torrent.close()
    torrent.blob.release()
    await endWorld(world, clock)
  })
})
