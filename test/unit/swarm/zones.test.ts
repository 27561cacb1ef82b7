/** Zones: the messages, who stands where, which sources are asked, and the way out of a zone that fails. */
import { describe, expect, test } from "vitest"
import { Bitfield } from "../../../src/core/bitfield.ts"
import { digestOf } from "../../../src/core/digest.ts"
import { silentLogger } from "../../../src/core/log.ts"
import { VirtualClock } from "../../../src/core/virtual-clock.ts"
import { createMemoryHub } from "../../../src/net/memory-network.ts"
import { PeerClasses } from "../../../src/swarm/peer-class.ts"
import { ZoneBias } from "../../../src/swarm/zone-bias.ts"
import { encodeZone, parseZone, ZONE_PROTOCOL, Zones } from "../../../src/swarm/zones.ts"
import { finish, ingest, join, patternBytes, until } from "../../contract/swarm.ts"
import { type MemoryNode, MemoryWorld } from "./memory-world.ts"
import { base64, vectorsOf } from "./vectors.ts"

test.each(vectorsOf("zone"))("vector $case: $comment", ({ input, output, expect: code }) => {
  const parse = () => parseZone(base64(input.message))
  if (output === undefined) {
    expect(parse).toThrow(expect.objectContaining({ code }))
    return
  }
  expect(parse() ?? null).toBe(output.zone)
  expect(Buffer.from(encodeZone(parse())).toString("base64")).toBe(input.message)
})

describe("connected nodes", () => {
  function nodesIn(...labels: readonly (string | undefined)[]) {
    const clock = new VirtualClock()
    const hub = createMemoryHub({ clock })
    const nets = labels.map((_, index) => hub.join({ host: `8.8.8.${index}` }))
    const zones = labels.map((zone, index) => {
      return new Zones({ net: nets[index]!, clock, log: silentLogger }, { zone })
    })
    return { clock, hub, nets, zones }
  }

  test("know who stands where they do, and that all others are far", async () => {
    const { clock, hub, nets, zones } = nodesIn("berlin", "berlin", "tokyo", undefined)
    hub.connectAll()
    await clock.advance(1)
    const [own] = zones
    expect(nets.slice(1).map(({ id }) => [own!.of(id), own!.isSame(id), own!.isFar(id)])).toEqual([
      ["berlin", true, false],
      ["tokyo", false, true],
      [undefined, false, true],
    ])
    // Who stands nowhere prefers nobody, but was told.
    expect(nets.slice(0, 3).map(({ id }) => zones[3]!.isFar(id))).toEqual([false, false, false])
    expect(zones[3]!.of(nets[0]!.id)).toBe("berlin")
  })

  test("forget the zone with the connection, and tell whoever asked to be told", async () => {
    const { clock, hub, nets, zones } = nodesIn("berlin", "berlin")
    const heard: boolean[] = []
    zones[0]!.onChange((peer) => heard.push(zones[0]!.isSame(peer)))
    hub.connectAll()
    await clock.advance(1)
    await nets[0]!.disconnect(nets[1]!.id)
    await clock.advance(1)
    expect(heard).toEqual([true, false])
    for (const one of zones) one.stop()
  })

  test("take a peer that does not speak of zones, or badly, to stand nowhere", async () => {
    const clock = new VirtualClock()
    const hub = createMemoryHub({ clock })
    const [own, mute, rude] = [hub.join(), hub.join(), hub.join()]
    rude.onRequest(ZONE_PROTOCOL, async () => Buffer.from("nonsense"))
    const zones = new Zones({ net: own, clock, log: silentLogger }, { zone: "berlin" })
    hub.connectAll()
    await clock.advance(1)
    expect([zones.of(mute.id), zones.of(rude.id)]).toEqual([undefined, undefined])
    const asked = rude.request(own.id, ZONE_PROTOCOL, Buffer.from("nonsense"), {
      signal: new AbortController().signal,
    })
    await expect(asked).rejects.toMatchObject({ details: { code: "ZONE_INVALID" } })
  })

  test("of one zone are of the LAN to each other, wherever they connect from", async () => {
    const { clock, hub, nets, zones } = nodesIn("berlin", "berlin", "tokyo")
    const isSameZone = (peer: string) => zones[0]!.isSame(peer)
    const classes = new PeerClasses({ net: nets[0]!, isSameZone })
    zones[0]!.onChange((peer) => classes.forget(peer))
    hub.connectAll()
    expect(classes.of(nets[1]!.id)).toBe("wan")
    await clock.advance(1)
    expect(nets.slice(1).map(({ id }) => classes.of(id))).toEqual(["lan", "wan"])
  })
})

