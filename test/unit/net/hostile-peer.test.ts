/** A peer that speaks libp2p well and Sealift badly, against a true node. */
import { once } from "node:events"
import { connect } from "node:net"
import { generateKeyPair } from "@libp2p/crypto/keys"
import { identify } from "@libp2p/identify"
import type { Stream } from "@libp2p/interface"
import { noise } from "@libp2p/noise"
import { peerIdFromString } from "@libp2p/peer-id"
import { ping } from "@libp2p/ping"
import { tcp } from "@libp2p/tcp"
import { yamux } from "@libp2p/yamux"
import { multiaddr } from "@multiformats/multiaddr"
import { createLibp2p, type Libp2p } from "libp2p"
import { afterEach, describe, expect, test } from "vitest"
import { endpointOf, parseAddress } from "../../../src/net/address.ts"
import type { PeerNetwork } from "../../../src/net/net.ts"
import { encodeFrame, type Frame } from "../../../src/net/request-frame.ts"
import { startNode, until, withSignal } from "./support.ts"

const PROTOCOL = "/sealift/test/1"
const peers: Libp2p[] = []
afterEach(async () => {
  await Promise.all(peers.splice(0).map((peer) => peer.stop()))
})

async function hostilePeer(type: "Ed25519" | "secp256k1" = "Ed25519"): Promise<Libp2p> {
  const peer = await createLibp2p({
    privateKey: type === "Ed25519" ? await generateKeyPair(type) : await generateKeyPair(type),
    addresses: { listen: ["/ip4/127.0.0.1/tcp/0"] },
    transports: [tcp()],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()],
    services: { identify: identify(), ping: ping() },
  })
  peers.push(peer)
  return peer
}

/** The node under attack, and a peer that is connected to it. */
async function attack(): Promise<{ network: PeerNetwork; peer: Libp2p; id: string }> {
  const [{ network }, peer] = [await startNode(), await hostilePeer()]
  await peer.dial(multiaddr(network.addresses()[0]!))
  const id = peer.peerId.toString()
  await until(() => network.peer(id) !== undefined)
  return { network, peer, id }
}

const frame = (kind: Frame["kind"], id: number, body = new Uint8Array()): Uint8Array =>
  encodeFrame({ kind, id, body })

async function openStream(peer: Libp2p, network: PeerNetwork): Promise<Stream> {
  return peer.dialProtocol(peerIdFromString(network.id), PROTOCOL)
}

const closed = (stream: Stream): Promise<void> =>
  new Promise((resolve) => stream.addEventListener("close", () => resolve()))

test("a host that begins many connections and says no more keeps no other one out", async () => {
  const [{ network }, other] = [await startNode(), await startNode()]
  const address = network.addresses()[0]!
  const { port } = endpointOf(parseAddress(address))!
  const target = { port, host: "127.0.0.1", localAddress: "127.0.0.2" }
  const strangers = Array.from({ length: 96 }, () => {
    const socket = connect(target).on("error", () => {})
    socket.write("\x13/multistream/1.0.0\n")
    return socket.resume()
  })
  // libp2p answers at once, and waits for them then.
  await until(() => strangers.filter(({ bytesRead }) => bytesRead > 0).length >= 60)
  await other.network.dial(address)
  for (const socket of strangers) socket.destroy()
})

describe("a peer that is dialled", () => {
  test("and takes the proof of the connection, then closes, is unreachable at once", async () => {
    const [{ network }, peer] = [await startNode(), await hostilePeer()]
    await peer.unhandle("/ipfs/ping/1.0.0")
    await peer.handle("/ipfs/ping/1.0.0", async (_stream, connection) => {
      // By then the node has sent its ping and waits for nothing but the answer.
      await new Promise((resolve) => setTimeout(resolve, 100))
      await connection.close()
    })
    const dialled = network.dial(peer.getMultiaddrs()[0]!.toString())
    await expect(dialled).rejects.toMatchObject({ code: "PEER_UNREACHABLE" })
  })
})

