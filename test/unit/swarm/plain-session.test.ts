/** Wire compatibility: webtorrent's `bittorrent-protocol` stands on the other side of a real socket. */
import { createHash, randomBytes } from "node:crypto"
import { once } from "node:events"
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net"
import { Duplex, duplexPair } from "node:stream"
import Protocol, { type Wire } from "bittorrent-protocol"
import { afterEach, describe, expect, test } from "vitest"
import { Bitfield } from "../../../src/core/bitfield.ts"
import { digestOf } from "../../../src/core/digest.ts"
import { pieceLayout, pieceRange } from "../../../src/core/piece.ts"
import { VirtualClock } from "../../../src/core/virtual-clock.ts"
import { type Metainfo, metainfoOf } from "../../../src/swarm/metainfo.ts"
import {
  HANDSHAKE_MS_MAX,
  INCOMING_MAX,
  SESSIONS_PER_HOST_MAX,
} from "../../../src/swarm/plain-port.ts"
import type { RateLimits } from "../../../src/swarm/traffic-class.ts"
import { EXTENDED, encodeHandshake, MESSAGE } from "../../../src/swarm/wire-messages.ts"
import { finish, ingest, join, patternBytes, until } from "../../contract/swarm.ts"
import { type MemoryNode, MemoryWorld } from "./memory-world.ts"

const BLOCK_BYTES = 16_384
const PEER_ID = Buffer.from("-TE0100-abcdefghijkl").toString("hex")
const bytes = patternBytes(700_001)
const digest = digestOf(bytes)

const servers: Server[] = []
afterEach(() => {
  for (const server of servers.splice(0)) server.close()
})

function metainfoOfBytes(contents: Uint8Array): Metainfo {
  const layout = pieceLayout(contents.length)
  const hashes = Array.from({ length: layout.count }, (_, index) => {
    const { start, end } = pieceRange(layout, index)
    return createHash("sha1").update(contents.subarray(start, end)).digest()
  })
  return metainfoOf(digestOf(contents), layout, Buffer.concat(hashes))
}

const infoHash = Buffer.from(metainfoOfBytes(bytes).infoHash).toString("hex")

async function listen(onSocket: (socket: Socket) => void): Promise<number> {
  const server = createServer(onSocket).listen(0, "127.0.0.1")
  servers.push(server)
  await once(server, "listening")
  return (server.address() as AddressInfo).port
}

/** A node that serves standard clients on a port. */
async function publicNode(
  world: MemoryWorld,
  rates?: RateLimits,
): Promise<{ node: MemoryNode; port: number }> {
  const node = await world.add({ isPublic: () => true }, undefined, rates ? { rates } : {})
  const port = await listen((socket) =>
    node.swarm.servePlain({ duplex: socket }, `127.0.0.1:${socket.remotePort}`),
  )
  return { node, port }
}

/** Wants a torrent, and has a connection to a client of it. */
function fetchFrom(node: MemoryNode, duplex: Socket, address: string, metainfo: Metainfo): void {
  const wish = node.swarm.wishPlain({ infoHash: metainfo.infoHash, metainfo })
  wish.connect({ duplex }, address)
}

function wireOn(socket: Socket): Wire {
  const wire = new Protocol()
  socket.pipe(wire).pipe(socket)
  for (const end of [socket, wire]) end.on("error", () => {})
  return wire
}

async function connectWire(port: number, options: { fast: boolean; hash?: string }): Promise<Wire> {
  const socket = connect(port, "127.0.0.1")
  const wire = wireOn(socket)
  wire.handshake(options.hash ?? infoHash, PEER_ID, { fast: options.fast })
  return wire
}

/** Asks for every block at once, as a client with a deep queue does. */
async function download(wire: Wire, sizeBytes: number): Promise<Buffer> {
  const contents = Buffer.alloc(sizeBytes)
  const layout = pieceLayout(sizeBytes)
  const blocks: Promise<void>[] = []
  for (let at = 0; at < sizeBytes; at += BLOCK_BYTES) {
    const index = Math.floor(at / layout.lengthBytes)
    const offset = at % layout.lengthBytes
    const length = Math.min(BLOCK_BYTES, sizeBytes - at)
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    wire.request(index, offset, length, (error, block) => {
      if (error !== null) return reject(error)
      contents.set(block, at)
      resolve()
    })
    blocks.push(promise)
  }
  await Promise.all(blocks)
  return contents
}

