// A public asset leaves a real node as an ordinary torrent, and comes back to another node from
// clients that know nothing of Sealift; a private one cannot be had, its info-hash known.
import { once } from "node:events"
import { existsSync } from "node:fs"
import { createServer } from "node:http"
import { connect } from "node:net"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import Dht from "bittorrent-dht"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { digestOf, hexOf } from "../../src/core/digest.ts"
import { encodeHandshake, HANDSHAKE_BYTES } from "../../src/swarm/wire-messages.ts"
import { freePort, missingTools, type Program, pollUntil, run, start } from "../support/process.ts"
import { json, ownBytes, pushBlob, sha256Of, type TorrentRow } from "../support/public-asset.ts"
import { type SealiftNode, startNode } from "../support/sealift-node.ts"
import { startTracker } from "../support/tracker.ts"
import { openWorkspace } from "../support/workspace.ts"

const PYTHON = "/usr/bin/python3"
const CLIENT = "test/support/libtorrent-client.py"
const SIZE_BYTES = 12_000_003
/** A client that gets nothing is watched for this time. */
const DENIED_MS = 6_000
const FETCH_MS_MAX = 60_000

const missing = [...missingTools("aria2c", "curl"), ...(await missingPythonModule())]

async function missingPythonModule(): Promise<readonly string[]> {
  const probe = run([PYTHON, "-c", "import libtorrent"])
  return probe.then(
    () => [],
    () => missingTools("python3-libtorrent"),
  )
}

/** Says an info-hash to a port; gives how many bytes came back when there is a handshake, or the end. */
function bytesFor(infoHash: string, port: number): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>()
  const socket = connect(port, "127.0.0.1")
  let count = 0
  socket.on("data", (chunk) => {
    count += chunk.length
    // A handshake came back: that is answer enough.
    if (count >= HANDSHAKE_BYTES) socket.destroy()
  })
  socket.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "ECONNRESET") reject(error)
  })
  socket.on("close", () => resolve(count))
  socket.write(encodeHandshake(Buffer.from(infoHash, "hex"), Buffer.from("-XX0100-abcdefghijkl")))
  return promise
}

function isListening(port: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>()
  const socket = connect(port, "127.0.0.1")
  socket.on("connect", () => resolve(true))
  socket.on("error", () => resolve(false))
  return promise.finally(() => socket.destroy())
}

