/** What every swarm keeps to, whatever network and store it stands on. */
import { describe, expect, test } from "vitest"
import { type Digest, digestOf } from "../../src/core/digest.ts"
import type { PeerNetwork } from "../../src/net/net.ts"
import type { BlobStore } from "../../src/store/store.ts"
import type { Swarm, Torrent } from "../../src/swarm/swarm.ts"

/** One node of a test's world. */
export interface SwarmNode {
  readonly swarm: Swarm
  readonly store: BlobStore
  readonly net: PeerNetwork
}

export interface SwarmWorld extends AsyncDisposable {
  /** Adds a node that is connected to all others. */
  add(): Promise<SwarmNode>
}

/** Gives bytes that are the same on each run and different in each piece. */
export function patternBytes(length: number, seed = 1): Buffer {
  const bytes = Buffer.alloc(length)
  let state = seed
  for (let at = 0; at + 4 <= length; at += 4) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0
    bytes.writeInt32LE(state, at)
  }
  return bytes
}

export async function ingest(node: Pick<SwarmNode, "store">, bytes: Uint8Array): Promise<Digest> {
  async function* chunks() {
    yield bytes
  }
  return (await node.store.ingest(chunks(), {})).digest
}

/** Waits until something holds; fails after some seconds. */
export async function until(holds: () => boolean, what: string): Promise<void> {
  const endMs = Date.now() + 18_000
  while (!holds()) {
    if (Date.now() > endMs) throw new Error(`did not happen in time: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

/** Joins a blob; the flight may run on after that. */
export async function join(node: SwarmNode, digest: Digest, sizeBytes: number): Promise<Torrent> {
  return node.swarm.join(await node.store.openPartial(digest, sizeBytes))
}

/** Fetches a whole blob as delivery does, and settles it. */
export async function fetchBlob(
  node: SwarmNode,
  digest: Digest,
  sizeBytes: number,
): Promise<Torrent> {
  const torrent = await join(node, digest, sizeBytes)
  await finish(torrent)
  return torrent
}

/** Waits for all pieces, checks the whole, settles; again after a wrong whole. */
export async function finish(torrent: Torrent): Promise<void> {
  for (;;) {
    await until(() => torrent.blob.pieces.isFull, "all pieces are here")
    const whole = await torrent.blob.finish()
    const isRight = whole.kind === "complete"
    await torrent.settle(isRight ? "right" : "wrong")
    if (isRight) break
  }
  torrent.close()
  torrent.blob.release()
}

async function bytesOf(node: SwarmNode, digest: Digest): Promise<Uint8Array> {
  const reader = node.store.open(digest)!
  const parts: Uint8Array[] = []
  const { sizeBytes } = reader.layout
  for (let start = 0; start < sizeBytes; start += 1 << 20) {
    parts.push(await reader.read({ start, end: Math.min(start + (1 << 20), sizeBytes) }))
  }
  reader.release()
  return Buffer.concat(parts)
}

const SIZE_BYTES = 3_000_000

/** Runs the suite on worlds that `create` makes. */
export function testSwarm(name: string, create: () => Promise<SwarmWorld>): void {
  describe(`swarm: ${name}`, () => {
    test("brings a blob from a node that has it, byte for byte", async () => {
      await using world = await create()
      const [seed, leech] = [await world.add(), await world.add()]
      const bytes = patternBytes(SIZE_BYTES)
      const digest = await ingest(seed, bytes)
      await fetchBlob(leech, digest, bytes.length)
      expect(Buffer.compare(await bytesOf(leech, digest), bytes)).toBe(0)
      expect(leech.swarm.stats().downloadedBytes).toBe(bytes.length)
      expect(seed.swarm.stats().uploadedBytes).toBe(bytes.length)
    })

    test("brings a blob of a few bytes, and of one byte more than a piece", async () => {
      await using world = await create()
      const [seed, leech] = [await world.add(), await world.add()]
      for (const length of [1, 10_000, 262_145]) {
        const bytes = patternBytes(length, length)
        const digest = await ingest(seed, bytes)
        await fetchBlob(leech, digest, length)
        expect(digestOf(await bytesOf(leech, digest))).toBe(digest)
      }
    })

    test("tells who has a blob from memory, and tells when somebody begins to have it", async () => {
      await using world = await create()
      const [seed, other] = [await world.add(), await world.add()]
      const bytes = patternBytes(10_000)
      const digest = digestOf(bytes)
      const heard: string[] = []
      other.swarm.onHolder(digest, (holder) => heard.push(holder.peer))
      expect(other.swarm.holders(digest)).toEqual([])
      await ingest(seed, bytes)
      await until(() => other.swarm.holders(digest).length === 1, "the holder is known")
      expect(other.swarm.holders(digest)).toEqual([
        { peer: seed.net.id, isComplete: true, sizeBytes: 10_000 },
      ])
      expect(heard).toContain(seed.net.id)
    })

    test("forgets a blob that its holder removed", async () => {
      await using world = await create()
      const [seed, other] = [await world.add(), await world.add()]
      const digest = await ingest(seed, patternBytes(10_000))
      await until(() => other.swarm.holders(digest).length === 1, "the holder is known")
      await seed.store.remove(digest)
      await until(() => other.swarm.holders(digest).length === 0, "the holder is forgotten")
    })

    test("tells a new neighbour what it had before", async () => {
      await using world = await create()
      const seed = await world.add()
      const digest = await ingest(seed, patternBytes(10_000))
      const late = await world.add()
      await until(() => late.swarm.holders(digest).length === 1, "the holder is known")
    })

    test("neither tells of nor serves what may not be shared", async () => {
      await using world = await create()
      const [seed, leech] = [await world.add(), await world.add()]
      const digest = await ingest(seed, patternBytes(10_000))
      await until(() => leech.swarm.holders(digest).length === 1, "the holder is known")
      await seed.store.share(digest, false)
      const torrent = await join(leech, digest, 10_000)
      const late = await world.add()
      await new Promise((resolve) => setTimeout(resolve, 200))
      expect(late.swarm.holders(digest).map((holder) => holder.peer)).not.toContain(seed.net.id)
      expect(torrent.blob.pieces.count).toBe(0)
      torrent.close()
      torrent.blob.release()
    })

    test("joins first and fetches when a holder appears", async () => {
      await using world = await create()
      const [seed, leech] = [await world.add(), await world.add()]
      const bytes = patternBytes(SIZE_BYTES)
      const torrent = await join(leech, digestOf(bytes), bytes.length)
      let usefulCount = 0
      torrent.onUseful(() => usefulCount++)
      expect(torrent.usefulSourceCount()).toBe(0)
      await ingest(seed, bytes)
      await finish(torrent)
      expect(usefulCount).toBeGreaterThan(0)
      expect(torrent.sources()).toEqual([
        {
          peer: seed.net.id,
          receivedBytes: SIZE_BYTES,
          isComplete: true,
          rejectedPieces: 0,
        },
      ])
    })

    test("takes from several holders at once", async () => {
      await using world = await create()
      const seeds = [await world.add(), await world.add(), await world.add()]
      const bytes = patternBytes(2 * SIZE_BYTES)
      for (const seed of seeds) await ingest(seed, bytes)
      const leech = await world.add()
      await until(() => leech.swarm.holders(digestOf(bytes)).length === 3, "all holders are known")
      const torrent = await fetchBlob(leech, digestOf(bytes), bytes.length)
      const givers = torrent.sources().filter((source) => source.receivedBytes > 0)
      expect(givers.length).toBeGreaterThan(1)
    })

    test("spreads one seed's blob over four nodes, which give to each other", async () => {
      await using world = await create()
      const seed = await world.add()
      const leeches = [await world.add(), await world.add(), await world.add(), await world.add()]
      const bytes = patternBytes(SIZE_BYTES)
      const torrents: Torrent[] = []
      for (const leech of leeches) torrents.push(await join(leech, digestOf(bytes), bytes.length))
      await until(() => leeches[0]!.swarm.holders(digestOf(bytes)).length === 3, "all are known")
      await ingest(seed, bytes)
      await Promise.all(torrents.map((torrent) => finish(torrent)))
      for (const leech of leeches) {
        expect(digestOf(await bytesOf(leech, digestOf(bytes)))).toBe(digestOf(bytes))
      }
      const fromLeeches = leeches.reduce((sum, one) => sum + one.swarm.stats().uploadedBytes, 0)
      expect(fromLeeches).toBeGreaterThan(0)
    })

    test("serves pieces of a growing blob that an origin reader writes", async () => {
      await using world = await create()
      const [reader, leech] = [await world.add(), await world.add()]
      const bytes = patternBytes(SIZE_BYTES)
      const digest = digestOf(bytes)
      const [origin, torrent] = [
        await join(reader, digest, bytes.length),
        await join(leech, digest, bytes.length),
      ]
      origin.setFetching(false)
      const { lengthBytes, count } = origin.blob.layout
      for (let index = 0; index < count; index++) {
        const piece = bytes.subarray(index * lengthBytes, (index + 1) * lengthBytes)
        await origin.blob.writePiece(index, piece)
        origin.announcePiece(index)
        // The last piece waits for the digest of the whole; the others come while it grows.
        if (index < count - 1) {
          await until(() => torrent.blob.pieces.has(index), `piece ${index} came over`)
        }
      }
      await finish(origin)
      await finish(torrent)
      expect(digestOf(await bytesOf(leech, digest))).toBe(digest)
    })

    test("fetches what the reader waits for first", async () => {
      await using world = await create()
      const [seed, leech] = [await world.add(), await world.add()]
      const bytes = patternBytes(5 * SIZE_BYTES)
      const digest = await ingest(seed, bytes)
      const order: number[] = []
      leech.store.onChange((change) => {
        if (change.kind === "piece") order.push(change.index)
      })
      const blob = await leech.store.openPartial(digest, bytes.length)
      const torrent = leech.swarm.join(blob)
      const { lengthBytes } = blob.layout
      torrent.setWindow({ start: 50 * lengthBytes, end: 52 * lengthBytes })
      await finish(torrent)
      expect(order.indexOf(50)).toBeLessThan(20)
      expect(order.indexOf(51)).toBeLessThan(20)
    })

    test("leaves reserved pieces to the origin reader", async () => {
      await using world = await create()
      const [seed, leech] = [await world.add(), await world.add()]
      const bytes = patternBytes(SIZE_BYTES)
      const digest = digestOf(bytes)
      const torrent = await join(leech, digest, bytes.length)
      const { lengthBytes, count } = torrent.blob.layout
      const release = torrent.reserve({ start: 0, end: 2 })
      await torrent.blob.writePiece(0, bytes.subarray(0, lengthBytes))
      torrent.announcePiece(0)
      await ingest(seed, bytes)
      await until(() => torrent.blob.pieces.count === count - 1, "all but the reserved")
      expect(torrent.blob.pieces.has(1)).toBe(false)
      release()
      await finish(torrent)
    })

    test("goes on with another holder when one disappears", async () => {
      await using world = await create()
      const [first, second, leech] = [await world.add(), await world.add(), await world.add()]
      const bytes = patternBytes(4 * SIZE_BYTES)
      const digest = await ingest(first, bytes)
      await until(() => leech.swarm.holders(digest).length === 1, "the holder is known")
      const torrent = await join(leech, digest, bytes.length)
      await until(() => torrent.blob.pieces.count > 3, "it began")
      await ingest(second, bytes)
      await first.swarm.stop()
      await finish(torrent)
      expect(digestOf(await bytesOf(leech, digest))).toBe(digest)
    })

    test("stops cleanly in the middle of a transfer", async () => {
      await using world = await create()
      const [seed, leech] = [await world.add(), await world.add()]
      const bytes = patternBytes(4 * SIZE_BYTES)
      const digest = await ingest(seed, bytes)
      const torrent = await join(leech, digest, bytes.length)
      await until(() => torrent.blob.pieces.count > 1, "it began")
      await leech.swarm.stop()
      expect(leech.swarm.torrents()).toEqual([])
      await until(() => leech.swarm.stats().sessionCount === 0, "the sessions are closed")
      await until(() => seed.swarm.stats().sessionCount === 0, "the other side too")
      torrent.blob.release()
    })
  })
}