test("a limit holds for standard clients too", async () => {
  await using world = new MemoryWorld()
  const up = 500_000
  const { node, port } = await publicNode(world, { lan: { up } })
  await ingest(node, bytes)
  await node.swarm.torrentOf(digest)
  const wire = await connectWire(port, { fast: true })
  await once(wire, "have-all")
  wire.interested()
  await once(wire, "unchoke")
  const startMs = performance.now()
  expect(Buffer.compare(await download(wire, bytes.length), bytes)).toBe(0)
  const rate = (bytes.length * 1000) / (performance.now() - startMs)
  // A busy machine may be slower; what passes at the start is no tenth of the whole.
  expect(rate / up).toBeLessThan(1.15)
  expect(rate / up).toBeGreaterThan(0.3)
  wire.destroy()
})

describe.each([{ fast: true }, { fast: false }])("with fast extension $fast", ({ fast }) => {
  test("a standard client takes a blob", async () => {
    await using world = new MemoryWorld()
    const { node, port } = await publicNode(world)
    await ingest(node, bytes)
    await node.swarm.torrentOf(digest)
    const wire = await connectWire(port, { fast })
    await once(wire, fast ? "have-all" : "bitfield")
    for (const index of [0, 1, 2]) expect(fast || wire.peerPieces.get(index)).toBe(true)
    wire.interested()
    await once(wire, "unchoke")
    expect(Buffer.compare(await download(wire, bytes.length), bytes)).toBe(0)
    expect(node.swarm.stats().uploadedBytes).toBe(bytes.length)
    wire.destroy()
  })

  test("this engine takes a blob back from a standard client", async () => {
    await using world = new MemoryWorld()
    const node = await world.add()
    const metainfo = metainfoOfBytes(bytes)
    const { lengthBytes, count } = metainfo.layout
    const port = await listen((socket) => {
      const wire = wireOn(socket)
      wire.on("handshake", () => {
        wire.handshake(infoHash, PEER_ID, { fast })
        if (fast) wire.haveAll()
        else wire.bitfield(Bitfield.full(count).bytes)
      })
      wire.on("interested", () => wire.unchoke())
      wire.on("request", (index: number, offset: number, length: number, respond: Respond) => {
        const at = index * lengthBytes + offset
        respond(null, bytes.subarray(at, at + length))
      })
    })
    const torrent = await join(node, digest, bytes.length)
    const socket = connect(port, "127.0.0.1")
    fetchFrom(node, socket, `127.0.0.1:${port}`, metainfo)
    await finish(torrent)
    expect(torrent.sources()[0]?.receivedBytes).toBe(bytes.length)
    expect(node.store.stat(digest)?.isComplete).toBe(true)
  })
})

type Respond = (error: Error | null, block: Uint8Array) => void

test("wrong bytes of a standard client are refused, and its address is banned in the end", async () => {
  await using world = new MemoryWorld()
  const [seed, node] = [await world.add(), await world.add()]
  const metainfo = metainfoOfBytes(bytes)
  let connectionCount = 0
  const port = await listen((socket) => {
    connectionCount++
    const wire = wireOn(socket)
    wire.on("handshake", () => {
      wire.handshake(infoHash, PEER_ID, { fast: true })
      wire.haveAll()
    })
    wire.on("interested", () => wire.unchoke())
    wire.on("request", (_index: number, _offset: number, length: number, respond: Respond) =>
      respond(null, Buffer.alloc(length, 1)),
    )
  })
  const torrent = await join(node, digest, bytes.length)
  const socket = connect(port, "127.0.0.1")
  fetchFrom(node, socket, `127.0.0.1:${port}`, metainfo)
  await until(() => torrent.sources()[0]?.rejectedPieces === 2, "two pieces were refused")
  expect(torrent.blob.pieces.count).toBe(0)
  await ingest(seed, bytes)
  await finish(torrent)
  expect(connectionCount).toBe(1)
  const again = connect(port, "127.0.0.1")
  fetchFrom(node, again, `127.0.0.1:${port}`, metainfo)
  expect(again.destroyed).toBe(true)
  expect(node.net.bans()).toEqual([])
})

