/** Who gets what in a fleet: torrents, the short way and holdings by the places of blobs. */
import { afterEach, beforeEach, describe, expect, test } from "vitest"
import { systemClock } from "../../../src/core/clock.ts"
import { type Digest, digestOf, rawOf } from "../../../src/core/digest.ts"
import { silentLogger } from "../../../src/core/log.ts"
import { MemoryMetrics } from "../../../src/core/metrics.ts"
import { createMemoryHub, type MemoryHub } from "../../../src/net/memory-network.ts"
import type { PeerNetwork } from "../../../src/net/net.ts"
import { BlobPlaces } from "../../../src/store/blob-places.ts"
import { createMemoryStore, type MemoryStore } from "../../../src/store/memory-store.ts"
import { createSwarm, type SwarmEngine } from "../../../src/swarm/engine.ts"
import { HOLDINGS_PROTOCOL } from "../../../src/swarm/holdings.ts"
import { encodeHoldings, parseHoldings } from "../../../src/swarm/holdings-message.ts"
import { createMemorySwarmHub } from "../../../src/swarm/memory-swarm.ts"
import { PeerClasses } from "../../../src/swarm/peer-class.ts"
import { providerKey } from "../../../src/swarm/providing.ts"
import { Shaping } from "../../../src/swarm/shaping.ts"
import type { Swarm } from "../../../src/swarm/swarm.ts"
import { encodeOpen } from "../../../src/swarm/wire-extension.ts"
import { CHANNEL_INFO_HASH, EXTENDED, encodeHandshake } from "../../../src/swarm/wire-messages.ts"
import { finish, ingest, patternBytes, until } from "../../contract/swarm.ts"
import { FleetRules } from "../../support/fleet-rules.ts"

const OPEN = "docker.io/library/alpine"
const SECRET = "ghcr.io/acme/secret"
const MIB = 1024 * 1024
const GIVEN = ["find", "fetch"] as const

interface Node {
  readonly net: PeerNetwork
  readonly store: MemoryStore
  readonly places: BlobPlaces
  readonly swarm: SwarmEngine
}

let hub: MemoryHub
let rules: FleetRules
const nodes: Node[] = []

beforeEach(() => {
  hub = createMemoryHub()
  rules = new FleetRules()
})
afterEach(async () => {
  for (const { swarm, net } of nodes.splice(0)) {
    await swarm.stop()
    await net.stop()
  }
})

async function add(options: { upBytesPerSecond?: number } = {}): Promise<Node> {
  const net = hub.join()
  rules.enroll(net.id)
  const base = { clock: systemClock, log: silentLogger }
  const store = createMemoryStore(base)
  const places = await BlobPlaces.load({ kv: store.kv("places"), store, log: silentLogger })
  const rate = options.upBytesPerSecond
  const classes = new PeerClasses({ net, isSameZone: () => false }, {})
  const limits = { lan: { up: rate, down: undefined } }
  const shaping = rate === undefined ? undefined : new Shaping({ ...base, classes }, limits)
  const deps = { ...base, net, store, places, metrics: new MemoryMetrics(), access: rules, shaping }
  const node = { net, store, places, swarm: createSwarm(deps) }
  nodes.push(node)
  return node
}

/** A seed, and a node that may have what lies at the open place. */
async function pair(options: { upBytesPerSecond?: number } = {}): Promise<[Node, Node]> {
  const [seed, other] = [await add(options), await add()]
  rules.allow(seed.net.id, ["seed"], "*")
  rules.allow(other.net.id, GIVEN, OPEN)
  hub.connectAll()
  return [seed, other]
}

/** Puts a blob into a node, at a place or at none. */
async function give(node: Node, bytes: Uint8Array, place?: string): Promise<Digest> {
  if (place !== undefined) await node.places.add(digestOf(bytes), place)
  return ingest(node, bytes)
}

const knows = (node: Node, digest: Digest) => node.swarm.holders(digest).length > 0

async function fetchBlob(node: Node, digest: Digest, sizeBytes: number): Promise<void> {
  await until(() => knows(node, digest), "a holder")
  await finish(node.swarm.join(await node.store.openPartial(digest, sizeBytes)))
}

/** What a node answers to the opening of torrents, over a channel of the test's own. */
async function answersTo(node: Node, peer: PeerNetwork, digests: readonly Digest[]) {
  const { duplex } = await peer.openChannel(node.net.id, { signal: AbortSignal.timeout(2_000) })
  let told = Buffer.alloc(0)
  duplex.on("data", (chunk: Buffer) => {
    told = Buffer.concat([told, chunk])
  })
  duplex.on("error", () => {})
  const open = (digest: Digest, order: number) => {
    const payload = encodeOpen({ torrent: order * 2, digest })
    const head = Buffer.alloc(6)
    head.writeUInt32BE(payload.length + 2)
    head.writeUInt8(20, 4)
    head.writeUInt8(EXTENDED.open, 5)
    return Buffer.concat([head, payload])
  }
  const hello = encodeHandshake(CHANNEL_INFO_HASH, new Uint8Array(20))
  duplex.write(Buffer.concat([hello, ...digests.map(open)]))
  const answers = () => extendedIn(told).filter(({ id }) => id !== EXTENDED.handshake)
  await until(() => answers().length >= digests.length, "all answers")
  duplex.destroy()
  return answers()
}

