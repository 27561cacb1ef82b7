/** What is public, what is not, and when the port for clients is open. */
import { once } from "node:events"
import { type AddressInfo, connect, createServer } from "node:net"
import { Readable } from "node:stream"
import { afterEach, beforeEach, describe, expect, test } from "vitest"
import { type Digest, digestOf } from "../../../../src/core/digest.ts"
import { codeOf } from "../../../../src/core/errors.ts"
import { silentLogger } from "../../../../src/core/log.ts"
import { createMemoryKv } from "../../../../src/store/memory-kv.ts"
import { magnetLink } from "../../../../src/swarm/metainfo.ts"
import type { Announced } from "../../../../src/swarm/public/discovery.ts"
import { PUBLIC_MAX, PublicBook } from "../../../../src/swarm/public/public-book.ts"
import { createPublicSide, type PublicPart } from "../../../../src/swarm/public/public-side.ts"
import { parseMagnet } from "../../../../src/swarm/public/torrent-link.ts"
import { finish, patternBytes, until } from "../../../contract/swarm.ts"
import { type MemoryNode, MemoryWorld } from "../memory-world.ts"

const bytes = patternBytes(600_001)
const digest = digestOf(bytes)
const LOCAL = { host: "127.0.0.1", port: 0 }

/** Discovery that only notes what it was asked for. */
class NotedDiscovery {
  readonly announced: Announced[] = []
  announce(torrent: Announced): () => void {
    this.announced.push(torrent)
    return () => this.announced.splice(this.announced.indexOf(torrent), 1)
  }
  async stop(): Promise<void> {}
}

interface PublicNode {
  readonly node: MemoryNode
  readonly side: PublicPart
  readonly discovery: NotedDiscovery
}

let world: MemoryWorld
const sides: PublicPart[] = []
beforeEach(() => {
  world = new MemoryWorld()
})
afterEach(async () => {
  for (const side of sides.splice(0)) await side.stop()
  await world[Symbol.asyncDispose]()
})

async function open(inside: MemoryWorld = world): Promise<PublicNode> {
  let book: PublicBook | undefined
  const node = await inside.add({ isPublic: (one) => book?.has(one) === true })
  book = await PublicBook.load(node.store.kv("public"))
  const discovery = new NotedDiscovery()
  const { clock } = inside
  const deps = { ...node, book, discovery: [discovery], clock, log: silentLogger }
  const options = { listen: LOCAL, trackers: ["wss://tracker.example"], reachesPrivate: true }
  const side = createPublicSide(deps, options)
  sides.push(side)
  return { node, side, discovery }
}

async function keep({ node }: PublicNode, options: { isShared?: boolean } = {}): Promise<Digest> {
  await node.store.ingest(Readable.from([bytes]), { expected: digest, ...options })
  return digest
}

async function refusalOf(work: Promise<unknown>): Promise<string | undefined> {
  return await work.then(
    () => undefined,
    (error: unknown) => codeOf(error),
  )
}

describe("a blob", () => {
  test("is private until its owner says otherwise, and no port is open", async () => {
    const here = await open()
    await keep(here)
    expect(here.side.isPublic(digest)).toBe(false)
    await here.side.torrentOf(digest)
    expect(here.side.port).toBeUndefined()
    expect(here.side.list()).toEqual([])
  })

  test("that is public is announced and served; taken back, it is neither", async () => {
    const here = await open()
    await keep(here)
    const metainfo = await here.side.publish(digest)
    expect(here.side.port).toBeGreaterThan(0)
    expect(here.side.list()).toEqual([{ digest, metainfo }])
    const [announced] = here.discovery.announced
    expect(announced).toMatchObject({
      trackers: [{ url: "wss://tracker.example", mayBePrivate: true }],
    })
    expect(announced?.leftBytes()).toBe(0)
    expect(announced?.port()).toBe(here.side.port)
    expect(await here.side.hide(digest)).toBe(true)
    expect(here.side.port).toBeUndefined()
    expect(here.discovery.announced).toEqual([])
    expect(await here.side.hide(digest)).toBe(false)
  })

  test("that is not here, or not whole, is not made public", async () => {
    const here = await open()
    expect(await refusalOf(here.side.publish(digest))).toBe("PUBLIC_REFUSED")
    const partial = await here.node.store.openPartial(digest, bytes.length)
    expect(await refusalOf(here.side.publish(digest))).toBe("PUBLIC_REFUSED")
    partial.release()
    expect(here.side.port).toBeUndefined()
  })

  test("that came with credentials is not made public", async () => {
    const here = await open()
    await keep(here, { isShared: false })
    expect(await refusalOf(here.side.publish(digest))).toBe("PUBLIC_REFUSED")
    expect(here.side.isPublic(digest)).toBe(false)
  })

  test("that becomes private, or goes, is seeded no more, and again when it is back", async () => {
    const here = await open()
    await keep(here)
    await here.side.publish(digest)
    await here.node.store.share(digest, false)
    await until(() => here.side.port === undefined, "the port is closed")
    await here.node.store.share(digest, true)
    await until(() => here.side.port !== undefined, "the port is open again")
    await here.node.store.remove(digest)
    await until(() => here.side.port === undefined, "the port is closed again")
    expect(here.side.list()).toEqual([{ digest, metainfo: undefined }])
  })

  test("stays public over a restart", async () => {
    const here = await open()
    await keep(here)
    await here.side.publish(digest)
    await here.side.stop()
    const book = await PublicBook.load(here.node.store.kv("public"))
    expect(book.digests()).toEqual([digest])
  })

  test("is fetched by another node from its magnet link alone", async () => {
    await using apart = new MemoryWorld()
    const [here, there] = [await open(), await open(apart)]
    await keep(here)
    const metainfo = await here.side.publish(digest)
    using seek = there.side.seek(parseMagnet(magnetLink(metainfo)))
    there.discovery.announced[0]!.onAddress({ host: "127.0.0.1", port: here.side.port! })
    expect((await seek.metainfo).digest).toBe(digest)
    expect(seek.clientCount).toBe(1)
    const blob = await there.node.store.openPartial(digest, bytes.length)
    await finish(there.node.swarm.join(blob))
    expect(there.node.store.stat(digest)?.isComplete).toBe(true)
    // It was taken from the public, and is not given to the public for that.
    expect(there.side.port).toBeUndefined()
    await there.side.stop()
  })
})

