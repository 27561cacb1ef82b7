/** What a fleet's node lets through over libp2p; what every adapter does is in test/contract. */
import net from "node:net"
import { networkInterfaces } from "node:os"
import { describe, expect, test } from "vitest"
import { systemClock } from "../../../src/core/clock.ts"
import { createIdentity } from "../../../src/net/identity.ts"
import type { Libp2pOptions } from "../../../src/net/libp2p-network.ts"
import type { PeerId } from "../../../src/net/net.ts"
import { encodeTicket, parseTicket, TicketBook } from "../../../src/net/ticket.ts"
import { openTlsSocket, TicketDoor } from "../../../src/net/tls-channel.ts"
import { TlsAcceptor } from "../../../src/net/tls-socket.ts"
import { TestAdmission } from "../../support/test-fleet.ts"
import { endpointOfNode, listen, startNode, type TestNode, until, withSignal } from "./support.ts"

const unreachable = { code: "PEER_UNREACHABLE" }
const KEPT_MAX = 256
/** A place that is refused would have been given long before. */
const REFUSED_MS = 300

/** An address of this machine that is not loopback; undefined on one that has none. */
const ownHost = Object.values(networkInterfaces())
  .flatMap((all) => all ?? [])
  .find(({ family, internal }) => family === "IPv4" && !internal)?.address

async function startMember(options: Partial<Libp2pOptions> = {}) {
  const admission = new TestAdmission()
  return { ...(await startNode({ admission, ...options })), admission }
}

/** A node of a fleet and one that it admits, connected. */
async function pair() {
  const [node, other] = [await startMember(), await startNode()]
  node.admission.members.add(other.network.id)
  await other.network.dial(node.network.addresses()[0]!, withSignal())
  await until(() => node.network.peer(other.network.id) !== undefined)
  return { node, other }
}

describe("a node of a fleet", () => {
  test("lets in and dials any host, for the identity decides", async ({ skip }) => {
    if (ownHost === undefined) skip("no address but loopback on this machine")
    const open = await startNode({ isLan: true, listen: [`/ip4/${ownHost}/tcp/0`] })
    const node = await startMember()
    const [address] = open.network.addresses()
    await expect(node.network.dial(address!, withSignal())).rejects.toMatchObject(unreachable)
    node.admission.members.add(open.network.id)
    await node.network.dial(address!, withSignal())
    node.admission.isIn = false
    await node.network.disconnect(open.network.id)
    await until(() => node.network.peers().length === 0)
    await expect(node.network.dial(address!, withSignal())).rejects.toMatchObject(unreachable)
  })

  test("starts on every interface without being told of its LAN, and no other node does", async () => {
    const { network } = await startMember({ listen: ["/ip4/0.0.0.0/tcp/0"] })
    expect(network.addresses()).not.toEqual([])
    const stranger = startNode({ listen: ["/ip4/0.0.0.0/tcp/0"] })
    await expect(stranger).rejects.toMatchObject({ code: "ADDRESS_INVALID" })
  })

  test("closes a connection whose peer was dropped from the fleet while it was made", async () => {
    let asked = 0
    const admission = { isFleet: () => true, isAdmitted: () => asked++ === 0 }
    const [node, other] = [await startNode({ admission }), await startNode()]
    const seen: PeerId[] = []
    node.network.onConnect(({ id }) => seen.push(id))
    const dialling = other.network.dial(node.network.addresses()[0]!, withSignal())
    await expect(dialling).rejects.toMatchObject(unreachable)
    expect(asked).toBeGreaterThan(1)
    expect([seen, node.network.peers()]).toEqual([[], []])
  })

  test("takes no request from who is dropped, even before it is cut", async () => {
    const { node, other } = await pair()
    let asked = 0
    node.network.onRequest("/sealift/test/1", async (body) => {
      asked++
      return body
    })
    node.admission.members.clear()
    const body = new Uint8Array()
    const request = other.network.request(node.network.id, "/sealift/test/1", body, withSignal())
    await expect(request).rejects.toMatchObject(unreachable)
    expect(asked).toBe(0)
  })

  test("takes back the tickets of who is cut", async () => {
    const { node, other } = await pair()
    node.network.onChannel(() => {})
    const ask = () =>
      other.network.request(node.network.id, "/sealift/channel/1", new Uint8Array(), withSignal())
    const ticket = parseTicket(await ask())
    node.admission.members.clear()
    await node.network.recheck()
    const endpoint = endpointOfNode(node.network)
    const peers = { seeder: node.network.id, fetcher: other.network.id }
    const opening = openTlsSocket({ endpoint, ticket }, peers, withSignal())
    await expect(opening).rejects.toMatchObject({ code: "TICKET_INVALID" })
  })

  test("opens no channel to who is cut meanwhile", async () => {
    const { node, other } = await pair()
    const clock = systemClock
    const tickets = new TicketBook(clock)
    const self = other.network.id
    const onChannel = (_peer: PeerId, socket: net.Socket) => socket.resume()
    const door = new TicketDoor({ tickets }, { self, onChannel })
    const acceptor = new TlsAcceptor({ clock, doors: [door] })
    const server = net.createServer(async (socket) => {
      node.admission.members.clear()
      await node.network.recheck()
      acceptor.accept(socket)
    })
    const address = `/ip4/127.0.0.1/tcp/${await listen(server)}`
    const ticket = encodeTicket(tickets.issue(node.network.id, [address]))
    other.network.onRequest("/sealift/channel/1", async () => ticket)
    const opening = node.network.openChannel(self, withSignal())
    await expect(opening).rejects.toMatchObject(unreachable)
    expect(node.metrics.value("sealift_net_channels_tls")).toBe(0)
    server.close()
  })
})

