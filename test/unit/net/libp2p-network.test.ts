import { randomBytes } from "node:crypto"
import dgram from "node:dgram"
import { once } from "node:events"
import net from "node:net"
import { networkInterfaces } from "node:os"
import { describe, expect, test } from "vitest"
import { createIdentity } from "../../../src/net/identity.ts"
import type { Channel, PeerNetwork } from "../../../src/net/net.ts"
import type { PeerMemory } from "../../../src/net/peer-book.ts"
import { TestAdmission } from "../../support/test-fleet.ts"
import {
  endpointOfNode,
  LOOPBACK,
  listen,
  startNode,
  type TestNode,
  until,
  withSignal,
} from "./support.ts"

const PROTOCOL = "/sealift/test/1"

async function pair(): Promise<[TestNode, TestNode]> {
  const [left, right] = [await startNode(), await startNode()]
  await left.network.dial(right.network.addresses()[0]!, withSignal())
  return [left, right]
}

const isConnected = (from: PeerNetwork, to: PeerNetwork) => from.peer(to.id) !== undefined

describe("addresses", () => {
  test("are the real ones, on both IP versions, each with the peer id", async () => {
    const { network } = await startNode({ listen: [LOOPBACK, "/ip6/::1/tcp/0"] })
    const shapes = network.addresses().map((address) => address.replace(/tcp\/[1-9]\d*/, "tcp/N"))
    expect(shapes).toEqual([
      `/ip4/127.0.0.1/tcp/N/p2p/${network.id}`,
      `/ip6/::1/tcp/N/p2p/${network.id}`,
    ])
    const other = await startNode()
    await other.network.dial(network.addresses()[1]!, withSignal())
    expect(isConnected(other.network, network)).toBe(true)
  })

  test("stand for every interface when the node listens on all", async () => {
    const { network } = await startNode({ isLan: true, listen: ["/ip4/0.0.0.0/tcp/0"] })
    const hosts = network.addresses().map((address) => address.split("/")[2])
    const own = Object.values(networkInterfaces())
      .flatMap((all) => all ?? [])
      .filter(({ family }) => family === "IPv4")
      .map(({ address }) => address)
    expect(hosts.toSorted()).toEqual(own.toSorted())
  })

  test("are told to others, so that a node can be found by its id alone", async () => {
    const [left, right] = await pair()
    await until(() => right.network.peer(left.network.id)!.addresses.length > 0)
    await left.network.disconnect(right.network.id)
    await until(() => !isConnected(right.network, left.network))
    await right.network.dial(left.network.id, withSignal())
    expect(isConnected(left.network, right.network)).toBe(true)
  })

  test("that are taken are refused with the cure", async () => {
    const { network } = await startNode()
    const { port } = endpointOfNode(network)
    const starting = startNode({ listen: [LOOPBACK, `/ip4/127.0.0.1/tcp/${port}`] })
    await expect(starting).rejects.toMatchObject({
      code: "ADDRESS_IN_USE",
      message: expect.stringMatching(`127.0.0.1 port ${port} is taken: .*--p2p`),
    })
  })

  test.each([
    ["nonsense", "not a multiaddr"],
    ["/ip4/127.0.0.1/udp/0", "not an IP and TCP port"],
    ["/ip4/192.0.2.1/tcp/0", "not loopback"],
    ["/ip4/0.0.0.0/tcp/0", "not loopback"],
    ["/ip6/::/tcp/0", "not loopback"],
  ])("refuse %s without --lan: %s", async (address, message) => {
    await expect(startNode({ listen: [address] })).rejects.toMatchObject({
      code: "ADDRESS_INVALID",
      message: expect.stringContaining(message),
    })
  })

  test("that exclude each other are refused, and leave no node behind", async () => {
    const free = net.createServer()
    const port = await listen(free)
    await new Promise((resolve) => free.close(resolve))
    const both = [`/ip4/127.0.0.1/tcp/${port}`, `/ip4/0.0.0.0/tcp/${port}`]
    await expect(startNode({ isLan: true, listen: both })).rejects.toMatchObject({
      code: "ADDRESS_INVALID",
    })
    await startNode({ listen: [both[0]!, both[0]!] })
  })

  test("of another machine are refused", async () => {
    await expect(
      startNode({ isLan: true, listen: ["/ip4/192.0.2.1/tcp/0"] }),
    ).rejects.toMatchObject({ code: "ADDRESS_INVALID" })
  })
})