describe("the bias", () => {
  const set = (...indexes: readonly number[]) => {
    const pieces = new Bitfield(4)
    for (const index of indexes) pieces.add(index)
    return pieces
  }
  const members = (pieces: Bitfield) => [0, 1, 2, 3].filter((index) => pieces.has(index))

  function biasOf(sources: readonly { peer: string; pieces: Bitfield }[], hasNearHolder = false) {
    const clock = new VirtualClock()
    const state = { lastProgressMs: 0 }
    const bias = new ZoneBias({
      clock,
      isFar: (peer) => peer.startsWith("far"),
      sources: () => sources,
      hasNearHolder: () => hasNearHolder,
      lastProgressMs: () => state.lastProgressMs,
    })
    return { bias, clock, state }
  }

  const near = { peer: "near", pieces: set(0, 1) }
  const far = { peer: "far 1", pieces: set(0, 1, 2) }

  test("leaves to those beyond the zone what nobody inside has", () => {
    const { bias } = biasOf([near, far])
    expect(members(bias.offered(far))).toEqual([2])
    expect(members(bias.offered(near))).toEqual([0, 1])
  })

  test("asks them for all when nobody inside is known, and for nothing while somebody is on the way", () => {
    expect(members(biasOf([far]).bias.offered(far))).toEqual([0, 1, 2])
    expect(members(biasOf([far], true).bias.offered(far))).toEqual([])
  })

  test("ends for a time when nothing comes", async () => {
    const { bias, clock, state } = biasOf([near, far])
    state.lastProgressMs = 1_500
    expect(bias.isEscaping).toBe(false)
    state.lastProgressMs = 1_501
    expect(members(bias.offered(far))).toEqual([0, 1, 2])
    state.lastProgressMs = 0
    await clock.advance(9_999)
    expect(bias.isEscaping).toBe(true)
    await clock.advance(1)
    expect(members(bias.offered(far))).toEqual([2])
  })

  test("keeps two links beyond the zone, and takes more only when they are needed", () => {
    const second = { peer: "far 2", pieces: set() }
    expect(biasOf([near, far]).bias.wantsFar()).toBe(true)
    expect(biasOf([near, far, second]).bias.wantsFar()).toBe(false)
    expect(biasOf([far, second]).bias.wantsFar()).toBe(true)
    expect(biasOf([far, second], true).bias.wantsFar()).toBe(false)
    const { bias, state } = biasOf([near, far, second])
    state.lastProgressMs = 2_000
    expect(bias.wantsFar()).toBe(true)
  })
})

describe("a node of a zone", () => {
  const SIZE_BYTES = 3_000_000
  const bytes = patternBytes(SIZE_BYTES)
  const digest = digestOf(bytes)

  const knows = (node: MemoryNode, count: number) =>
    until(() => node.swarm.holders(digest).length === count, "the holders are known")

  /** Fetches, and gives the bytes that each peer gave. */
  async function given(leech: MemoryNode, peers: readonly MemoryNode[]): Promise<number[]> {
    const torrent = await join(leech, digest, SIZE_BYTES)
    const done = finish(torrent)
    await until(() => torrent.blob.pieces.isFull, "all is here")
    const reports = torrent.sources()
    await done
    return peers.map(({ net }) => {
      return reports.find(({ peer }) => peer === net.id)?.receivedBytes ?? 0
    })
  }

  test("takes all from its zone when the zone has it", async () => {
    await using world = new MemoryWorld()
    const far = [await world.add(), await world.add({}, undefined, { zone: "tokyo" })]
    const near = await world.add({}, undefined, { zone: "berlin" })
    const leech = await world.add({}, undefined, { zone: "berlin" })
    for (const node of [...far, near]) await ingest(node, bytes)
    await knows(leech, 3)
    expect(await given(leech, [...far, near])).toEqual([0, 0, SIZE_BYTES])
  })

  test("takes all from beyond when nobody of its zone has it", async () => {
    await using world = new MemoryWorld()
    const far = await world.add({}, undefined, { zone: "tokyo" })
    await world.add({}, undefined, { zone: "berlin" })
    const leech = await world.add({}, undefined, { zone: "berlin" })
    await ingest(far, bytes)
    await knows(leech, 1)
    expect(await given(leech, [far])).toEqual([SIZE_BYTES])
  })

  test("takes from beyond when who has it in its zone sends nothing", async () => {
    await using world = new MemoryWorld()
    const stuck = await world.add(
      {},
      { tricks: { isStuck: true }, contents: bytes },
      { zone: "berlin" },
    )
    const far = await world.add({}, undefined, { zone: "tokyo" })
    const leech = await world.add({}, undefined, { zone: "berlin" })
    for (const node of [stuck, far]) await ingest(node, bytes)
    await knows(leech, 2)
    expect(await given(leech, [stuck, far])).toEqual([0, SIZE_BYTES])
  })

  test("gives pieces on inside its zone, so that few cross its border more than once", async () => {
    await using world = new MemoryWorld()
    const far = await world.add({}, undefined, { zone: "tokyo" })
    const leeches = await Promise.all(
      [0, 1, 2].map(() => world.add({}, undefined, { zone: "berlin" })),
    )
    await ingest(far, bytes)
    for (const leech of leeches) await knows(leech, 1)
    await Promise.all(leeches.map((leech) => given(leech, [far])))
    // Pieces that were asked for before the others were known may come twice.
    expect(far.swarm.stats().uploadedBytes).toBeLessThan(2.5 * SIZE_BYTES)
  })
})
