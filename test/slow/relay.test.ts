// Relays: who has a place, who is connected through them, and what they let through.
import { describe, expect, test } from "vitest"
import { createIdentity } from "../../src/net/identity.ts"
import type { Libp2pOptions } from "../../src/net/libp2p-network.ts"
import type { Channel, PeerId } from "../../src/net/net.ts"
import { startNode, type TestNode, until, withSignal } from "../unit/net/support.ts"

const RATE = 3 * 1024 * 1024
const BULK_BYTES = 4 * 1024 * 1024
/** A place that is refused would have been given long before. */
const REFUSED_MS = 300

/** A relay that serves those in the set. */
async function startRelay(options: Partial<Libp2pOptions> = {}) {
  const served = new Set<PeerId>()
  const relay = { isServed: (peer: PeerId) => served.has(peer), bytesPerSecond: RATE }
  const node = await startNode({ relay, ...options })
  return { ...node, served, address: node.network.addresses()[0]! }
}

type Relay = Awaited<ReturnType<typeof startRelay>>

/** A node that can be reached through a relay only: it listens nowhere. */
async function startHidden(relay: Relay, options: Partial<Libp2pOptions> = {}): Promise<TestNode> {
  const identity = options.identity ?? createIdentity()
  relay.served.add(identity.id)
  const node = await startNode({ identity, listen: [], relays: [relay.address], ...options })
  await until(() => node.network.addresses().length > 0)
  return node
}

/** A node that knows another one's address behind the relay. */
async function startAsker(relay: Relay, options: Partial<Libp2pOptions> = {}): Promise<TestNode> {
  const identity = options.identity ?? createIdentity()
  relay.served.add(identity.id)
  return startNode({ identity, listen: [], peers: [relay.address], ...options })
}

/** Opens a channel and sends bytes on it. @returns how long it took, seconds */
async function carry(to: TestNode, from: TestNode, sizeBytes: number): Promise<number> {
  const got = Promise.withResolvers<Channel>()
  to.network.onChannel(got.resolve)
  await from.network.dial(to.network.addresses()[0]!, withSignal())
  const channel = await from.network.openChannel(to.network.id, withSignal())
  expect(channel.kind).toBe("libp2p")
  const begunMs = performance.now()
  const { duplex } = await got.promise
  let receivedBytes = 0
  duplex.on("data", (bytes: Uint8Array) => {
    receivedBytes += bytes.length
  })
  channel.duplex.write(new Uint8Array(sizeBytes))
  await until(() => receivedBytes === sizeBytes)
  return (performance.now() - begunMs) / 1000
}

