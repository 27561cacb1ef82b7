/** Copies that peers ask for: what is taken, for how long it is kept, and that it comes about in a little world. */
import { beforeEach, describe, expect, test } from "vitest"
import { type Digest, digestOf } from "../../../src/core/digest.ts"
import { silentLogger } from "../../../src/core/log.ts"
import { MemoryMetrics } from "../../../src/core/metrics.ts"
import { VirtualClock } from "../../../src/core/virtual-clock.ts"
import { CopyKeeping } from "../../../src/delivery/copy-keeping.ts"
import type { BlobRequest } from "../../../src/delivery/delivery.ts"
import { createMemoryRegistry } from "../../../src/delivery/memory-origin.ts"
import { createDelivery } from "../../../src/delivery/road.ts"
import { createMemoryHub } from "../../../src/net/memory-network.ts"
import type { PeerNetwork, PeerSource } from "../../../src/net/net.ts"
import type { BlobPlaces } from "../../../src/store/blob-places.ts"
import { createMemoryStore, type MemoryStore } from "../../../src/store/memory-store.ts"
import type { Access } from "../../../src/swarm/access.ts"
import { createSwarm } from "../../../src/swarm/engine.ts"
import type { CopyOffer, OfferAnswer, Swarm } from "../../../src/swarm/swarm.ts"
import { ingest, patternBytes } from "../../contract/swarm.ts"

const KIB = 1024
const QUOTA = 1_000 * KIB
const HOUR = 3_600_000

/** A node that is offered blobs, and has them when they are let in. */
class Scene {
  readonly clock = new VirtualClock(1_000)
  readonly store: MemoryStore = createMemoryStore({ clock: this.clock }, { quotaBytes: QUOTA })
  readonly metrics = new MemoryMetrics()
  sources: readonly PeerSource[] = ["configured"]
  isWithheld = false
  /** Those that wait to be let in. */
  readonly coming = new Map<Digest, () => void>()
  readonly copies: CopyKeeping
  #take: (peer: string, offer: CopyOffer) => OfferAnswer = () => "gone"

  constructor(fleet: { access?: Access; places?: Pick<BlobPlaces, "placesOf"> } = {}) {
    const swarm = {
      useOffers: (take: (peer: string, offer: CopyOffer) => OfferAnswer) => {
        this.#take = take
      },
      isWithheld: () => this.isWithheld,
    } as Partial<Swarm> as Swarm
    const net = {
      id: "self",
      peer: (id: string) => (id === "P" ? { id, sources: new Set(this.sources) } : undefined),
    } as unknown as PeerNetwork
    const { clock, store, metrics } = this
    const { access, places } = fleet
    this.copies = new CopyKeeping({
      clock,
      store,
      metrics,
      swarm,
      net,
      log: silentLogger,
      access,
      places: places as BlobPlaces | undefined,
      ensure: (request, { signal }) => this.#ensure(request, signal),
    })
  }

  offer(bytes: Uint8Array, peer = "P"): OfferAnswer {
    return this.#take(peer, { digest: digestOf(bytes), sizeBytes: bytes.length })
  }

  /** Lets one in, and what follows from it happen. */
  async bring(bytes: Uint8Array): Promise<void> {
    await ingest(this, bytes)
    this.coming.get(digestOf(bytes))!()
    await this.clock.advance(1)
  }

  async #ensure({ digest }: BlobRequest, signal: AbortSignal) {
    await new Promise<void>((resolve, reject) => {
      this.coming.set(digest, resolve)
      signal.addEventListener("abort", () => reject(signal.reason as Error))
    })
    this.coming.delete(digest)
    return this.store.stat(digest)!
  }
}

const bytesOf = (kib: number, seed = 1): Buffer => patternBytes(kib * KIB, seed)

let scene: Scene
beforeEach(() => {
  scene = new Scene()
})

describe("an offer", () => {
  test("is taken, and is on its way until it is here", async () => {
    const bytes = bytesOf(100)
    expect(scene.offer(bytes)).toBe("partial")
    expect(scene.offer(bytes)).toBe("partial")
    expect(scene.coming.size).toBe(1)
    await scene.bring(bytes)
    expect(scene.offer(bytes)).toBe("complete")
    expect(scene.metrics.value("sealift_replicas_kept_blobs")).toBe(1)
    expect([...scene.store.pins()]).toEqual([])
  })

  test.each([["mdns"], ["inbound"], ["remembered", "dht"]] as PeerSource[][])(
    "of a peer that the operator did not name is not taken: %s",
    (...sources) => {
      scene.sources = sources
      expect(scene.offer(bytesOf(1))).toBe("gone")
      expect(scene.offer(bytesOf(1), "nobody")).toBe("gone")
    },
  )

  test("is not taken when something that is here would have to go for it", async () => {
    await ingest(scene, bytesOf(600))
    expect(scene.offer(bytesOf(301, 2))).toBe("gone")
    expect(scene.offer(bytesOf(200, 2))).toBe("partial")
    // What is on its way counts.
    expect(scene.offer(bytesOf(101, 3))).toBe("gone")
    expect(scene.offer(bytesOf(100, 3))).toBe("partial")
  })

  test("is not taken when half of the quota is kept for others", async () => {
    const first = bytesOf(400)
    scene.offer(first)
    await scene.bring(first)
    expect(scene.offer(bytesOf(101, 2))).toBe("gone")
    await scene.store.remove(digestOf(first))
    expect(scene.offer(bytesOf(101, 2))).toBe("partial")
  })

  test("is not taken when sixteen are on their way", () => {
    for (let seed = 1; seed <= 16; seed++) expect(scene.offer(bytesOf(1, seed))).toBe("partial")
    expect(scene.offer(bytesOf(1, 17))).toBe("gone")
  })

  test("is not taken over a metered way, of what is private here, or when the node stops", async () => {
    const bytes = bytesOf(1)
    scene.isWithheld = true
    expect(scene.offer(bytes)).toBe("gone")
    scene.isWithheld = false
    const digest = await ingest(scene, bytes)
    await scene.store.share(digest, false)
    expect(scene.offer(bytes)).toBe("gone")
    await scene.store.share(digest, true)
    expect(scene.offer(bytes)).toBe("complete")
    const other = bytesOf(1, 2)
    expect(scene.offer(other)).toBe("partial")
    scene.copies.stop()
    await scene.clock.advance(1)
    expect(scene.offer(bytes)).toBe("gone")
    expect(scene.metrics.value("sealift_replicas_kept_blobs")).toBe(1)
  })

  test("that does not come can be taken again", async () => {
    const bytes = bytesOf(1)
    scene.offer(bytes)
    scene.coming.clear()
    await scene.clock.advance(HOUR)
    expect(scene.offer(bytes)).toBe("partial")
    expect(scene.coming.size).toBe(1)
  })
})