/** The extended messages after a handshake of 68 bytes. */
function extendedIn(bytes: Buffer): { id: number; payload: string }[] {
  const found: { id: number; payload: string }[] = []
  for (let at = 68; at + 4 <= bytes.length; ) {
    const end = at + 4 + bytes.readUInt32BE(at)
    if (end > bytes.length) break
    if (bytes[at + 4] === 20) {
      found.push({ id: bytes[at + 5]!, payload: bytes.toString("hex", at + 6, end) })
    }
    at = end
  }
  return found
}

describe("in a fleet", () => {
  test("a blob flows to whoever may fetch at its place", async () => {
    const [seed, other] = await pair()
    const bytes = patternBytes(3 * MIB)
    const digest = await give(seed, bytes, OPEN)
    await fetchBlob(other, digest, bytes.length)
    expect(other.store.stat(digest)?.isComplete).toBe(true)
  })

  test("a blob that gets its place later is found then", async () => {
    const [seed, other] = await pair()
    const digest = await give(seed, patternBytes(5_000))
    const later = await give(seed, patternBytes(6_000), OPEN)
    await until(() => knows(other, later), "the other blob")
    expect(knows(other, digest)).toBe(false)
    await seed.places.add(digest, OPEN)
    await until(() => knows(other, digest), "the blob")
  })

  test("forbidden, without place, and unknown are one answer to the opening of a torrent", async () => {
    const [seed, other] = await pair()
    const forbidden = await give(seed, patternBytes(MIB, 2), SECRET)
    const small = await give(seed, patternBytes(5_000, 3), SECRET)
    const homeless = await give(seed, patternBytes(5_000, 4))
    const unknown = digestOf(Buffer.from("unknown"))
    const digests = [forbidden, small, homeless, unknown]
    const answers = await answersTo(seed, other.net, digests)
    expect(answers).toEqual(
      digests.map((_, order) => ({
        id: EXTENDED.refused,
        payload: (order * 2).toString(16).padStart(8, "0"),
      })),
    )
    const open = await give(seed, patternBytes(5_000, 5), OPEN)
    const [opened] = await answersTo(seed, other.net, [open])
    expect(opened?.id).toBe(EXTENDED.opened)
  })

  test("nothing is told of what the asker may not find, whether it asks or not", async () => {
    const [seed, other] = await pair()
    const forbidden = await give(seed, patternBytes(5_000, 2), SECRET)
    const open = await give(seed, patternBytes(5_000, 3), OPEN)
    await until(() => knows(other, open), "what it may find")
    expect(knows(other, forbidden)).toBe(false)
    const unknown = digestOf(Buffer.from("unknown"))
    const holdings = [forbidden, unknown, open].map((digest) => ({
      digest,
      sizeBytes: 0,
      state: "gone" as const,
    }))
    const signal = AbortSignal.timeout(2_000)
    const body = encodeHoldings({ kind: "ask", holdings })
    const answer = await other.net.request(seed.net.id, HOLDINGS_PROTOCOL, body, { signal })
    const told = parseHoldings(answer).holdings.map(({ sizeBytes, state }) => [sizeBytes, state])
    expect(told).toEqual([
      [0, "gone"],
      [0, "gone"],
      [5_000, "complete"],
    ])
  })

  test("what may be fetched but not found is given, and not told", async () => {
    const [seed, other] = await pair()
    rules.allow(other.net.id, ["fetch"], SECRET)
    const digest = await give(seed, patternBytes(5_000), SECRET)
    const open = await give(seed, patternBytes(6_000), OPEN)
    await until(() => knows(other, open), "what it may find")
    expect(knows(other, digest)).toBe(false)
    expect((await answersTo(seed, other.net, [digest]))[0]?.id).toBe(EXTENDED.opened)
  })

  test("a node that may not seed at a place gives nothing of it", async () => {
    const [, other] = await pair()
    rules.allow("all", GIVEN, OPEN)
    const third = await add()
    hub.connectAll()
    const digest = await give(other, patternBytes(5_000), OPEN)
    expect((await answersTo(other, third.net, [digest]))[0]?.id).toBe(EXTENDED.refused)
  })

  test("a small blob comes the short way from whoever may give it, else not", async () => {
    const [seed, other] = await pair()
    const sizeBytes = 20_000
    const first = await give(seed, patternBytes(sizeBytes, 2), OPEN)
    await fetchBlob(other, first, sizeBytes)
    const second = await give(seed, patternBytes(sizeBytes, 3), OPEN)
    await until(() => knows(other, second), "a holder")
    const blob = await other.store.openPartial(second, sizeBytes)
    rules.rules = rules.rules.filter(({ who }) => who.kind !== "node" || who.peer !== other.net.id)
    expect(await other.swarm.bring(blob)).toBeUndefined()
    rules.allow(other.net.id, GIVEN, OPEN)
    expect(await other.swarm.bring(blob)).toBe(seed.net.id)
    blob.release()
  })

  test("only what all may find is told to the DHT", async () => {
    const [seed] = await pair()
    const asker = hub.join()
    hub.connectAll()
    // Of a fleet whose nodes are all connected the DHT is told nothing at all.
    rules.enroll("somebody who is away")
    const closed = await give(seed, patternBytes(5_000, 2), OPEN)
    rules.allow("all", GIVEN, "acme")
    const open = await give(seed, patternBytes(5_000, 3), "acme")
    const providers = async (digest: Digest) => {
      const found: string[] = []
      const options = { signal: AbortSignal.timeout(2_000) }
      for await (const peer of asker.findProviders(providerKey(digest), options)) found.push(peer)
      return found
    }
    await expect.poll(() => providers(open), { timeout: 3_000 }).toEqual([seed.net.id])
    expect(await providers(closed)).toEqual([])
  })
})