describe("dialling", () => {
  test("goes no further than loopback without --lan", async () => {
    const { network } = await startNode()
    const { id } = createIdentity()
    const started = performance.now()
    await expect(
      network.dial(`/ip4/192.0.2.1/tcp/7071/p2p/${id}`, withSignal()),
    ).rejects.toMatchObject({ code: "PEER_UNREACHABLE" })
    // Refused, not timed out.
    expect(performance.now() - started).toBeLessThan(1_000)
  })

  test("refuses itself, other kinds of keys and addresses without a port", async () => {
    const { network } = await startNode()
    const rsa = "QmNnooDu7bfjPFoTZYxMNLWUQJyrVwtbZg5gBMjTezGAJN"
    for (const target of [network.id, network.addresses()[0]!, rsa, "/ip4/127.0.0.1"]) {
      await expect(network.dial(target, withSignal())).rejects.toMatchObject({
        code: "ADDRESS_INVALID",
      })
    }
  })

  test("fails when another peer answers than was named", async () => {
    const [{ network }, other] = [await startNode(), await startNode()]
    const { id } = createIdentity()
    const address = other.network.addresses()[0]!.replace(/p2p\/.*/, `p2p/${id}`)
    await expect(network.dial(address, withSignal())).rejects.toMatchObject({
      code: "PEER_UNREACHABLE",
    })
    expect(network.peers()).toEqual([])
  })

  test("ends with the signal's own reason", async () => {
    const silent = net.createServer((socket) => socket.resume())
    const port = await listen(silent)
    const { network } = await startNode()
    const reason = new Error("enough")
    const controller = new AbortController()
    setTimeout(() => controller.abort(reason), 30)
    const dialling = network.dial(`/ip4/127.0.0.1/tcp/${port}`, controller)
    await expect(dialling).rejects.toBe(reason)
    silent.close()
  })

  test("may go both ways and several times at once", async () => {
    const [left, right] = [await startNode(), await startNode()]
    const dials = Array.from({ length: 4 }, () => [
      left.network.dial(right.network.addresses()[0]!, withSignal()),
      right.network.dial(left.network.addresses()[0]!, withSignal()),
    ])
    const found = new Set(await Promise.all(dials.flat()))
    expect(found).toEqual(new Set([left.network.id, right.network.id]))
  })

  test("measures the round trip", async () => {
    const [left, right] = await pair()
    expect(left.network.peer(right.network.id)?.roundTripMs).toBeGreaterThanOrEqual(0)
  })
})

describe("configured peers", () => {
  test("are connected at start, believed as such, and dialled again when they come back", async () => {
    const identity = createIdentity()
    const first = await startNode({ identity })
    const { port } = endpointOfNode(first.network)
    const address = `/ip4/127.0.0.1/tcp/${port}/p2p/${identity.id}`
    const { network } = await startNode({ peers: [address] })
    await until(() => isConnected(network, first.network) && isConnected(first.network, network))
    expect(network.peer(identity.id)?.sources).toEqual(new Set(["configured"]))
    expect(first.network.peer(network.id)?.sources).toEqual(new Set(["inbound"]))
    await first.network.stop()
    await until(() => network.peers().length === 0)
    await startNode({ identity, listen: [`/ip4/127.0.0.1/tcp/${port}`] })
    await until(() => network.peers().length === 1)
  })

  test("may be named without their id", async () => {
    const other = await startNode()
    const address = other.network.addresses()[0]!.replace(/\/p2p\/.*/, "")
    const { network } = await startNode({ peers: [address] })
    await until(() => network.peer(other.network.id)?.sources.has("configured") === true)
  })

  test.each([
    "host:7071",
    "/ip4/127.0.0.1",
    "/ip4/127.0.0.1/tcp/1/p2p/QmNnooDu7bfjPFoTZYxMNLWUQJyrVwtbZg5gBMjTezGAJN",
  ])("that cannot be used stop the start: %s", async (peer) => {
    await expect(startNode({ peers: [peer] })).rejects.toMatchObject({ code: "ADDRESS_INVALID" })
  })
})

describe("remembered peers", () => {
  class Memory implements PeerMemory {
    saved: readonly string[]
    constructor(saved: readonly string[]) {
      this.saved = saved
    }
    async load(): Promise<readonly string[]> {
      return this.saved
    }
    async save(addresses: readonly string[]): Promise<void> {
      this.saved = addresses
    }
  }

  test("are saved when the node stops and connected when it starts again", async () => {
    const other = await startNode()
    const memory = new Memory([])
    const before = await startNode({}, memory)
    await before.network.dial(other.network.addresses()[0]!, withSignal())
    await until(() => before.network.peer(other.network.id)!.addresses.length > 0)
    await before.network.stop()
    expect(memory.saved).toEqual([...other.network.addresses()])
    const after = await startNode({}, memory)
    await until(() => isConnected(after.network, other.network))
    expect(after.network.peer(other.network.id)?.sources).toEqual(new Set(["remembered"]))
  })

  test("stay remembered when they are away, and what is unreadable is left out", async () => {
    const { id } = createIdentity()
    const away = `/ip4/127.0.0.1/tcp/9/p2p/${id}`
    const memory = new Memory([away, "not a multiaddr", "/ip4/127.0.0.1/tcp/9"])
    const { network } = await startNode({}, memory)
    await network.stop()
    expect(memory.saved).toEqual([away])
  })
})