describe("a peer that asks", () => {
  test.each([
    ["an answer that nobody asked for", frame("answer", 1)],
    ["a frame without a head", Uint8Array.of(0, 0, 0, 1, 0, 0, 0, 0, 0)],
    ["a frame over 4 MiB", Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0)],
    ["an unknown kind", Uint8Array.of(0, 0, 0, 5, 9, 0, 0, 0, 0)],
    ["one id twice", Buffer.concat([frame("request", 1), frame("request", 1)])],
  ])("loses its stream with %s", async (_case, bytes) => {
    const { network, peer, id } = await attack()
    network.onRequest(PROTOCOL, () => new Promise(() => {}))
    const stream = await openStream(peer, network)
    const gone = closed(stream)
    stream.send(bytes)
    await gone
    expect(network.peer(id)).toBeDefined()
  })

  test("loses its stream when it asks without end, and little of it is run", async () => {
    const { network, peer } = await attack()
    let running = 0
    network.onRequest(PROTOCOL, () => {
      running++
      return new Promise(() => {})
    })
    const stream = await openStream(peer, network)
    const gone = closed(stream)
    stream.send(Buffer.concat(Array.from({ length: 5_000 }, (_, id) => frame("request", id))))
    await gone
    expect(running).toBe(64)
  })

  test("and reads no answer is answered no further, until it reads again", async () => {
    const { network, peer } = await attack()
    const answer = new Uint8Array(256 * 1024)
    let count = 0
    network.onRequest(PROTOCOL, async () => {
      count++
      return answer
    })
    const stream = await openStream(peer, network)
    stream.pause()
    let heardBytes = 0
    stream.addEventListener("message", ({ data }) => {
      heardBytes += data.byteLength
    })
    for (let id = 0; id < 400; id++) {
      stream.send(frame("request", id))
      if (id % 20 === 0) await new Promise((resolve) => setTimeout(resolve, 5))
    }
    await new Promise((resolve) => setTimeout(resolve, 200))
    expect(count).toBeLessThan(150)
    stream.resume()
    await until(() => heardBytes === 400 * (answer.length + frame("answer", 0).length))
    expect(count).toBe(400)
  })

  test("stops the work that it gives up, and hears nothing of it", async () => {
    const { network, peer } = await attack()
    const signals: AbortSignal[] = []
    network.onRequest(PROTOCOL, async (body, { signal }) => {
      if (body.length > 0) return body
      signals.push(signal)
      await once(signal, "abort")
      throw signal.reason
    })
    const stream = await openStream(peer, network)
    const heard: Uint8Array[] = []
    stream.addEventListener("message", ({ data }) => heard.push(data.subarray()))
    stream.send(frame("request", 1))
    await until(() => signals.length === 1)
    stream.send(frame("cancel", 1))
    stream.send(frame("cancel", 77))
    await until(() => signals[0]!.aborted)
    stream.send(frame("request", 2, Uint8Array.of(5)))
    await until(() => heard.length === 1)
    expect([...heard[0]!]).toEqual([...frame("answer", 2, Uint8Array.of(5))])
  })

  test("takes its work with it when it leaves", async () => {
    const { network, peer } = await attack()
    const signals: AbortSignal[] = []
    network.onRequest(PROTOCOL, (_body, { signal }) => {
      signals.push(signal)
      return new Promise(() => {})
    })
    const stream = await openStream(peer, network)
    stream.send(frame("request", 1))
    await until(() => signals.length === 1)
    await stream.close()
    await until(() => signals[0]!.aborted)
  })
})