describe("in a fleet an offer", () => {
  const may = { fetch: ["self"], seed: ["self", "P"] } as Record<string, string[]>
  const fleetOf = (rights: Record<string, string[]>, places: readonly string[]) => {
    const access: Access = {
      isFleet: () => true,
      may: (peer, verb, where) => where === "acme" && rights[verb]?.includes(peer) === true,
      mayAll: () => false,
      nodes: () => [],
    }
    return new Scene({ access, places: { placesOf: () => places } })
  }

  test("is taken of what this node knows to be of a place where the peer may seed", () => {
    expect(fleetOf(may, ["acme"]).offer(bytesOf(1))).toBe("partial")
  })

  test("is not taken on the peer's word alone, nor without a right", () => {
    expect(fleetOf(may, []).offer(bytesOf(1))).toBe("gone")
    expect(fleetOf(may, ["other"]).offer(bytesOf(1))).toBe("gone")
    expect(fleetOf({ ...may, seed: ["self"] }, ["acme"]).offer(bytesOf(1))).toBe("gone")
    expect(fleetOf({ ...may, seed: ["P"] }, ["acme"]).offer(bytesOf(1))).toBe("gone")
    expect(fleetOf({ ...may, fetch: [] }, ["acme"]).offer(bytesOf(1))).toBe("gone")
  })
})

test("a copy is swept after all else, until nobody has asked for it for an hour", async () => {
  const [copy, own] = [bytesOf(10), bytesOf(10, 2)]
  scene.offer(copy)
  await scene.bring(copy)
  await scene.clock.advance(1_000)
  await ingest(scene, own)
  await scene.clock.advance(HOUR - 10_000)
  expect(scene.offer(copy)).toBe("complete")
  await scene.clock.advance(HOUR - 10_000)
  const sweep = async () => (await scene.store.sweep({ targetBytes: 10 * KIB })).removed
  expect(await sweep()).toEqual([digestOf(own)])
  await scene.clock.advance(20_000)
  await ingest(scene, own)
  expect(await sweep()).toEqual([digestOf(copy)])
})

/** Nodes with the true swarm and delivery that are all told of each other. */
async function createFleet(count: number) {
  const clock = new VirtualClock(1_000)
  const hub = createMemoryHub({ clock, latencyMs: 1 })
  const registry = createMemoryRegistry({ clock })
  const nodes = Array.from({ length: count }, (_, at) => {
    const net = hub.join({ seed: Buffer.alloc(32, at + 1) })
    const store = createMemoryStore({ clock }, { quotaBytes: QUOTA })
    const base = { net, store, clock, log: silentLogger, metrics: new MemoryMetrics() }
    const swarm = createSwarm(base)
    const delivery = createDelivery({ ...base, swarm, origin: registry.origin({}) })
    return { net, store, swarm, delivery }
  })
  hub.connectAll()
  const stop = async () => {
    for (const { delivery, swarm } of nodes) {
      const stopped = Promise.all([delivery.stop({ deadlineMs: 0 }), swarm.stop()])
      await clock.advance(2_000)
      await stopped
    }
  }
  return { clock, hub, nodes, stop }
}

test("a pin for two replicas has two others fetch it, and another when one of them leaves", async () => {
  const { clock, hub, nodes, stop } = await createFleet(5)
  const [pinner, ...others] = nodes
  const bytes = bytesOf(300)
  const digest = await ingest(pinner!, bytes)
  await pinner!.store.pin({ name: "two", digests: [digest], minReplicas: 2 })
  const holders = () => others.filter(({ store }) => store.stat(digest)?.isComplete === true)
  await clock.advance(25_000)
  expect(holders()).toHaveLength(0)
  await clock.advance(35_000)
  expect(holders()).toHaveLength(2)
  await clock.advance(300_000)
  expect(holders()).toHaveLength(2)
  const [leaving] = holders()
  hub.drop(leaving!.net.id)
  await clock.advance(60_000)
  expect(holders().filter((node) => node !== leaving)).toHaveLength(2)
  await stop()
})