test("a standard client gets the info dictionary by BEP 9", async () => {
  await using world = new MemoryWorld()
  const { node, port } = await publicNode(world)
  await ingest(node, bytes)
  const metainfo = await node.swarm.torrentOf(digest)
  const wire = await connectWire(port, { fast: true })
  const messages: Buffer[] = []
  class Metadata {
    readonly name = "ut_metadata"
    onMessage(message: Uint8Array) {
      messages.push(Buffer.from(message))
    }
  }
  Object.defineProperty(Metadata.prototype, "name", { value: "ut_metadata" })
  wire.use(Metadata)
  await once(wire, "extended")
  for (const piece of [0, 1]) wire.extended("ut_metadata", { msg_type: 0, piece })
  await until(() => messages.length === 2, "both answers came")
  const { infoBytes } = metainfo!
  const head = `d8:msg_typei1e5:piecei0e10:total_sizei${infoBytes.length}ee`
  expect(messages[0]).toEqual(Buffer.concat([Buffer.from(head), infoBytes]))
  expect(messages[1]?.toString()).toBe("d8:msg_typei2e5:piecei1ee")
  wire.destroy()
})

describe("by its info-hash alone", () => {
  test("a blob is fetched from a node: the info dictionary first, then the bytes", async () => {
    await using world = new MemoryWorld()
    await using apart = new MemoryWorld()
    const { node, port } = await publicNode(world)
    await ingest(node, bytes)
    const { infoHash: hash } = (await node.swarm.torrentOf(digest))!
    const leech = await apart.add()
    const { promise, resolve } = Promise.withResolvers<Metainfo>()
    const wish = leech.swarm.wishPlain(
      { infoHash: hash, metainfo: undefined },
      { onMetainfo: resolve },
    )
    wish.connect({ duplex: connect(port, "127.0.0.1") }, `127.0.0.1:${port}`)
    expect((await promise).digest).toBe(digest)
    // It counts as a holder before anybody fetches: that is how delivery learns of it.
    expect(leech.swarm.holders(digest)).toMatchObject([
      { isComplete: true, sizeBytes: bytes.length, isPlain: true },
    ])
    const torrent = await join(leech, digest, bytes.length)
    await finish(torrent)
    wish.close()
    await until(() => leech.swarm.stats().sessionCount === 0, "the connection is closed")
    expect(leech.swarm.holders(digest)).toEqual([])
  })

  test("a torrent of another form is told as foreign, not fetched", async () => {
    const infoBytes = Buffer.from("d6:lengthi5e4:name5:a.txt12:piece lengthi16384e6:pieces20:")
    const info = Buffer.concat([infoBytes, Buffer.alloc(20), Buffer.from("e")])
    const hash = createHash("sha1").update(info).digest()
    await using world = new MemoryWorld()
    const node = await world.add()
    const port = await listen((socket) => {
      const wire = wireOn(socket)
      class Metadata {
        onMessage() {
          const head = `d8:msg_typei1e5:piecei0e10:total_sizei${info.length}ee`
          wire.extended("ut_metadata", Buffer.concat([Buffer.from(head), info]))
        }
      }
      Object.defineProperty(Metadata.prototype, "name", { value: "ut_metadata" })
      wire.use(Metadata)
      wire.extendedHandshake.metadata_size = info.length
      wire.on("handshake", () => wire.handshake(hash.toString("hex"), PEER_ID, { fast: true }))
    })
    const { promise, resolve } = Promise.withResolvers<Error>()
    const wish = node.swarm.wishPlain(
      { infoHash: hash, metainfo: undefined },
      { onForeign: resolve },
    )
    wish.connect({ duplex: connect(port, "127.0.0.1") }, `127.0.0.1:${port}`)
    expect(await promise).toMatchObject({ code: "METAINFO_INVALID" })
  })

  test("a node that does not serve a torrent does not give its info dictionary either", async () => {
    await using world = new MemoryWorld()
    const node = await world.add()
    const metainfo = metainfoOfBytes(bytes)
    const port = await listen((socket) => fetchFrom(node, socket, "127.0.0.1:1", metainfo))
    const wire = await connectWire(port, { fast: true })
    await once(wire, "extended")
    expect(wire.peerExtendedHandshake.metadata_size).toBeUndefined()
    wire.destroy()
  })
})