describe("a relay", () => {
  test("makes a node that listens nowhere reachable, and requests work through it", async () => {
    const relay = await startRelay()
    const hidden = await startHidden(relay)
    const asker = await startAsker(relay)
    hidden.network.onRequest("/test/1", async (body) => body.toReversed())
    const id = await asker.network.dial(hidden.network.addresses()[0]!, withSignal())
    expect(id).toBe(hidden.network.id)
    const answer = await asker.network.request(id, "/test/1", Uint8Array.of(1, 2), withSignal())
    expect([...answer]).toEqual([2, 1])
    expect(relay.metrics.value("sealift_net_relay_places")).toBe(1)
  })

  test("is all that a configured peer's address needs", async () => {
    const relay = await startRelay()
    const hidden = await startHidden(relay)
    const asker = await startAsker(relay, { peers: hidden.network.addresses() })
    await until(() => asker.network.peer(hidden.network.id) !== undefined)
    expect([...asker.network.peer(hidden.network.id)!.sources]).toEqual(["configured"])
  })

  test("carries requests of both sides, from the moment that they are connected", async () => {
    const relay = await startRelay()
    const hidden = await startHidden(relay)
    const asker = await startAsker(relay)
    const answers: number[] = []
    for (const { network } of [hidden, asker]) {
      network.onRequest("/test/1", async (body) => body)
      network.onConnect(async ({ id }) => {
        if (id === relay.network.id) return
        const answer = await network.request(id, "/test/1", Uint8Array.of(7), withSignal())
        answers.push(...answer)
      })
    }
    await asker.network.dial(hidden.network.addresses()[0]!, withSignal())
    await until(() => answers.length === 2)
  })

  test("leads to a node that was found in the DHT and was known to nobody before", async () => {
    const relay = await startRelay()
    const hidden = await startHidden(relay)
    hidden.network.onRequest("/test/1", async (body) => body)
    const asker = await startAsker(relay)
    await until(() => asker.network.peer(relay.network.id) !== undefined)
    const key = new Uint8Array(32).fill(5)
    const findOne = async () => {
      // The DHT knows its neighbours a moment after they are connected.
      await hidden.network.provide(key, withSignal())
      for await (const id of asker.network.findProviders(key, withSignal())) return id
      return undefined
    }
    let found: PeerId | undefined
    while (found === undefined) found = await findOne()
    expect(found).toBe(hidden.network.id)
    const answer = await asker.network.request(found, "/test/1", Uint8Array.of(9), withSignal())
    expect([...answer]).toEqual([9])
  })

  test("serves nobody but whom it is told to: a stranger gets neither a place nor a way", async () => {
    const relay = await startRelay()
    const hidden = await startHidden(relay)
    const address = hidden.network.addresses()[0]!
    const stranger = await startNode({ listen: [], relays: [relay.address] })
    await until(() => stranger.network.peer(relay.network.id) !== undefined)
    await new Promise((resolve) => setTimeout(resolve, REFUSED_MS))
    expect(stranger.network.addresses()).toEqual([])
    await expect(stranger.network.dial(address, withSignal())).rejects.toMatchObject({
      code: "PEER_UNREACHABLE",
    })
    expect(hidden.network.peer(stranger.network.id)).toBeUndefined()
    expect(relay.metrics.value("sealift_net_relay_places")).toBe(1)
  })

  test("does not lead those it serves to whom it serves no more, nor to a banned peer", async () => {
    const relay = await startRelay()
    const hidden = await startHidden(relay)
    const asker = await startAsker(relay)
    await until(() => asker.network.peer(relay.network.id) !== undefined)
    const address = hidden.network.addresses()[0]!
    relay.served.delete(hidden.network.id)
    await expect(asker.network.dial(address, withSignal())).rejects.toMatchObject({
      code: "PEER_UNREACHABLE",
    })
    relay.served.add(hidden.network.id)
    await hidden.network.ban(asker.network.id, "test", 60_000)
    await expect(asker.network.dial(address, withSignal())).rejects.toMatchObject({
      code: "PEER_UNREACHABLE",
    })
  })

  test("is not served by a node that is no relay", async () => {
    const plain = await startNode()
    const address = plain.network.addresses()[0]!
    const node = await startNode({ listen: [], relays: [address] })
    await until(() => node.network.peer(plain.network.id) !== undefined)
    await new Promise((resolve) => setTimeout(resolve, REFUSED_MS))
    expect(node.network.addresses()).toEqual([])
  })

  test("is left by nobody for good: its place is taken again after it was away", async () => {
    const identity = createIdentity()
    const relay = await startRelay({ identity })
    const hidden = await startHidden(relay)
    await relay.network.stop()
    await until(() => hidden.network.addresses().length === 0)
    const listen = [relay.address.split("/p2p/")[0]!]
    const again = await startRelay({ identity, listen })
    again.served.add(hidden.network.id)
    await until(() => hidden.network.addresses().length > 0)
    expect(again.metrics.value("sealift_net_relay_places")).toBe(1)
  })

  test("cannot bring connections to a node that did not name it", async () => {
    const relay = await startRelay()
    const other = await startRelay()
    const hidden = await startHidden(relay, { peers: [other.address] })
    const asker = await startAsker(other)
    other.served.add(hidden.network.id)
    await until(() => other.network.peer(hidden.network.id) !== undefined)
    const address = `${other.address}/p2p-circuit/p2p/${hidden.network.id}`
    await expect(asker.network.dial(address, withSignal())).rejects.toMatchObject({
      code: "PEER_UNREACHABLE",
    })
    expect(hidden.network.addresses().some((text) => text.includes(other.network.id))).toBe(false)
  })

  test("is believed no more than a stranger: its source is relay, not configured", async () => {
    const relay = await startRelay()
    const hidden = await startHidden(relay)
    const peer = hidden.network.peer(relay.network.id)
    expect([...peer!.sources]).toEqual(["relay"])
  })

  test("carries bulk at its rate and no faster, both ways together", async () => {
    const relay = await startRelay()
    const hidden = await startHidden(relay, { isTlsUsed: false })
    const asker = await startAsker(relay, { isTlsUsed: false })
    const seconds = await carry(hidden, asker, 2 * BULK_BYTES)
    // The last window that a stream lets through is borrowed, and nobody waits for it any more.
    expect((2 * BULK_BYTES) / seconds).toBeLessThan(1.5 * RATE)
    expect((2 * BULK_BYTES) / seconds).toBeGreaterThan(0.25 * RATE)
    expect(relay.metrics.value("sealift_net_relay_bytes_total")).toBeGreaterThan(2 * BULK_BYTES)
  })

  test("keeps little in memory for a reader that does not read", async () => {
    const relay = await startRelay({
      relay: { isServed: () => true, bytesPerSecond: 1024 * RATE },
    })
    const hidden = await startHidden(relay, { isTlsUsed: false })
    const asker = await startAsker(relay, { isTlsUsed: false })
    const got = Promise.withResolvers<Channel>()
    hidden.network.onChannel(got.resolve)
    await asker.network.dial(hidden.network.addresses()[0]!, withSignal())
    const channel = await asker.network.openChannel(hidden.network.id, withSignal())
    await got.promise
    let isWritten = false
    channel.duplex.write(new Uint8Array(16 * BULK_BYTES), () => {
      isWritten = true
    })
    const relayed = () => relay.metrics.value("sealift_net_relay_bytes_total")
    let before = -1
    while (relayed() !== before) {
      before = relayed()
      await new Promise((resolve) => setTimeout(resolve, REFUSED_MS))
    }
    expect(isWritten).toBe(false)
    expect(relayed()).toBeLessThan(8 * BULK_BYTES)
  })

  test("is spared by its members: what they send through it keeps to a rate of theirs", async () => {
    const relay = await startRelay({
      relay: { isServed: () => true, bytesPerSecond: 1024 * RATE },
    })
    const members = { isTlsUsed: false, relayedBytesPerSecond: RATE }
    const hidden = await startHidden(relay, members)
    const asker = await startAsker(relay, members)
    const seconds = await carry(hidden, asker, BULK_BYTES)
    expect(BULK_BYTES / seconds).toBeLessThan(1.1 * RATE)
    expect(BULK_BYTES / seconds).toBeGreaterThan(0.25 * RATE)
    const sent = asker.metrics.value("sealift_net_relayed_channel_bytes_total")
    expect(sent).toBe(BULK_BYTES)
  })
})