describe("mDNS", () => {
  test("finds a node on the same machine", async ({ skip }) => {
    const port = await freeUdpPort()
    if (!(await canMulticast(port))) skip("no multicast on this machine: mDNS is NOT tested here")
    const options = { isLan: true, mdns: true, mdnsPort: port, listen: ["/ip4/127.0.0.1/tcp/0"] }
    const [left, right] = [await startNode(options), await startNode(options)]
    await until(() => isConnected(left.network, right.network))
    await until(() => isConnected(right.network, left.network))
    const ids = [left, right].map(({ network }) => network)
    const seen = ids.flatMap((node, index) => [...node.peer(ids[1 - index]!.id)!.sources])
    expect(seen).toContain("mdns")
  })

  test("leads to nobody whom the fleet does not admit", async ({ skip }) => {
    const port = await freeUdpPort()
    if (!(await canMulticast(port))) skip("no multicast on this machine: mDNS is NOT tested here")
    const options = { isLan: true, mdns: true, mdnsPort: port, listen: [LOOPBACK] }
    const [member, stranger] = [await startNode(options), await startNode(options)]
    const admission = new TestAdmission({ members: [member.network.id] })
    const node = await startNode({ ...options, admission })
    await until(() => isConnected(node.network, member.network))
    await until(() => isConnected(stranger.network, member.network))
    expect(node.network.peers().map(({ id }) => id)).toEqual([member.network.id])
    admission.members.add(stranger.network.id)
    await node.network.dial(stranger.network.addresses()[0]!, withSignal())
    await until(() => node.network.peer(stranger.network.id)!.sources.has("mdns"))
  })

  async function freeUdpPort(): Promise<number> {
    const socket = dgram.createSocket("udp4").bind(0)
    await once(socket, "listening")
    const { port } = socket.address()
    socket.close()
    return port
  }

  async function canMulticast(port: number): Promise<boolean> {
    const socket = dgram.createSocket({ type: "udp4", reuseAddr: true }).bind(port)
    try {
      await once(socket, "listening")
      socket.addMembership("224.0.0.251")
      const heard = once(socket, "message", { signal: AbortSignal.timeout(500) })
      socket.send("test", port, "224.0.0.251")
      await heard
      return true
    } catch {
      // No route, no permission or no echo: there is nothing to test with.
      return false
    } finally {
      socket.close()
    }
  }
})

describe("requests", () => {
  test("use one stream however many there are", async () => {
    const [left, right] = await pair()
    right.network.onRequest(PROTOCOL, async (body) => body)
    for (let count = 0; count < 50; count++) {
      await left.network.request(right.network.id, PROTOCOL, new Uint8Array(1), withSignal())
    }
    expect(
      left.metrics.value("sealift_net_requests_total", { direction: "out", outcome: "answer" }),
    ).toBe(50)
    expect(
      right.metrics.value("sealift_net_requests_total", { direction: "in", outcome: "answer" }),
    ).toBe(50)
  })

  test("dial a peer whose address is known", async () => {
    const [left, right] = await pair()
    right.network.onRequest(PROTOCOL, async (body) => body)
    await left.network.disconnect(right.network.id)
    await until(() => left.network.peers().length === 0)
    await left.network.request(right.network.id, PROTOCOL, new Uint8Array(1), withSignal())
    expect(isConnected(left.network, right.network)).toBe(true)
  })

  test("run at most 64 of one peer at once, and all come to their turn", async () => {
    const [left, right] = await pair()
    let running = 0
    let release = () => {}
    const held = new Promise<void>((resolve) => {
      release = resolve
    })
    right.network.onRequest(PROTOCOL, async (body) => {
      running++
      await held
      return body
    })
    const asked = Array.from({ length: 300 }, () =>
      left.network.request(right.network.id, PROTOCOL, new Uint8Array(1), withSignal()),
    )
    await until(() => running === 64)
    await new Promise((resolve) => setTimeout(resolve, 50))
    expect(running).toBe(64)
    release()
    await Promise.all(asked)
    expect(running).toBe(300)
  })

  test("of a handler that is replaced go to the new one", async () => {
    const [left, right] = await pair()
    right.network.onRequest(PROTOCOL, async () => Uint8Array.of(1))
    right.network.onRequest(PROTOCOL, async () => Uint8Array.of(2))
    const answer = await left.network.request(
      right.network.id,
      PROTOCOL,
      new Uint8Array(),
      withSignal(),
    )
    expect([...answer]).toEqual([2])
  })
})

