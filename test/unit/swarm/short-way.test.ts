/** The short way of small blobs: without a torrent when all is well, and never at the price of a wrong byte. */
import { describe, expect, test } from "vitest"
import type { Digest } from "../../../src/core/digest.ts"
import { fetchBlob, ingest, patternBytes, until } from "../../contract/swarm.ts"
import { type MemoryNode, MemoryWorld } from "./memory-world.ts"
import type { Tricks } from "./rogue-store.ts"

const SIZE_BYTES = 100_000

/** A leech that has an open session with a seed, which has one more small blob. */
async function warmWorld(tricks: Tricks = {}) {
  const world = new MemoryWorld()
  const bytes = patternBytes(SIZE_BYTES, 7)
  const seed = await world.add({}, { tricks, contents: bytes })
  const leech = await world.add()
  const other = await world.add()
  const first = patternBytes(10_000, 3)
  const opener = await ingest(seed, first)
  await ingest(other, first)
  await until(() => leech.swarm.holders(opener).length === 2, "holders")
  await fetchBlob(leech, opener, first.length)
  const digest = await ingest(seed, bytes)
  await until(() => leech.swarm.holders(digest).length === 1, "the holder is known")
  return {
    world,
    seed,
    leech,
    digest,
    bytes,
    [Symbol.asyncDispose]: () => world[Symbol.asyncDispose](),
  }
}

async function bring(leech: MemoryNode, digest: Digest): Promise<string | undefined> {
  const blob = await leech.store.openPartial(digest, SIZE_BYTES)
  const peer = await leech.swarm.bring(blob)
  blob.release()
  return peer
}

/** Tricks of a peer that gives what it is asked for first, and then nothing. */
function stuckFrom(count: number): Tricks {
  let opened = 0
  return {
    onOpen: () => {
      opened++
    },
    get isStuck() {
      return opened > count
    },
  }
}

function wasted(leech: MemoryNode, reason: string): number {
  return leech.metrics.value("sealift_swarm_wasted_bytes_total", { reason })
}

describe("the short way", () => {
  test("brings a small blob from a connected peer that has it, byte for byte", async () => {
    await using scene = await warmWorld()
    const { leech, seed, digest, bytes } = scene
    const before = leech.swarm.stats().downloadedBytes
    expect(await bring(leech, digest)).toBe(seed.net.id)
    const reader = leech.store.open(digest)!
    expect(Buffer.compare(await reader.read({ start: 0, end: SIZE_BYTES }), bytes)).toBe(0)
    reader.release()
    expect(leech.swarm.stats().downloadedBytes - before).toBe(SIZE_BYTES)
    expect(leech.swarm.torrents()).toEqual([])
  })

  test("is not there without an open session, and a torrent brings the blob", async () => {
    await using world = new MemoryWorld()
    const [seed, leech] = [await world.add(), await world.add()]
    const digest = await ingest(seed, patternBytes(SIZE_BYTES))
    await until(() => leech.swarm.holders(digest).length === 1, "the holder is known")
    expect(await bring(leech, digest)).toBeUndefined()
    await fetchBlob(leech, digest, SIZE_BYTES)
    expect(leech.store.stat(digest)?.isComplete).toBe(true)
  })

  test("keeps no wrong byte, bans nobody, and is not taken again with a peer that lied", async () => {
    await using scene = await warmWorld({
      garble: (part, offset) => {
        if (offset === 0 && part.length === 16_384) part[0]! ^= 1
      },
    })
    const { leech, digest } = scene
    expect(await bring(leech, digest)).toBeUndefined()
    expect(leech.store.stat(digest)?.pieceCount).toBe(0)
    expect(leech.net.bans()).toEqual([])
    const before = leech.swarm.stats().downloadedBytes
    expect(await bring(leech, digest)).toBeUndefined()
    expect(leech.swarm.stats().downloadedBytes).toBe(before)
    await until(() => wasted(leech, "refused") === SIZE_BYTES, "the waste is told")
  })

  test("ends when the peer has the blob no more", async () => {
    await using scene = await warmWorld()
    const { leech, seed, digest } = scene
    const brought = bring(leech, digest)
    await seed.store.remove(digest)
    expect([undefined, seed.net.id]).toContain(await brought)
    expect(await bring(leech, digest)).toBeUndefined()
  })

  test("ends soon when the peer sends nothing", async () => {
    await using scene = await warmWorld(stuckFrom(1))
    const startMs = performance.now()
    expect(await bring(scene.leech, scene.digest)).toBeUndefined()
    expect(performance.now() - startMs).toBeLessThan(4_000)
  })

  test("ends when the engine stops", async () => {
    await using scene = await warmWorld(stuckFrom(1))
    const brought = bring(scene.leech, scene.digest)
    await scene.leech.swarm.stop()
    expect(await brought).toBeUndefined()
  })
})
