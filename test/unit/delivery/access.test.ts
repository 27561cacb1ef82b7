/** Elections in a fleet: who may have whom read what, and that nobody learns by them what is here. */
import { beforeEach, describe, expect, test } from "vitest"
import { type Digest, digestOf } from "../../../src/core/digest.ts"
import { silentLogger } from "../../../src/core/log.ts"
import { MemoryMetrics } from "../../../src/core/metrics.ts"
import type { Delivery } from "../../../src/delivery/delivery.ts"
import {
  encodeFetchRequest,
  FETCH_PROTOCOL,
  type FetchAnswer,
  type FetchIntent,
  parseFetchAnswer,
} from "../../../src/delivery/fetch-message.ts"
import type { OriginBehaviour } from "../../../src/delivery/memory-origin.ts"
import { createDelivery } from "../../../src/delivery/road.ts"
import type { PeerNetwork } from "../../../src/net/net.ts"
import { BlobPlaces } from "../../../src/store/blob-places.ts"
import { createMemoryStore, type MemoryStore } from "../../../src/store/memory-store.ts"
import { FleetRules } from "../../support/fleet-rules.ts"
import { bytesOf, createWorld, drain, KIB, MIB, never, REF, type World, wish } from "./world.ts"

const OPEN = `${REF.registry}/${REF.repository}`
const SECRET = "ghcr.io/acme/secret"

interface FleetNode {
  readonly net: PeerNetwork
  readonly store: MemoryStore
  readonly places: BlobPlaces
  readonly delivery: Delivery
  readonly metrics: MemoryMetrics
}

let world: World
let rules: FleetRules
let behaviour: OriginBehaviour | undefined

beforeEach(() => {
  world = createWorld()
  rules = new FleetRules()
  behaviour = undefined
})

async function add(name: string): Promise<FleetNode> {
  const { clock } = world
  const net = world.hub.join({ id: name })
  rules.enroll(name)
  const store = createMemoryStore({ clock })
  const places = await BlobPlaces.load({ kv: store.kv("places"), store, log: silentLogger })
  const fleet = { access: rules, places }
  const swarm = world.swarms.join({ net, store, clock, ...fleet })
  const metrics = new MemoryMetrics()
  const origin = world.registry.origin({ behaviour: () => behaviour })
  const deps = { store, swarm, net, origin, clock, log: silentLogger, metrics, ...fleet }
  return { net, store, places, metrics, delivery: createDelivery(deps) }
}

/** A node that is asked, and one that asks; both may fetch what lies at the open place. */
async function pair(): Promise<[FleetNode, FleetNode]> {
  const nodes: [FleetNode, FleetNode] = [await add("asked"), await add("asker")]
  for (const { net } of nodes) rules.allow(net.id, ["find", "fetch", "seed"], OPEN)
  rules.allow("asked", ["seed"], "*")
  world.hub.connectAll()
  return nodes
}

/** Asks for a segment as an elector does; also tells how long the answer took. */
async function ask(
  [asked, asker]: readonly [FleetNode, FleetNode],
  digest: Digest,
  intent: FetchIntent = "fetch",
): Promise<{ answer: FetchAnswer; tookMs: number }> {
  const sinceMs = world.clock.monotonicMs()
  const body = encodeFetchRequest({ digest, sizeBytes: undefined, ref: REF, segment: 0, intent })
  const options = { signal: never() }
  const answer = asker.net.request(asked.net.id, FETCH_PROTOCOL, body, options)
  const bytes = await world.run(answer)
  return { answer: parseFetchAnswer(bytes), tookMs: world.clock.monotonicMs() - sinceMs }
}

async function give(node: FleetNode, bytes: Uint8Array, place: string): Promise<Digest> {
  async function* source() {
    yield bytes
  }
  const { digest } = await node.store.ingest(source(), {})
  await node.places.add(digest, place)
  return digest
}

const refused = (code: string) => expect.objectContaining({ kind: "refused", code })

describe("an asker", () => {
  test("that may not fetch from a repository has nobody read there", async () => {
    const nodes = await pair()
    rules.rules = []
    rules.allow("asked", ["find", "fetch", "seed"], "*")
    const digest = world.registry.put(bytesOf("blob", 300 * KIB))
    expect((await ask(nodes, digest)).answer).toEqual(refused("ORIGIN_FORBIDDEN"))
    expect(world.registry.requestCount).toBe(0)
  })

  test("has nobody read who may not fetch there either", async () => {
    const nodes = await pair()
    rules.rules = []
    rules.allow("asker", ["find", "fetch"], "*")
    const digest = world.registry.put(bytesOf("blob", 300 * KIB))
    expect((await ask(nodes, digest)).answer).toEqual(refused("ORIGIN_FORBIDDEN"))
    expect(world.registry.requestCount).toBe(0)
  })
})

