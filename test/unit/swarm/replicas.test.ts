/** Enough copies of what is pinned: who may let go of one, and what is told when there are too few. */
import fc from "fast-check"
import { describe, expect, test } from "vitest"
import { digestOf } from "../../../src/core/digest.ts"
import type { Logger } from "../../../src/core/log.ts"
import { MemoryMetrics } from "../../../src/core/metrics.ts"
import { VirtualClock } from "../../../src/core/virtual-clock.ts"
import { createMemoryStore } from "../../../src/store/memory-store.ts"
import { Replicas } from "../../../src/swarm/replicas.ts"
import type { Holder } from "../../../src/swarm/swarm.ts"
import { ingest, join, patternBytes, until } from "../../contract/swarm.ts"
import { MemoryWorld } from "./memory-world.ts"

const digest = digestOf(Buffer.from("a blob"))

const whole = (peer: string): Holder => ({ peer, isComplete: true, sizeBytes: 6 })

/** The replicas as one node sees them. */
function viewOf(selfId: string, holders: readonly Holder[], told: string[] = []) {
  const store = createMemoryStore({ clock: new VirtualClock() })
  const metrics = new MemoryMetrics()
  const note = (_details: unknown, message: string) => told.push(message)
  const log = { warn: note, info: note } as unknown as Logger
  const replicas = new Replicas({ store, selfId, log, metrics, holders: () => holders })
  return { store, metrics, replicas }
}

describe("a copy", () => {
  test("is not spare while fewer others have all of it", () => {
    const part = { ...whole("b"), isComplete: false }
    expect(viewOf("a", [whole("c"), part]).replicas.isSpare(digest, 2)).toBe(false)
    expect(viewOf("a", []).replicas.isSpare(digest, 1)).toBe(false)
  })

  test("is kept by exactly as many nodes as are wanted, whoever they are", () => {
    const peers = fc.uniqueArray(fc.string({ minLength: 1 }), { minLength: 1, maxLength: 12 })
    fc.assert(
      fc.property(peers, fc.integer({ min: 1, max: 6 }), (ids, minReplicas) => {
        const keepers = ids.filter((self) => {
          const others = ids.filter((peer) => peer !== self).map(whole)
          return !viewOf(self, others).replicas.isSpare(digest, minReplicas)
        })
        expect(keepers.length).toBe(Math.min(ids.length, minReplicas))
      }),
    )
  })

  test("is never let go by too many when their views differ, each a part of the truth", () => {
    const ids = ["a", "b", "c", "d", "e", "f"]
    fc.assert(
      fc.property(fc.infiniteStream(fc.boolean()), (coins) => {
        const keepers = ids.filter((self) => {
          const seen = ids.filter((peer) => peer !== self && coins.next().value).map(whole)
          return !viewOf(self, seen).replicas.isSpare(digest, 2)
        })
        expect(keepers.length).toBeGreaterThanOrEqual(2)
      }),
    )
  })
})

test("too few copies are counted at once, and told once when it lasts", async () => {
  const told: string[] = []
  const holders: Holder[] = [whole("b")]
  const { store, metrics, replicas } = viewOf("a", holders, told)
  await store.pin({ name: "three", digests: [digest], minReplicas: 3 })
  await store.pin({ name: "one", digests: [digest], minReplicas: 1 })
  const missing = () => metrics.value("sealift_replicas_missing_blobs")
  replicas.tick(0)
  expect([missing(), told.length]).toEqual([1, 0])
  for (let ms = 1_000; ms <= 60_000; ms += 1_000) replicas.tick(ms)
  expect([missing(), told]).toEqual([1, ["fewer replicas than are pinned"]])
  holders.push(whole("c"), whole("d"))
  replicas.tick(70_000)
  expect([missing(), told.at(-1)]).toEqual([0, "enough replicas again"])
  await store.unpin("three")
  await store.unpin("one")
  replicas.tick(80_000)
  expect([missing(), told.length]).toEqual([0, 2])
})

test("of three nodes that have it and all want room, two keep it", async () => {
  await using world = new MemoryWorld()
  const nodes = [await world.add(), await world.add(), await world.add()]
  const bytes = patternBytes(300_000)
  for (const { store } of nodes) {
    await store.pin({ name: "two", digests: [digestOf(bytes)], minReplicas: 2 })
    await ingest({ store }, bytes)
  }
  for (const { swarm } of nodes) {
    await until(() => swarm.holders(digestOf(bytes)).length === 2, "all know of the others")
  }
  const reports = await Promise.all(nodes.map(({ store }) => store.sweep({ targetBytes: 0 })))
  expect(reports.flatMap(({ removed }) => removed)).toEqual([digestOf(bytes)])
  const late = await world.add()
  await until(() => late.swarm.holders(digestOf(bytes)).length === 2, "two still have it")
  const torrent = await join(late, digestOf(bytes), bytes.length)
  await until(() => torrent.blob.pieces.isFull, "it can be had")
  torrent.close()
  torrent.blob.release()
})