describe("a relay of a fleet", () => {
  async function startRelay() {
    const admission = new TestAdmission()
    const relay = { isServed: () => true, bytesPerSecond: 1024 * 1024 }
    const node = await startNode({ admission, relay })
    return { ...node, admission, address: node.network.addresses()[0]! }
  }

  /** A node that can be reached through the relay only. */
  async function startHidden(address: string, options: Partial<Libp2pOptions>): Promise<TestNode> {
    return startNode({ listen: [], relays: [address], ...options })
  }

  test("keeps no place for a stranger, though it would serve everybody", async () => {
    const relay = await startRelay()
    const [member, stranger] = [createIdentity(), createIdentity()]
    relay.admission.members.add(member.id)
    const shunned = await startHidden(relay.address, { identity: stranger })
    const reachable = await startHidden(relay.address, { identity: member })
    await until(() => reachable.network.addresses().length > 0)
    await new Promise((resolve) => setTimeout(resolve, REFUSED_MS))
    expect(shunned.network.addresses()).toEqual([])
    expect(relay.metrics.value("sealift_net_relay_places")).toBe(1)
  })

  test("brings no stranger to a member, and is itself shunned once it is a stranger", async () => {
    const relay = await startRelay()
    relay.admission.isIn = false
    const admission = new TestAdmission({ members: [relay.network.id] })
    const member = await startHidden(relay.address, { admission })
    await until(() => member.network.addresses().length > 0)
    const [address] = member.network.addresses()
    const asker = await startNode({ listen: [] })
    await expect(asker.network.dial(address!, withSignal())).rejects.toMatchObject(unreachable)
    admission.members.add(asker.network.id)
    await asker.network.dial(address!, withSignal())
    await until(() => member.network.peers().length === 2)
    admission.members.delete(relay.network.id)
    await member.network.recheck()
    const isCut = () => asker.network.peer(member.network.id) === undefined
    await until(() => isCut() && member.network.peers().length === 0)
    await expect(asker.network.dial(address!, withSignal())).rejects.toMatchObject(unreachable)
  })
})

describe("peers that are kept", () => {
  test("may be on a host that was not allowed before", async ({ skip }) => {
    if (ownHost === undefined) skip("no address but loopback on this machine")
    const open = await startNode({ isLan: true, listen: [`/ip4/${ownHost}/tcp/0`] })
    const node = await startNode()
    node.network.keep(open.network.addresses()[0]!)
    await until(() => node.network.peer(open.network.id) !== undefined)
  })

  test("are bounded", async () => {
    const [node, other] = [await startNode(), await startNode()]
    for (let count = 0; count < KEPT_MAX; count++) {
      node.network.keep(`/ip4/127.0.0.1/tcp/1/p2p/${createIdentity().id}`)
    }
    const address = other.network.addresses()[0]!
    node.network.keep(address)
    await new Promise((resolve) => setTimeout(resolve, REFUSED_MS))
    expect(node.network.peers()).toEqual([])
    // Beside the dials of all that are kept it takes its time on a busy machine.
    await node.network.dial(address, withSignal(15_000))
  })
})

describe("listening later", () => {
  test("opens a loopback node to its LAN on the same port, once", async ({ skip }) => {
    if (ownHost === undefined) skip("no address but loopback on this machine")
    const node = await startMember()
    const { port } = endpointOfNode(node.network)
    await node.network.listen([`/ip4/0.0.0.0/tcp/${port}`])
    const address = `/ip4/${ownHost}/tcp/${port}/p2p/${node.network.id}`
    expect(node.network.addresses()).toContain(address)
    await node.network.listen([`/ip4/0.0.0.0/tcp/${port}`, `/ip4/127.0.0.1/tcp/${port}`])
    expect(new Set(node.network.addresses()).size).toBe(node.network.addresses().length)
    const other = await startNode({ isLan: true })
    node.admission.members.add(other.network.id)
    await other.network.dial(address, withSignal())
  })

  test("refuses what the node may not or cannot listen on", async () => {
    const [node, other] = [await startNode(), await startNode()]
    await expect(node.network.listen(["/ip4/0.0.0.0/tcp/0"])).rejects.toMatchObject({
      code: "ADDRESS_INVALID",
    })
    const { port } = endpointOfNode(other.network)
    await expect(node.network.listen([`/ip4/127.0.0.1/tcp/${port}`])).rejects.toMatchObject({
      code: "ADDRESS_IN_USE",
    })
  })
})