describe("what is here under another name", () => {
  test("is answered as what is unknown, in the same time", async () => {
    behaviour = { delayMs: 200 }
    const nodes = await pair()
    const secret = await give(nodes[0], bytesOf("secret", 300 * KIB), SECRET)
    const unknown = digestOf(Buffer.from("unknown"))
    for (const intent of ["begin", "yield"] as const) {
      expect((await ask(nodes, secret, intent)).answer).toEqual(refused("NOT_FETCHING"))
      expect((await ask(nodes, unknown, intent)).answer).toEqual(refused("NOT_FETCHING"))
    }
    const ofUnknown = await ask(nodes, unknown)
    const ofSecret = await ask(nodes, secret)
    expect(ofUnknown.answer).toEqual(refused("ORIGIN_NOT_FOUND"))
    expect(ofSecret.answer).toEqual(ofUnknown.answer)
    expect(ofUnknown.tookMs).toBeGreaterThanOrEqual(200)
    expect(Math.abs(ofSecret.tookMs - ofUnknown.tookMs)).toBeLessThanOrEqual(10)
    // Soon again neither asks the origin once more.
    const again = [await ask(nodes, unknown), await ask(nodes, secret)]
    expect(again.map(({ answer }) => answer)).toEqual([ofUnknown.answer, ofUnknown.answer])
    expect(Math.max(...again.map(({ tookMs }) => tookMs))).toBeLessThan(200)
  })

  test("gets the other name when the origin shows that it has it", async () => {
    const nodes = await pair()
    const bytes = bytesOf("base layer", 300 * KIB)
    const digest = await give(nodes[0], bytes, SECRET)
    world.registry.put(bytes)
    expect((await ask(nodes, digest)).answer).toEqual({ kind: "have", sizeBytes: bytes.length })
    expect(nodes[0].places.placesOf(digest)).toEqual([SECRET, OPEN])
    expect((await ask(nodes, digest, "begin")).answer).toMatchObject({ kind: "have" })
  })

  test("gets it, too, from an origin without ranges", async () => {
    behaviour = { ignoresRanges: true }
    const nodes = await pair()
    const bytes = bytesOf("base layer", 300 * KIB)
    const digest = await give(nodes[0], bytes, SECRET)
    world.registry.put(bytes)
    expect((await ask(nodes, digest)).answer).toMatchObject({ kind: "have" })
  })

  test.each([
    ["says that it has it and sends other bytes", { isLying: true }, "FETCHER_BUSY"],
    ["tells another size", { claimedSizeBytes: 5 * MIB }, "FETCHER_BUSY"],
    ["wants credentials", { usesCredentials: true }, "CONTENT_PRIVATE"],
    ["is away", { status: 500 }, "ORIGIN_UNAVAILABLE"],
  ] as const)("gets none from an origin that %s", async (_what, bad, code) => {
    behaviour = bad
    const nodes = await pair()
    // So short that the part that is compared is nearly all of it.
    const bytes = bytesOf("secret", KIB)
    const digest = await give(nodes[0], bytes, SECRET)
    world.registry.put(bytes)
    expect((await ask(nodes, digest)).answer).toEqual(refused(code))
    expect(nodes[0].places.placesOf(digest)).toEqual([SECRET])
  })
})

describe("a stampede", () => {
  test("of nodes with the right costs one copy, and passes over a node without it", async () => {
    const names = ["one", "two", "three", "outsider"]
    const nodes = await Promise.all(names.map((name) => add(name)))
    for (const name of names.slice(0, 3)) rules.allow(name, ["find", "fetch", "seed"], OPEN)
    world.hub.connectAll()
    const bytes = bytesOf("layer", 6 * MIB)
    const digest = world.registry.put(bytes)
    const pulls = nodes.slice(0, 3).map(({ delivery }) => {
      return drain(delivery.open(wish(digest, bytes.length), { signal: never() }))
    })
    const got = await world.run(Promise.all(pulls))
    expect(got.map(digestOf)).toEqual([digest, digest, digest])
    expect(world.registry.sentBytes(digest)).toBeLessThan(1.5 * bytes.length)
    expect(nodes[3]?.store.stat(digest)).toBeUndefined()
    expect(nodes.slice(0, 3).map(({ places }) => places.placesOf(digest))).toEqual([
      [OPEN],
      [OPEN],
      [OPEN],
    ])
  })
})