describe("data channels", () => {
  async function open(left: TestNode, right: TestNode): Promise<[Channel, Channel]> {
    const taken = new Promise<Channel>((resolve) => right.network.onChannel(resolve))
    const opened = await left.network.openChannel(right.network.id, withSignal())
    return [opened, await taken]
  }

  test("run over TLS on the port of libp2p itself", async () => {
    const [left, right] = await pair()
    const [opened] = await open(left, right)
    expect(opened.kind).toBe("tls")
    const socket = opened.duplex
    expect(socket).toMatchObject({ remotePort: endpointOfNode(right.network).port })
    expect(left.metrics.value("sealift_net_channels_tls")).toBe(1)
    expect(
      right.metrics.value("sealift_net_channels_total", { kind: "tls", direction: "in" }),
    ).toBe(1)
  })

  test("run over TLS in the other direction of the connection too", async () => {
    const [left, right] = await pair()
    const [opened] = await open(right, left)
    expect(opened.kind).toBe("tls")
  })

  test.each([
    ["an address that does not answer TLS", true],
    ["no address that can be tried", false],
  ])("fall back to a libp2p stream when there is %s", async (_case, isOutbound) => {
    const [left, right] = [await startNode(), await startNode({ isTlsUsed: false })]
    const [from, to] = isOutbound ? [left, right] : [right, left]
    await from.network.dial(to.network.addresses()[0]!, withSignal())
    const [opened, taken] = await open(left, right)
    expect([opened.kind, taken.kind]).toEqual(["libp2p", "libp2p"])
    const sent = randomBytes(2_000_000)
    taken.duplex.end(sent)
    const chunks: Uint8Array[] = []
    for await (const chunk of opened.duplex) chunks.push(chunk as Uint8Array)
    expect(sent.equals(Buffer.concat(chunks))).toBe(true)
  })

  test("end with the connection of their peer", async () => {
    const [left, right] = await pair()
    const [opened, taken] = await open(left, right)
    const ended = [opened, taken].map(
      ({ duplex }) => new Promise((resolve) => duplex.resume().once("close", resolve)),
    )
    await left.network.disconnect(right.network.id)
    await Promise.all(ended)
    expect(left.metrics.value("sealift_net_channels_tls")).toBe(0)
  })

  test("are bounded per peer", async () => {
    const [left, right] = await pair()
    right.network.onChannel(() => {})
    for (let count = 0; count < 8; count++) {
      await left.network.openChannel(right.network.id, withSignal())
    }
    await expect(left.network.openChannel(right.network.id, withSignal())).rejects.toMatchObject({
      code: "TICKET_INVALID",
    })
  })

  test("end with the signal's own reason", async () => {
    const [left, right] = await pair()
    right.network.onChannel(() => {})
    const reason = new Error("enough")
    await expect(
      left.network.openChannel(right.network.id, { signal: AbortSignal.abort(reason) }),
    ).rejects.toBe(reason)
  })
})

describe("stopping", () => {
  test("is quick with peers, channels and requests under way, and leaves no socket", async () => {
    // Tests of other files may have run in this process, and have left some that are reused.
    const sockets = () => process.getActiveResourcesInfo().filter((name) => /^TCP|^TLS/.test(name))
    const before = sockets().length
    const [left, right] = await pair()
    right.network.onChannel(() => {})
    right.network.onRequest(PROTOCOL, () => new Promise(() => {}))
    await left.network.openChannel(right.network.id, withSignal())
    const asked = left.network
      .request(right.network.id, PROTOCOL, new Uint8Array(), withSignal())
      .catch((error: unknown) => error)
    const silent = net.connect(endpointOfNode(right.network)).on("error", () => {})
    await once(silent, "connect")
    const started = performance.now()
    await Promise.all([left.network.stop(), right.network.stop()])
    expect(performance.now() - started).toBeLessThan(2_000)
    expect(await asked).toMatchObject({ code: "PEER_UNREACHABLE" })
    silent.destroy()
    await until(() => sockets().length <= before)
  })

  test("frees the port", async () => {
    const first = await startNode()
    const { port } = endpointOfNode(first.network)
    await first.network.stop()
    const second = await startNode({ listen: [`/ip4/127.0.0.1/tcp/${port}`] })
    expect(endpointOfNode(second.network).port).toBe(port)
  })
})