describe.skipIf(missing.length > 0)("standard clients and real nodes", () => {
  const workspace = openWorkspace("public")
  const asset = ownBytes(SIZE_BYTES, 1)
  const secret = ownBytes(SIZE_BYTES, 2)
  let origin: SealiftNode
  let port: number
  let shown: TorrentRow
  let hidden: TorrentRow
  let torrentPath: string
  let hiddenPath: string

  beforeAll(async () => {
    port = await freePort()
    origin = await startNode(workspace, {
      name: "origin",
      flags: ["--public-port", `127.0.0.1:${port}`],
    })
    const digest = await pushBlob(origin, asset)
    const secretDigest = await pushBlob(origin, secret)
    const folder = await workspace.folder("torrents")
    // The torrent of the private one is made and known to all, which must not help them.
    const told = await json<{ torrents: TorrentRow[] }>(
      origin,
      ...["torrent", secretDigest, "-o", folder],
    )
    hidden = told.torrents[0]!
    hiddenPath = join(folder, `${secretDigest.slice(7)}.torrent`)
    expect(await isListening(port)).toBe(false)
    const opened = await json<{ port: number; torrents: TorrentRow[] }>(
      origin,
      ...["torrent", digest, "--public", "-o", folder],
    )
    expect(opened.port).toBe(port)
    shown = opened.torrents[0]!
    torrentPath = join(folder, `${digest.slice(7)}.torrent`)
  })
  afterAll(() => workspace.close())

  /** A node of its own that knows no other takes the asset back from a client. */
  async function takeBack(name: string, ref: string, clientPort: number): Promise<void> {
    const node = await startNode(workspace, { name })
    const target = join(node.data, "taken")
    const peer = `127.0.0.1:${clientPort}`
    const got = await json<{ digest: string; infoHash: string }>(
      node,
      ...["get", ref, "-o", target, "--peer", peer],
    )
    expect(got).toMatchObject({ digest: shown.digest, infoHash: shown.infoHash })
    expect(await sha256Of(target)).toBe(hexOf(digestOf(asset)))
    expect(await node.metric("sealift_swarm_downloaded_bytes_total")).toBe(SIZE_BYTES)
    await node.stop()
  }

  /** Runs with the origin stopped: what comes then comes from the client alone. */
  async function withoutOrigin(work: () => Promise<void>): Promise<void> {
    await origin.stop()
    try {
      await work()
    } finally {
      origin = await startNode(workspace, {
        name: "origin",
        flags: ["--public-port", `127.0.0.1:${port}`],
      })
    }
  }

  test("the port is open for what is public, and only for that", async () => {
    expect(await isListening(port)).toBe(true)
    expect(await bytesFor(shown.infoHash, port)).toBeGreaterThanOrEqual(HANDSHAKE_BYTES)
    expect(await bytesFor(hidden.infoHash, port)).toBe(0)
    expect(await bytesFor("ab".repeat(20), port)).toBe(0)
    const list = await json<{ torrents: object[] }>(origin, "ls", "--public")
    expect(list.torrents).toMatchObject([{ digest: shown.digest, isSeeded: true }])
  })

  test("the port of the fleet answers no BitTorrent handshake, not even for what is public", async () => {
    const fleetPort = Number(/\/tcp\/(\d+)/.exec(origin.p2p[0]!)![1])
    for (const { infoHash } of [shown, hidden]) {
      expect(await bytesFor(infoHash, fleetPort)).toBeLessThan(HANDSHAKE_BYTES)
    }
  })

  test("libtorrent downloads from a node and seeds it back to another", async () => {
    const folder = await workspace.folder("libtorrent")
    const client = await start(
      [PYTHON, CLIENT, "leech-seed", torrentPath, folder, "127.0.0.1", String(port)],
      { isReady: (program) => /PORT \d+/.test(program.output()), readyTimeoutMs: 90_000 },
    )
    workspace.defer(() => client.stop())
    expect(await sha256Of(join(folder, hexOf(digestOf(asset))))).toBe(hexOf(digestOf(asset)))
    const clientPort = Number(/PORT (\d+)/.exec(client.output())![1])
    await withoutOrigin(() => takeBack("after-libtorrent", shown.magnet, clientPort))
    await client.stop()
  })

  test("aria2 downloads from a node and seeds it back to another", async () => {
    const client = await aria2(torrentPath, "aria2")
    workspace.defer(() => client.program.stop())
    expect(await client.finished, client.program.output()).toBe(true)
    await withoutOrigin(() => takeBack("after-aria2", torrentPath, client.port))
    await client.program.stop()
  })

  test("the private one is had by nobody, although its info-hash is known", async () => {
    const folder = await workspace.folder("denied")
    const sentBefore = await origin.metric("sealift_swarm_uploaded_bytes_total")
    const leech = [PYTHON, CLIENT, "leech", hiddenPath, folder, "127.0.0.1", String(port)]
    const libtorrent = await start(leech, { isReady: () => true })
    const client = await aria2(hiddenPath, "denied-aria2")
    const other = await startNode(workspace, { name: "denied-node" })
    const asked = other.sealift("get", hidden.magnet, "--peer", `127.0.0.1:${port}`)
    await sleep(DENIED_MS)
    expect(await origin.metric("sealift_swarm_uploaded_bytes_total")).toBe(sentBefore)
    expect(existsSync(join(folder, hidden.digest.slice(7)))).toBe(false)
    const { store } = await json<{ store: { blobCount: number } }>(other, "status")
    expect(store.blobCount).toBe(0)
    await Promise.all([libtorrent.stop(), client.program.stop(), other.stop()])
    expect((await asked).code).not.toBe(0)
  })

  describe("a node finds another", () => {
    /** Two fresh nodes: one gives what the other has only a magnet link of. */
    async function meet(name: string, settings: Readonly<Record<string, unknown>>): Promise<void> {
      const config = { public: { port: "127.0.0.1:0", lan: true, ...settings } }
      const giver = await startNode(workspace, { name: `${name}-giver`, config })
      const taker = await startNode(workspace, { name: `${name}-taker`, config })
      const digest = await pushBlob(giver, asset)
      const told = await json<{ torrents: TorrentRow[] }>(giver, "torrent", digest, "--public")
      const got = await json<{ digest: string }>(taker, "get", told.torrents[0]!.magnet)
      expect(got.digest).toBe(digest)
      expect(await giver.metric("sealift_swarm_uploaded_bytes_total")).toBe(SIZE_BYTES)
      expect(await giver.stop()).toBe(0)
      expect(await taker.stop()).toBe(0)
    }

    test.each(["http", "udp", "ws"] as const)("by a tracker over %s alone", async (kind) => {
      const tracker = await startTracker()
      await meet(kind, { trackers: [tracker[kind]] }).finally(() => tracker.close())
    })

    test("by the mainline DHT alone", async () => {
      const entry = new Dht({ bootstrap: false })
      entry.listen(0, "127.0.0.1")
      await once(entry, "listening")
      const dhtNodes = [`127.0.0.1:${entry.address().port}`]
      await meet("dht", { dht: true, dhtNodes }).finally(() => entry.destroy())
    })
  })

  test("taken back by its owner, it is served no more and the port is closed", async () => {
    await json(origin, "torrent", shown.digest, "--private")
    expect(await isListening(port)).toBe(false)
    await json(origin, "torrent", shown.digest, "--public")
    expect(await bytesFor(shown.infoHash, port)).toBeGreaterThanOrEqual(HANDSHAKE_BYTES)
  })

  test("it stays public over a restart, and a killed node", async () => {
    await origin.kill9()
    origin = await startNode(workspace, {
      name: "origin",
      flags: ["--public-port", `127.0.0.1:${port}`],
    })
    const list = await json<{ torrents: object[] }>(origin, "ls", "--public")
    expect(list.torrents).toMatchObject([{ digest: shown.digest }])
  })

  interface Aria2 {
    readonly program: Program
    readonly folder: string
    readonly port: number
    readonly finished: Promise<boolean>
  }

  /** aria2 takes addresses from trackers alone, so one that knows the node is given to it. */
  async function aria2(torrent: string, name: string): Promise<Aria2> {
    const folder = await workspace.folder(name)
    const tracker = await trackerOf(port)
    const listenPort = await freePort()
    const program = await start([
      "aria2c",
      ...["--no-conf", "--enable-dht=false", "--bt-enable-lpd=false", "--seed-ratio=0.0"],
      ...[`--listen-port=${listenPort}`, `--bt-tracker=${tracker}`, `--dir=${folder}`, torrent],
    ])
    const target = join(folder, hexOf(digestOf(asset)))
    const finished = pollUntil(async () => {
      return existsSync(target) && (await sha256Of(target)) === hexOf(digestOf(asset))
    }, FETCH_MS_MAX)
    return { program, folder, port: listenPort, finished }
  }

  /** A tracker that knows one peer (BEP 3, BEP 23: compact). */
  async function trackerOf(peerPort: number): Promise<string> {
    const peer = Buffer.from([127, 0, 0, 1, peerPort >> 8, peerPort & 0xff])
    const body = Buffer.concat([Buffer.from("d8:intervali60e5:peers6:"), peer, Buffer.from("e")])
    const server = createServer((_request, answer) => answer.end(body))
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
    workspace.defer(() => server.close())
    const address = server.address() as { port: number }
    return `http://127.0.0.1:${address.port}/announce`
  }
})
