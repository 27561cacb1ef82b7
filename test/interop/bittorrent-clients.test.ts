// Debian's BitTorrent clients take a blob from this engine over plain TCP, and give one back. Both
// sides make the torrent from the bytes alone.
import { once } from "node:events"
import { writeFile } from "node:fs/promises"
import { createServer as createHttpServer } from "node:http"
import { type AddressInfo, connect, createServer, type Server } from "node:net"
import { join as joinPath } from "node:path"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { type Digest, digestOf, hexOf } from "../../src/core/digest.ts"
import { type Metainfo, torrentFile } from "../../src/swarm/metainfo.ts"
import { finish, ingest, join, patternBytes } from "../contract/swarm.ts"
import { missingTools, run, start } from "../support/process.ts"
import { openWorkspace } from "../support/workspace.ts"
import { type MemoryNode, MemoryWorld } from "../unit/swarm/memory-world.ts"

const PYTHON = "/usr/bin/python3"
const CLIENT = "test/support/libtorrent-client.py"
const SIZE_BYTES = 20_000_003
const bytes = patternBytes(SIZE_BYTES)
const digest: Digest = digestOf(bytes)

const missing = [...missingTools("aria2c"), ...(await missingPythonModule())]

async function missingPythonModule(): Promise<readonly string[]> {
  const probe = run([PYTHON, "-c", "import libtorrent"])
  return probe.then(
    () => [],
    () => missingTools("python3-libtorrent"),
  )
}

describe.skipIf(missing.length > 0)("standard clients over plain TCP", () => {
  const workspace = openWorkspace("clients")
  const servers: Server[] = []
  let world: MemoryWorld
  let node: MemoryNode
  let metainfo: Metainfo
  let port: number
  let torrentPath: string

  beforeAll(async () => {
    world = new MemoryWorld()
    node = await world.add({ isPublic: () => true })
    await ingest(node, bytes)
    metainfo = (await node.swarm.torrentOf(digest))!
    port = await listen(
      createServer((socket) =>
        node.swarm.servePlain({ duplex: socket }, `127.0.0.1:${socket.remotePort}`),
      ),
    )
    const tracker = await listen(createHttpServer((_request, answer) => answer.end(peers(port))))
    torrentPath = joinPath(workspace.root, "blob.torrent")
    const announce = [`http://127.0.0.1:${tracker}/announce`]
    await writeFile(torrentPath, torrentFile(metainfo, announce))
  })

  afterAll(async () => {
    for (const server of servers) server.close()
    await world[Symbol.asyncDispose]()
    await workspace.close()
  })

  async function listen(server: Server): Promise<number> {
    servers.push(server)
    server.listen(0, "127.0.0.1")
    await once(server, "listening")
    return (server.address() as AddressInfo).port
  }

  /** A folder that holds the blob under the name that its torrent gives it. */
  async function folderWithBlob(name: string): Promise<string> {
    const folder = await workspace.folder(name)
    await writeFile(joinPath(folder, hexOf(digest)), bytes)
    return folder
  }

  async function expectBlobIn(folder: string): Promise<void> {
    const path = joinPath(folder, hexOf(digest))
    const { stdout } = await run(["sha256sum", path])
    expect(stdout.slice(0, 64)).toBe(hexOf(digest))
  }

  async function takeBack(fromPort: number): Promise<void> {
    // A world of its own, so that nobody but the client can give it.
    await using apart = new MemoryWorld()
    const leech = await apart.add()
    const torrent = await join(leech, digest, SIZE_BYTES)
    const socket = connect(fromPort, "127.0.0.1")
    const wish = leech.swarm.wishPlain({ infoHash: metainfo.infoHash, metainfo })
    wish.connect({ duplex: socket }, `127.0.0.1:${fromPort}`)
    await finish(torrent)
    const [source, ...others] = torrent.sources()
    expect(others).toEqual([])
    expect(source).toMatchObject({ receivedBytes: SIZE_BYTES, rejectedPieces: 0 })
  }

  test("libtorrent downloads from this engine", async () => {
    const folder = await workspace.folder("libtorrent-leech")
    await run([PYTHON, CLIENT, "leech", torrentPath, folder, "127.0.0.1", String(port)])
    await expectBlobIn(folder)
  })

  test("libtorrent that tries encryption first downloads all the same", async () => {
    const folder = await workspace.folder("libtorrent-encrypt")
    await run([PYTHON, CLIENT, "leech", torrentPath, folder, "127.0.0.1", String(port), "encrypt"])
    await expectBlobIn(folder)
  })

  test("aria2 downloads from this engine", async () => {
    const folder = await workspace.folder("aria2-leech")
    const options = ["--enable-dht=false", "--bt-enable-lpd=false", "--seed-time=0", "--no-conf"]
    await run(["aria2c", ...options, `--dir=${folder}`, torrentPath], { timeoutMs: 60_000 })
    await expectBlobIn(folder)
  })

  test("this engine downloads from libtorrent", async () => {
    const folder = await folderWithBlob("libtorrent-seed")
    const seed = await start([PYTHON, CLIENT, "seed", torrentPath, folder], {
      isReady: (program) => /PORT \d+/.test(program.output()),
    })
    try {
      await takeBack(Number(/PORT (\d+)/.exec(seed.output())![1]))
    } finally {
      await seed.stop()
    }
  })

  test("this engine downloads from aria2", async () => {
    const folder = await folderWithBlob("aria2-seed")
    const options = ["--enable-dht=false", "--bt-enable-lpd=false", "--seed-ratio=0.0", "--no-conf"]
    const seed = await start(
      ["aria2c", ...options, "--check-integrity=true", `--dir=${folder}`, torrentPath],
      { isReady: (program) => /listening on TCP port (\d+)/.test(program.output()) },
    )
    try {
      await takeBack(Number(/listening on TCP port (\d+)/.exec(seed.output())![1]))
    } finally {
      await seed.stop()
    }
  })
})

/** The answer of a tracker that knows one peer (BEP 3, BEP 23: compact). */
function peers(port: number): Uint8Array {
  const peer = Buffer.from([127, 0, 0, 1, port >> 8, port & 0xff])
  return Buffer.concat([Buffer.from("d8:intervali60e5:peers6:"), peer, Buffer.from("e")])
}
