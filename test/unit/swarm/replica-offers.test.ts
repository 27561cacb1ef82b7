/** Who is asked to keep copies of what is pinned for replicas, when, and in which order; on virtual time. */
import { beforeEach, describe, expect, test } from "vitest"
import { type Digest, digestOf } from "../../../src/core/digest.ts"
import { silentLogger } from "../../../src/core/log.ts"
import { VirtualClock } from "../../../src/core/virtual-clock.ts"
import type { Peer } from "../../../src/net/net.ts"
import { createMemoryStore, type MemoryStore } from "../../../src/store/memory-store.ts"
import type { Holding, HoldingState } from "../../../src/swarm/holdings-message.ts"
import { ReplicaOffers } from "../../../src/swarm/replica-offers.ts"
import { byReplicaRank } from "../../../src/swarm/replica-rank.ts"
import type { Holder } from "../../../src/swarm/swarm.ts"
import { ingest, patternBytes } from "../../contract/swarm.ts"

const SIZE = 1_000
const MINUTE = 60_000

/** One node that pins, as it sees others that answer as they are told to. */
class Scene {
  readonly clock = new VirtualClock(1_000)
  readonly store: MemoryStore = createMemoryStore({ clock: this.clock })
  peers: string[] = ["a", "b", "c", "d", "e"]
  holders: string[] = []
  /** What has been offered, in order. */
  offers: string[] = []
  answer: (peer: string, offer: Holding) => HoldingState = () => "partial"
  metered = ""
  digest: Digest = digestOf(Buffer.from("?"))
  #offers!: ReplicaOffers

  async begin(): Promise<this> {
    this.digest = await ingest(this, patternBytes(SIZE))
    this.#offers = new ReplicaOffers({
      store: this.store,
      net: { peers: () => this.peers.map((id) => ({ id }) as Peer) },
      clock: this.clock,
      log: silentLogger,
      isUnmetered: (peer) => peer !== this.metered,
      offer: async (peer, offers) => {
        this.offers.push(...offers.map(() => peer))
        return offers.map((offer) => ({ ...offer, state: this.answer(peer, offer) }))
      },
    })
    return this
  }

  /** Counts every five seconds, as the engine does. */
  async pass(ms: number, minReplicas = 2, digests = [this.digest]): Promise<void> {
    for (let at = 0; at < ms; at += 5_000) {
      await this.clock.advance(5_000)
      const holders = this.holders.map(
        (peer): Holder => ({ peer, isComplete: true, sizeBytes: SIZE }),
      )
      const wanted = digests.map((digest) => ({ digest, minReplicas, holders }))
      this.#offers.run(wanted, this.clock.monotonicMs())
    }
    await this.clock.advance(1)
  }

  get ranked(): string[] {
    return byReplicaRank(["a", "b", "c", "d", "e"], this.digest)
  }
}

let scene: Scene
beforeEach(async () => {
  scene = await new Scene().begin()
})

describe("of a blob that too few others have", () => {
  test("copies are offered after half a minute, to those of the highest rank", async () => {
    await scene.pass(30_000)
    expect(scene.offers).toEqual([])
    await scene.pass(5_000)
    expect(scene.offers).toEqual(scene.ranked.slice(0, 2))
    // They bring it: nobody else is asked meanwhile.
    await scene.pass(5 * MINUTE)
    expect(scene.offers).toHaveLength(2)
  })

  test("only what is missing is offered, and to none that has it", async () => {
    scene.holders = scene.ranked.slice(0, 1)
    await scene.pass(MINUTE)
    expect(scene.offers).toEqual(scene.ranked.slice(1, 2))
  })

  test("the next is asked when one does not take it", async () => {
    const [first] = scene.ranked
    scene.answer = (peer) => (peer === first ? "gone" : "partial")
    await scene.pass(MINUTE)
    expect(scene.offers).toEqual(scene.ranked.slice(0, 3))
  })

  test("the next is asked when one took it and does not have it after ten minutes", async () => {
    await scene.pass(9 * MINUTE)
    const [first, second, third] = scene.ranked
    scene.holders = [first!]
    await scene.pass(3 * MINUTE)
    expect(scene.offers.filter((peer) => peer !== first)).toEqual([second, third])
  })

  test("one that could not take it is asked again later", async () => {
    scene.peers = ["a", "b"]
    scene.answer = () => "gone"
    await scene.pass(12 * MINUTE)
    expect(scene.offers.filter((peer) => peer === "a")).toHaveLength(2)
  })

  test("those beyond a metered way are left out", async () => {
    scene.metered = scene.ranked[0]!
    await scene.pass(MINUTE)
    expect(scene.offers).toEqual(scene.ranked.slice(1, 3))
  })

  test("nobody is asked for what is private, or not whole here", async () => {
    await scene.store.share(scene.digest, false)
    const elsewhere = digestOf(Buffer.from("not here"))
    await scene.pass(MINUTE, 2, [scene.digest, elsewhere])
    expect(scene.offers).toEqual([])
  })
})

test("a node that is gone for less than half a minute is not replaced, and later it is", async () => {
  scene.holders = scene.ranked.slice(0, 2)
  await scene.pass(MINUTE)
  scene.holders = scene.ranked.slice(0, 1)
  await scene.pass(20_000)
  scene.holders = scene.ranked.slice(0, 2)
  await scene.pass(MINUTE)
  expect(scene.offers).toEqual([])
  scene.holders = scene.ranked.slice(0, 1)
  scene.peers = scene.peers.filter((peer) => peer !== scene.ranked[1])
  await scene.pass(MINUTE)
  expect(scene.offers).toEqual(scene.ranked.slice(2, 3))
})

test("few copies are on their way at one time, the next when one is there", async () => {
  const digests: Digest[] = []
  for (let seed = 0; seed < 40; seed++) {
    digests.push(await ingest(scene, patternBytes(SIZE, seed + 2)))
  }
  await scene.pass(MINUTE, 1, digests)
  expect(scene.offers).toHaveLength(16)
  scene.offers = []
  scene.answer = () => "gone"
  await scene.pass(20 * MINUTE, 1, digests)
  expect(scene.offers.length).toBeGreaterThan(24)
})

test("those who keep it are told so again every ten minutes, the pinned copy here or not", async () => {
  scene.holders = ["a", "b", "c"]
  await scene.pass(9 * MINUTE)
  expect(scene.offers).toEqual([])
  await scene.pass(2 * MINUTE)
  const two = byReplicaRank(["a", "b", "c"], scene.digest).slice(0, 2)
  expect(scene.offers.sort()).toEqual([...two].sort())
  await scene.store.remove(scene.digest)
  await scene.pass(10 * MINUTE)
  expect(scene.offers).toHaveLength(4)
})

test("what is not wanted any more is forgotten", async () => {
  await scene.pass(25_000)
  await scene.pass(5_000, 2, [])
  await scene.pass(25_000)
  expect(scene.offers).toEqual([])
})