describe("a peer that answers", () => {
  /** Lets the hostile peer answer every piece of bytes on a protocol with these. */
  async function answering(protocol: string, answer: (request: Uint8Array) => Uint8Array) {
    const world = await attack()
    await world.peer.handle(protocol, (stream) => {
      stream.addEventListener("message", ({ data }) => stream.send(answer(data.subarray())))
    })
    return world
  }

  test.each([
    ["with a question", frame("request", 0), "PROTOCOL_VIOLATION"],
    ["out of bounds", Uint8Array.of(0xff, 0, 0, 0, 0, 0, 0, 0, 0), "PROTOCOL_VIOLATION"],
  ])("%s fails the request", async (_case, bytes, code) => {
    const { network, id } = await answering(PROTOCOL, () => bytes)
    const asked = network.request(id, PROTOCOL, new Uint8Array(), withSignal())
    await expect(asked).rejects.toMatchObject({ code })
  })

  test("what nobody asked is not heard", async () => {
    const { network, id } = await answering(PROTOCOL, () =>
      Buffer.concat([frame("answer", 99), frame("answer", 0, Uint8Array.of(1))]),
    )
    const answer = await network.request(id, PROTOCOL, new Uint8Array(), withSignal())
    expect([...answer]).toEqual([1])
  })

  test("with a text in place of a code tells nothing", async () => {
    const { network, id } = await answering(PROTOCOL, () =>
      frame("refusal", 0, Buffer.from("<b>text</b>")),
    )
    const asked = network.request(id, PROTOCOL, new Uint8Array(), withSignal())
    await expect(asked).rejects.toMatchObject({ details: { code: "INTERNAL" } })
  })

  test("and then half-closes fails what is open, and the next request opens anew", async () => {
    const { network, peer, id } = await attack()
    let streams = 0
    await peer.handle(PROTOCOL, (stream) => {
      const isFirst = streams++ === 0
      stream.addEventListener("message", () => {
        if (isFirst) stream.close()
        else stream.send(frame("answer", 0))
      })
    })
    const ask = () => network.request(id, PROTOCOL, new Uint8Array(), withSignal())
    await expect(ask()).rejects.toMatchObject({ code: "PEER_UNREACHABLE" })
    expect((await ask()).length).toBe(0)
  })

  test("with a malformed ticket gets no channel", async () => {
    const { network, id } = await answering("/sealift/channel/1", () =>
      frame("answer", 0, Buffer.from('{"id":"00"}')),
    )
    await expect(network.openChannel(id, withSignal())).rejects.toMatchObject({
      code: "PROTOCOL_VIOLATION",
    })
  })

  test("with a ticket for other hosts makes a loopback node contact none of them", async () => {
    const ticket = {
      id: "00".repeat(16),
      secret: "00".repeat(32),
      addresses: ["/ip4/192.0.2.1/tcp/80", "/dns4/localhost/tcp/80", "/ip4/0.0.0.0/tcp/80"],
      expiresInMs: 1_000,
    }
    const { network, peer, id } = await answering("/sealift/channel/1", () =>
      frame("answer", 0, Buffer.from(JSON.stringify(ticket))),
    )
    await peer.handle("/sealift/wire/1", () => {})
    const started = performance.now()
    const channel = await network.openChannel(id, withSignal())
    expect(channel.kind).toBe("libp2p")
    // Nothing was tried, so nothing timed out.
    expect(performance.now() - started).toBeLessThan(900)
  })
})

describe("a peer with another kind of key", () => {
  test("is not let in, and not dialled", async () => {
    const [{ network }, peer] = [await startNode(), await hostilePeer("secp256k1")]
    await peer.dial(multiaddr(network.addresses()[0]!)).catch(() => {})
    await until(() => peer.getConnections().length === 0)
    expect(network.peers()).toEqual([])
    const address = peer.getMultiaddrs()[0]!.toString()
    await expect(network.dial(address, withSignal())).rejects.toMatchObject({
      code: "ADDRESS_INVALID",
    })
    await expect(
      network.dial(address.replace(/\/p2p\/.*/, ""), withSignal()),
    ).rejects.toMatchObject({ code: "PEER_UNREACHABLE" })
  })
})