describe("the port", () => {
  test("serves no more than a few connections of one address", async () => {
    await using world = new MemoryWorld()
    const { node, port } = await publicNode(world)
    await ingest(node, bytes)
    await node.swarm.torrentOf(digest)
    const wires = []
    for (let count = 0; count < SESSIONS_PER_HOST_MAX; count++) {
      const wire = await connectWire(port, { fast: true })
      await once(wire, "handshake")
      wires.push(wire)
    }
    const surplus = connect(port, "127.0.0.1")
    surplus.on("error", () => {})
    surplus.resume()
    await once(surplus, "close")
    expect(node.swarm.stats().sessionCount).toBe(SESSIONS_PER_HOST_MAX)
    for (const wire of wires) wire.destroy()
  })

  test("keeps room for what the node fetches itself, however many strangers come", async () => {
    await using world = new MemoryWorld()
    const node = await world.add()
    const strangers = Array.from({ length: INCOMING_MAX + 1 }, (_, index) => {
      const [near, far] = duplexPair()
      far.on("error", () => {})
      node.swarm.servePlain({ duplex: near }, `10.0.${index}.1:6881`)
      return near
    })
    expect(strangers.map((stranger) => stranger.destroyed)).toEqual([
      ...Array.from({ length: INCOMING_MAX }, () => false),
      true,
    ])
    const [own] = duplexPair()
    const metainfo = metainfoOfBytes(bytes)
    const wish = node.swarm.wishPlain({ infoHash: metainfo.infoHash, metainfo })
    wish.connect({ duplex: own }, "10.1.0.1:6881")
    expect(own.destroyed).toBe(false)
    expect(wish.connectionCount).toBe(1)
  })

  test("gives strangers no turn that a peer could have", async () => {
    // With one set of turns, the only one would go back and forth between the two.
    await using world = new MemoryWorld()
    const node = await world.add({ isPublic: () => true, uploadSlots: 1 })
    const peer = await world.add()
    const port = await listen((socket) => node.swarm.servePlain({ duplex: socket }, "10.0.0.1:1"))
    await ingest(node, bytes)
    await node.swarm.torrentOf(digest)
    const wire = await connectWire(port, { fast: true })
    await once(wire, "have-all")
    const unchoked = once(wire, "unchoke")
    wire.interested()
    await unchoked
    let isChoked = false
    wire.on("choke", () => {
      isChoked = true
    })
    await finish(await join(peer, digest, bytes.length))
    expect(isChoked).toBe(false)
    wire.destroy()
  })

  test("lets go of who does not shake hands in time", async () => {
    const clock = new VirtualClock()
    await using world = new MemoryWorld({ clock })
    const { node, port } = await publicNode(world)
    const socket = connect(port, "127.0.0.1")
    socket.on("error", () => {})
    socket.resume()
    const closed = once(socket, "close")
    await until(() => node.swarm.stats().sessionCount === 1, "it is connected")
    await clock.advance(HANDSHAKE_MS_MAX - 1000)
    expect(node.swarm.stats().sessionCount).toBe(1)
    await clock.advance(2000)
    await closed
  })

  test("does not talk to itself", async () => {
    await using world = new MemoryWorld()
    const { node, port } = await publicNode(world)
    await ingest(node, bytes)
    const metainfo = await node.swarm.torrentOf(digest)
    fetchFrom(node, connect(port, "127.0.0.1"), `127.0.0.1:${port}`, metainfo!)
    await until(() => node.swarm.stats().sessionCount > 0, "they have met")
    await until(() => node.swarm.stats().sessionCount === 0, "both ends are closed")
  })
})