describe("a newer list", () => {
  test("ends a running torrent at once, and leaves the channel to others", async () => {
    const [seed, other] = await pair({ upBytesPerSecond: 2 * MIB })
    rules.allow(other.net.id, GIVEN, SECRET)
    const bytes = patternBytes(8 * MIB)
    const digest = await give(seed, bytes, SECRET)
    await until(() => knows(other, digest), "a holder")
    const torrent = other.swarm.join(await other.store.openPartial(digest, bytes.length))
    await until(() => torrent.blob.pieces.count > 0, "the first piece")
    rules.rules = rules.rules.filter(({ where }) => !where.includes(SECRET))
    seed.swarm.recheck()
    const cutMs = Date.now()
    await until(() => torrent.usefulSourceCount() === 0 && !knows(other, digest), "the cut")
    expect(Date.now() - cutMs).toBeLessThan(1_000)
    expect(torrent.blob.pieces.isFull).toBe(false)
    expect(other.swarm.stats().sessionCount).toBe(1)
    const open = await give(seed, patternBytes(5_000), OPEN)
    await fetchBlob(other, open, 5_000)
    expect(other.swarm.stats().sessionCount).toBe(1)
    torrent.close()
    torrent.blob.release()
  })

  test("that allows more is told at once, too", async () => {
    const [seed, other] = await pair()
    const digest = await give(seed, patternBytes(5_000), SECRET)
    const open = await give(seed, patternBytes(6_000), OPEN)
    await until(() => knows(other, open), "what it may find")
    rules.allow(other.net.id, GIVEN, SECRET)
    seed.swarm.recheck()
    await until(() => knows(other, digest), "the blob")
  })

  test("that comes by joining a fleet closes what has no place", async () => {
    const fleet = rules.id
    rules.id = undefined
    const [seed, other] = await pair()
    const digest = await give(seed, patternBytes(5_000))
    await until(() => knows(other, digest), "the blob")
    rules.id = fleet
    seed.swarm.recheck()
    await until(() => !knows(other, digest), "the end")
    expect((await answersTo(seed, other.net, [digest]))[0]?.id).toBe(EXTENDED.refused)
  })
})

test("the twin gives by the same rules, and stops a transfer at a newer list", async () => {
  const swarms = createMemorySwarmHub()
  const join = async () => {
    const net = hub.join()
    rules.enroll(net.id)
    const store = createMemoryStore({ clock: systemClock })
    const places = await BlobPlaces.load({ kv: store.kv("places"), store, log: silentLogger })
    const deps = { net, store, places, clock: systemClock, access: rules }
    const swarm: Swarm = swarms.join(deps, { bytesPerSecond: 4 * MIB })
    return { net, store, places, swarm }
  }
  const [seed, other] = [await join(), await join()]
  hub.connectAll()
  rules.allow(seed.net.id, ["seed"], "*")
  rules.allow(other.net.id, GIVEN, SECRET)
  const bytes = patternBytes(4 * MIB)
  const digest = await ingest(seed, bytes)
  expect(other.swarm.holders(digest)).toEqual([])
  await seed.places.add(digest, SECRET)
  expect(other.swarm.holders(digest)).toHaveLength(1)
  const torrent = other.swarm.join(await other.store.openPartial(digest, bytes.length))
  await until(() => torrent.blob.pieces.count > 0, "the first piece")
  rules.rules = []
  seed.swarm.recheck()
  const count = torrent.blob.pieces.count
  expect(torrent.usefulSourceCount()).toBe(0)
  torrent.close()
  expect(torrent.blob.pieces.count).toBe(count)
  expect(rawOf(digest)).toHaveLength(32)
})
