/** Web seeds: a web server that has the blob, and some that do not do as they are asked. */
import { createHash } from "node:crypto"
import { once } from "node:events"
import { createServer, type RequestListener } from "node:http"
import type { AddressInfo } from "node:net"
import { afterEach, describe, expect, test } from "vitest"
import { digestOf, hexOf } from "../../../../src/core/digest.ts"
import { pieceLayout, pieceRange } from "../../../../src/core/piece.ts"
import { metainfoOf } from "../../../../src/swarm/metainfo.ts"
import { openWebSeed, webSeedUrl } from "../../../../src/swarm/public/web-seed.ts"
import { finish, join, patternBytes, until } from "../../../contract/swarm.ts"
import { MemoryWorld } from "../memory-world.ts"

const bytes = patternBytes(3_000_001)
const digest = digestOf(bytes)
const layout = pieceLayout(bytes.length)
const hashes = Array.from({ length: layout.count }, (_, index) => {
  const { start, end } = pieceRange(layout, index)
  return createHash("sha1").update(bytes.subarray(start, end)).digest()
})
const metainfo = metainfoOf(digest, layout, Buffer.concat(hashes))

const closers: (() => unknown)[] = []
afterEach(() => {
  for (const close of closers.splice(0)) close()
})

async function serve(onRequest: RequestListener): Promise<string> {
  const server = createServer(onRequest).listen(0, "127.0.0.1")
  closers.push(() => {
    server.closeAllConnections()
    server.close()
  })
  await once(server, "listening")
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/files/`
}

const giveRange: RequestListener = (request, answer) => {
  const [, first, last] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? "")!
  const range = { "content-range": `bytes ${first}-${last}/${bytes.length}` }
  answer.writeHead(206, range).end(bytes.subarray(Number(first), Number(last) + 1))
}

/** A node that fetches from a web seed alone. @returns why the seed ended, once it has */
async function fetchFrom(url: string, options: { mayBePrivate?: boolean } = {}) {
  const world = new MemoryWorld()
  closers.push(() => world[Symbol.asyncDispose]())
  const node = await world.add()
  const wish = node.swarm.wishPlain({ infoHash: metainfo.infoHash, metainfo })
  const torrent = await join(node, digest, bytes.length)
  const ended = Promise.withResolvers<Error | undefined>()
  const { mayBePrivate = true } = options
  const duplex = openWebSeed({ url, metainfo, mayBePrivate, onClosed: ended.resolve })
  wish.connect({ duplex }, "127.0.0.1:80")
  return { node, torrent, ended: ended.promise, wish }
}

test("a blob is fetched from a web server by ranges, in few requests", async () => {
  const paths = new Set<string | undefined>()
  let count = 0
  const url = await serve((request, answer) => {
    count++
    paths.add(request.url)
    giveRange(request, answer)
  })
  const { node, torrent, wish } = await fetchFrom(url)
  await finish(torrent)
  expect(node.store.stat(digest)?.isComplete).toBe(true)
  expect([...paths]).toEqual([`/files/${hexOf(digest)}`])
  expect(count).toBeLessThan(bytes.length / 16_384 / 2)
  wish.close()
  await until(() => node.swarm.stats().sessionCount === 0, "the connection is closed")
})

test("a URL that is no folder is the file itself", () => {
  expect(webSeedUrl("http://a.example/file", metainfo)).toBe("http://a.example/file")
  expect(webSeedUrl("http://a.example/b/", metainfo)).toBe(`http://a.example/b/${hexOf(digest)}`)
})

describe("a web server", () => {
  test.each<[string, RequestListener]>([
    ["ignores the range", (_request, answer) => answer.writeHead(200).end(bytes)],
    ["has nothing", (_request, answer) => answer.writeHead(404).end()],
    ["sends elsewhere", (_request, answer) => answer.writeHead(302, { location: "/x" }).end()],
    [
      "gives another range",
      (_request, answer) => answer.writeHead(206, { "content-range": "bytes 5-9/10" }).end("12345"),
    ],
    [
      "gives too little",
      (request, answer) => {
        const [, first, last] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? "")!
        answer.writeHead(206, { "content-range": `bytes ${first}-${last}/9999999` }).end("few")
      },
    ],
  ])("that %s is left", async (_name, onRequest) => {
    const { ended, torrent } = await fetchFrom(await serve(onRequest))
    expect(await ended).toMatchObject({ code: "WEB_SEED_FAILED" })
    expect(torrent.blob.pieces.count).toBe(0)
  })

  test("that gives wrong bytes gets none of them written", async () => {
    const url = await serve((request, answer) => {
      const [, first, last] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? "")!
      const range = { "content-range": `bytes ${first}-${last}/${bytes.length}` }
      answer.writeHead(206, range).end(Buffer.alloc(Number(last) - Number(first) + 1, 1))
    })
    const { torrent, ended } = await fetchFrom(url)
    await ended
    expect(torrent.blob.pieces.count).toBe(0)
    expect(torrent.sources()[0]?.rejectedPieces).toBeGreaterThan(0)
  })

  test("inside the own network is not asked at a stranger's word", async () => {
    let count = 0
    const url = await serve((_request, answer) => {
      count++
      answer.end()
    })
    const { ended } = await fetchFrom(url, { mayBePrivate: false })
    expect(await ended).toMatchObject({ code: "TRACKER_FAILED" })
    expect(count).toBe(0)
  })
})