describe("a client that takes nothing", () => {
  const metadataRequest = Buffer.from("d8:msg_typei0e5:piecei0ee")

  function extended(id: number, payload: Uint8Array): Buffer {
    const head = Buffer.alloc(6)
    head.writeUInt32BE(2 + payload.length)
    head[4] = MESSAGE.extended
    head[5] = id
    return Buffer.concat([head, payload])
  }

  /** A connection whose other side never reads; what is pushed into it comes from there. */
  function deafDuplex(): Duplex {
    return new Duplex({ read: () => {}, write: () => {} })
  }

  async function greetedBy(node: MemoryNode): Promise<Duplex> {
    await ingest(node, bytes)
    const { infoHash: own } = (await node.swarm.torrentOf(digest))!
    const duplex = deafDuplex()
    node.swarm.servePlain({ duplex }, "192.0.2.7:1")
    duplex.push(encodeHandshake(own, randomBytes(20)))
    await until(() => duplex.writableLength > 0, "it is greeted")
    return duplex
  }

  test("is let go when it asks for more metadata than there is", async () => {
    await using world = new MemoryWorld()
    const node = await world.add({ isPublic: () => true })
    const duplex = await greetedBy(node)
    duplex.push(extended(EXTENDED.handshake, Buffer.from("d1:md11:ut_metadatai7eee")))
    const one = extended(EXTENDED.metadata, metadataRequest)
    duplex.push(Buffer.concat(Array.from({ length: 20_000 }, () => one)))
    await until(() => duplex.destroyed, "it is let go")
    expect(duplex.writableLength).toBeLessThan(1024 * 1024)
  })

  test("is cut off soon after it was let go, with what was written to it", async () => {
    const clock = new VirtualClock()
    await using world = new MemoryWorld({ clock })
    const node = await world.add({ isPublic: () => true })
    const duplex = await greetedBy(node)
    await clock.advance(121_000)
    expect(node.swarm.stats().sessionCount).toBe(0)
    expect(duplex.destroyed).toBe(false)
    await clock.advance(11_000)
    expect(duplex.destroyed).toBe(true)
  })

  test("says once that it has all: the same five bytes again end the connection", async () => {
    await using world = new MemoryWorld()
    const node = await world.add({ isPublic: () => true })
    const duplex = await greetedBy(node)
    const haveAll = Buffer.from([0, 0, 0, 1, MESSAGE.haveAll])
    duplex.push(haveAll)
    await new Promise((resolve) => setImmediate(resolve))
    expect(duplex.destroyed).toBe(false)
    duplex.push(haveAll)
    await until(() => duplex.destroyed, "it is let go")
  })
})

describe("is not had by a standard client:", () => {
  test("a blob that is not public", async () => {
    await using world = new MemoryWorld()
    const node = await world.add()
    const port = await listen((socket) => node.swarm.servePlain({ duplex: socket }, "127.0.0.1:1"))
    await ingest(node, bytes)
    await node.swarm.torrentOf(digest)
    const wire = await connectWire(port, { fast: true })
    await once(wire, "close")
  })

  test("a blob whose torrent was never made, or is unknown", async () => {
    await using world = new MemoryWorld()
    const { node, port } = await publicNode(world)
    await ingest(node, bytes)
    await once(await connectWire(port, { fast: true }), "close")
    await once(await connectWire(port, { fast: true, hash: "ab".repeat(20) }), "close")
    expect(node.swarm.stats().sessionCount).toBe(0)
  })

  test("anything, by noise", async () => {
    await using world = new MemoryWorld()
    const { port } = await publicNode(world)
    const socket = connect(port, "127.0.0.1")
    socket.on("error", () => {})
    socket.resume()
    socket.write(randomBytes(200))
    await once(socket, "close")
  })
})

test("the torrent of a blob is the same each time, and undefined for what is not here", async () => {
  await using world = new MemoryWorld()
  const node = await world.add()
  expect(await node.swarm.torrentOf(digest)).toBeUndefined()
  await ingest(node, bytes)
  const [first, second] = await Promise.all([
    node.swarm.torrentOf(digest),
    node.swarm.torrentOf(digest),
  ])
  expect(first).toBe(second)
  expect(Buffer.from(first!.infoHash).toString("hex")).toBe(infoHash)
})
