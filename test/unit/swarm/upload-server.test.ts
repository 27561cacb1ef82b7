/** One connection that serves several torrents: read from several at once, each in its own order. */
import { Duplex } from "node:stream"
import { expect, test } from "vitest"
import { VirtualClock } from "../../../src/core/virtual-clock.ts"
import { createMemoryStore } from "../../../src/store/memory-store.ts"
import type { BlobReader } from "../../../src/store/store.ts"
import { Upload } from "../../../src/swarm/upload.ts"
import { BatchBuffers, UploadServer } from "../../../src/swarm/upload-server.ts"
import { WireWriter } from "../../../src/swarm/wire-writer.ts"
import { ingest, patternBytes } from "../../contract/swarm.ts"

const BLOCK = 16_384
const UPLOADS = 6
const turn = () => new Promise((resolve) => setImmediate(resolve))

/** A reader whose reads end when they are let. */
function held(reader: BlobReader, waiting: (() => void)[]): BlobReader {
  return new Proxy(reader, {
    get(target, name) {
      if (name !== "readScattered") return Reflect.get(target, name)
      return async (...args: Parameters<BlobReader["readScattered"]>) => {
        await new Promise<void>((resolve) => waiting.push(resolve))
        return target.readScattered(...args)
      }
    },
  })
}

async function makeServer() {
  const clock = new VirtualClock()
  const store = createMemoryStore({ clock })
  const duplex = new Duplex({ read() {}, write: (_chunk, _encoding, callback) => callback() })
  const writer = new WireWriter(duplex, { hasContexts: true })
  const waiting: (() => void)[] = []
  const sent: string[] = []
  const server = new UploadServer({
    writer,
    buffers: new BatchBuffers(),
    clock,
    events: {
      onSent: ({ torrent }, blockBytes) => void sent.push(`${torrent}:${blockBytes}`),
      onUnreadable: () => {},
    },
  })
  const uploads: Upload[] = []
  for (let torrent = 0; torrent < UPLOADS; torrent++) {
    const digest = await ingest({ store }, patternBytes(600_000 + torrent))
    const reader = held(store.open(digest)!, waiting)
    const upload = new Upload({ peer: "P", torrent, reader, writer, hasReject: true })
    for (const index of [0, 1, 2]) upload.announced.add(index)
    upload.isReady = true
    uploads.push(upload)
    server.add(upload)
  }
  return { server, uploads, waiting, sent }
}

test("reads from four torrents at once, and goes on when one read is over", async () => {
  const { server, uploads, waiting, sent } = await makeServer()
  for (const upload of uploads) upload.request(0, 0, BLOCK)
  server.kick()
  await turn()
  expect(waiting.length).toBe(4)
  waiting.splice(1, 1)[0]!()
  await turn()
  expect(sent).toEqual([`1:${BLOCK}`])
  expect(waiting.length).toBe(4)
  while (waiting.length > 0) {
    waiting.shift()!()
    await turn()
  }
  expect(sent.length).toBe(UPLOADS)
})

test("the blocks of one torrent stay in the order in which they were asked for", async () => {
  const { server, uploads, waiting, sent } = await makeServer()
  const [upload] = uploads as [Upload]
  upload.request(2, 0, BLOCK)
  upload.request(0, 0, 1000)
  upload.request(1, 0, 500)
  server.kick()
  await turn()
  expect(waiting.length).toBe(1)
  for (let count = 0; count < 3; count++) {
    waiting.shift()!()
    await turn()
  }
  expect(sent).toEqual([`0:${BLOCK}`, "0:1000", "0:500"])
})

test("a connection that closes while it reads sends nothing more", async () => {
  const { server, uploads, waiting, sent } = await makeServer()
  for (const upload of uploads) upload.request(0, 0, BLOCK)
  server.kick()
  await turn()
  server.close()
  for (const resolve of waiting.splice(0)) resolve()
  await turn()
  expect([sent, waiting]).toEqual([[], []])
})