test("a link leads to no client inside the own network; its user may name one", async () => {
  const here = await open()
  const { node, discovery } = here
  const deps = { ...node, discovery: [discovery], clock: world.clock, log: silentLogger }
  const book = await PublicBook.load(node.store.kv("other"))
  const options = { listen: LOCAL, trackers: [], reachesPrivate: false }
  const side = createPublicSide({ ...deps, book }, options)
  sides.push(side)
  const ports: number[] = []
  const listening = await Promise.all(
    [0, 1].map(async (index) => {
      const server = createServer((socket) => {
        ports.push(index)
        socket.resume()
      }).listen(0, "127.0.0.1")
      await once(server, "listening")
      return server
    }),
  )
  const [linked, given] = listening.map((server) => (server.address() as AddressInfo).port)
  const peers = ["127.0.0.1", "localhost"].map((host) => `&x.pe=${host}:${linked}`).join("")
  using seek = side.seek(parseMagnet(`magnet:?xt=urn:btih:${"ab".repeat(20)}${peers}`))
  seek.addPeer({ host: "127.0.0.1", port: given! })
  await until(() => ports.includes(1), "the user's client is reached")
  await new Promise((resolve) => setTimeout(resolve, 100))
  expect(ports).not.toContain(0)
  for (const server of listening) server.close()
})

test("two who look for one torrent look together, and the last one ends it", async () => {
  const here = await open()
  const link = parseMagnet(`magnet:?xt=urn:btih:${"ab".repeat(20)}&tr=udp://other.example:1`)
  const [first, second] = [here.side.seek(link), here.side.seek(link)]
  expect(here.discovery.announced).toHaveLength(1)
  const [announced] = here.discovery.announced
  const urls = announced?.trackers.map(({ url }) => url)
  expect(urls).toEqual(["udp://other.example:1", "wss://tracker.example"])
  expect(announced?.leftBytes()).toBeUndefined()
  first[Symbol.dispose]()
  first[Symbol.dispose]()
  expect(here.discovery.announced).toHaveLength(1)
  second[Symbol.dispose]()
  expect(here.discovery.announced).toHaveLength(0)
})

test("a port that another program has is an error that says what to do, and nothing is public", async () => {
  const [here, there] = [await open(), await open()]
  await keep(here)
  await here.side.publish(digest)
  const { node, discovery } = there
  const book = await PublicBook.load(createMemoryKv())
  const side = createPublicSide(
    { ...node, book, discovery: [discovery], clock: world.clock, log: silentLogger },
    { listen: { host: "127.0.0.1", port: here.side.port! }, trackers: [], reachesPrivate: false },
  )
  sides.push(side)
  await keep(there)
  await expect(side.publish(digest)).rejects.toMatchObject({
    code: "PUBLIC_PORT_IN_USE",
    message: expect.stringContaining("--public-port"),
  })
  expect(book.has(digest)).toBe(false)
})

test("a client that comes while nothing is public finds no port", async () => {
  const here = await open()
  await keep(here)
  await here.side.publish(digest)
  const { port } = here.side
  await here.side.hide(digest)
  const socket = connect(port!, "127.0.0.1")
  const outcome = await new Promise((resolve) => {
    socket.on("connect", () => resolve("connected"))
    socket.on("error", (error) => resolve(codeOf(error)))
  })
  expect(outcome).toBe("ECONNREFUSED")
})

test("the book is bounded", async () => {
  const book = await PublicBook.load(createMemoryKv())
  for (let count = 0; count < PUBLIC_MAX; count++) await book.add(digestOf(Buffer.from(`${count}`)))
  expect(await refusalOf(book.add(digest))).toBe("PUBLIC_REFUSED")
  await book.add(digestOf(Buffer.from("0")))
})
