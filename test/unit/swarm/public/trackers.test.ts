/** Trackers: webtorrent's own on the other side, and some that lie, stall or shout. */
import { once } from "node:events"
import { createServer, type RequestListener, type Server } from "node:http"
import type { AddressInfo } from "node:net"
import fc from "fast-check"
import { afterEach, describe, expect, test } from "vitest"
import { WebSocketServer } from "ws"
import { systemClock } from "../../../../src/core/clock.ts"
import { codeOf } from "../../../../src/core/errors.ts"
import { silentLogger } from "../../../../src/core/log.ts"
import { VirtualClock } from "../../../../src/core/virtual-clock.ts"
import type { Announced, Discovery } from "../../../../src/swarm/public/discovery.ts"
import { announceByHttp, parseHttpAnswer } from "../../../../src/swarm/public/http-announce.ts"
import { boundedSdp, RtcPeers, SDP_CHARS_MAX } from "../../../../src/swarm/public/rtc-peers.ts"
import type { PeerAddress } from "../../../../src/swarm/public/torrent-link.ts"
import { binaryText, parseTrackerMessage } from "../../../../src/swarm/public/tracker-message.ts"
import { createTrackers } from "../../../../src/swarm/public/trackers.ts"
import { announceByUdp, parseUdpAnswer } from "../../../../src/swarm/public/udp-announce.ts"
import { until } from "../../../contract/swarm.ts"
import { startTracker, type TestTracker } from "../../../support/tracker.ts"

const infoHash = Buffer.alloc(20, 7)
const NAME = infoHash.toString("hex")
const closers: (() => unknown)[] = []
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close()
})

async function tracker(): Promise<TestTracker> {
  const started = await startTracker()
  closers.push(() => started.close())
  return started
}

async function httpServer(onRequest: RequestListener): Promise<string> {
  const server: Server = createServer(onRequest).listen(0, "127.0.0.1")
  closers.push(() => {
    server.closeAllConnections()
    server.close()
  })
  await once(server, "listening")
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/announce`
}

function discovery(letter: string): Discovery {
  const deps = { clock: systemClock, log: silentLogger }
  const rtc = new RtcPeers(deps, { stun: [], reachesPrivate: true })
  const made = createTrackers({ ...deps, rtc, wirePeerId: Buffer.alloc(20, letter) })
  closers.push(() => made.stop())
  return made
}

interface Noted extends Announced {
  readonly found: PeerAddress[]
}

function torrent(url: string, options: { port?: number; left: number; isFar?: boolean }): Noted {
  const found: PeerAddress[] = []
  return {
    infoHash,
    trackers: [{ url, mayBePrivate: options.isFar !== true }],
    leftBytes: () => options.left,
    port: () => options.port,
    onAddress: (address) => found.push(address),
    onStream: () => {},
    found,
  }
}

describe.each(["http", "udp"] as const)("over %s", (kind) => {
  test("who fetches is told of who seeds, and who stops is forgotten", async () => {
    const far = await tracker()
    const stopSeeding = discovery("a").announce(torrent(far[kind], { port: 7072, left: 0 }))
    await until(() => far.peerCount(NAME) === 1, "the seed is known")
    const seeker = torrent(far[kind], { left: 5 })
    const stopSeeking = discovery("b").announce(seeker)
    await until(() => seeker.found.length > 0, "the seed is found")
    expect(seeker.found).toEqual([{ host: "127.0.0.1", port: 7072 }])
    stopSeeding()
    stopSeeking()
    await until(() => far.peerCount(NAME) === 0, "both are forgotten")
  })

  test("a tracker of a stranger's link that is inside the own network is not asked", async () => {
    const far = await tracker()
    const stop = discovery("a").announce(torrent(far[kind], { port: 1, left: 0, isFar: true }))
    const near = discovery("b").announce(torrent(far[kind], { port: 2, left: 0 }))
    await until(() => far.peerCount(NAME) > 0, "the own one is asked")
    expect(far.peerCount(NAME)).toBe(1)
    stop()
    near()
  })
})

test("over WebSocket a torrent is told of, and forgotten", async () => {
  const far = await tracker()
  const stop = discovery("a").announce(torrent(far.ws, { left: 0 }))
  await until(() => far.peerCount(NAME) === 1, "it is known")
  stop()
  await until(() => far.peerCount(NAME) === 0, "it is forgotten")
})

describe("an HTTP tracker", () => {
  const announcement = {
    infoHash,
    wirePeerId: Buffer.alloc(20, "a"),
    port: 1,
    leftBytes: 0,
    event: undefined,
  }
  const ask = (url: string, timeoutMs = 10_000) =>
    announceByHttp(url, announcement, {
      mayBePrivate: true,
      signal: AbortSignal.timeout(timeoutMs),
    })

  test("that stalls in the middle of its answer is given up", async () => {
    const url = await httpServer((_request, answer) => answer.write("d"))
    await expect(ask(url, 300)).rejects.toThrow()
  })

  test.each<[string, RequestListener]>([
    ["refuses", (_request, answer) => answer.end("d14:failure reason2:noe")],
    ["answers an error", (_request, answer) => answer.writeHead(500).end()],
    ["sends elsewhere", (_request, answer) => answer.writeHead(302, { location: "/" }).end()],
    ["shouts", (_request, answer) => answer.end(Buffer.alloc(300_000, "d"))],
    ["answers no dictionary", (_request, answer) => answer.end("i5e")],
  ])("that %s fails with a code", async (_name, onRequest) => {
    await expect(ask(await httpServer(onRequest))).rejects.toMatchObject({ code: "TRACKER_FAILED" })
  })

  test("is told info-hash and id as they are, byte for byte", async () => {
    let seen = ""
    const url = await httpServer((request, answer) => {
      seen = request.url ?? ""
      answer.end("d8:intervali60ee")
    })
    expect(await ask(`${url}?key=1`)).toEqual({ intervalSeconds: 60, addresses: [] })
    expect(seen).toContain(`/announce?key=1&info_hash=${"%07".repeat(20)}&peer_id=`)
  })

  test("may answer any noise", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (noise) => {
        try {
          parseHttpAnswer(noise)
          return true
        } catch (error) {
          return ["TRACKER_FAILED", "BENCODE_INVALID"].includes(codeOf(error) ?? "")
        }
      }),
    )
  })
})

describe("a UDP tracker", () => {
  test("that says nothing is given up", async () => {
    const signal = AbortSignal.timeout(300)
    const announcement = {
      infoHash,
      wirePeerId: Buffer.alloc(20, "a"),
      port: 1,
      leftBytes: 0,
      event: undefined,
    }
    const asked = announceByUdp("udp://127.0.0.1:9/", announcement, { mayBePrivate: true, signal })
    await expect(asked).rejects.toThrow()
  })

  test("gives as many addresses as fit", () => {
    const answer = Buffer.alloc(20 + 6 + 3)
    answer.writeUInt32BE(90, 8)
    answer.set([192, 0, 2, 7, 0, 80], 20)
    expect(parseUdpAnswer(answer, 6)).toEqual({
      intervalSeconds: 90,
      addresses: [{ host: "192.0.2.7", port: 80 }],
    })
  })
})

test("a WebSocket tracker that talks nonsense harms nobody", async () => {
  const server = new WebSocketServer({ port: 0, host: "127.0.0.1" })
  closers.push(() => server.close())
  await once(server, "listening")
  const hash = binaryText(infoHash)
  const offer = { action: "announce", info_hash: hash, peer_id: "x".repeat(20), offer_id: "1" }
  let isReadToTheEnd = false
  server.on("connection", (socket) => {
    closers.push(() => socket.terminate())
    socket.once("message", () => {
      for (const message of [
        "null",
        "[]",
        '{"action":"announce"}',
        '{"action":"announce","info_hash":5}',
        JSON.stringify({ ...offer, offer: { type: "offer", sdp: "v=0" } }),
        JSON.stringify({ ...offer, answer: { type: "answer", sdp: "v=0" } }),
      ]) {
        socket.send(message)
      }
      // Its answer comes after all of that was read.
      socket.ping()
    })
    socket.on("pong", () => {
      isReadToTheEnd = true
    })
  })
  const { port } = server.address() as AddressInfo
  const stop = discovery("a").announce(torrent(`ws://127.0.0.1:${port}`, { left: 0 }))
  await until(() => isReadToTheEnd, "all of it was read")
  expect([...server.clients].every((socket) => socket.readyState === 1)).toBe(true)
  stop()
})

describe("a message of a WebSocket tracker", () => {
  const base = { action: "announce", info_hash: binaryText(infoHash) }
  const from = { peer_id: "x".repeat(20), offer_id: "\x01\xff" }

  test("is read as an interval, a failure, an offer or an answer", () => {
    const read = (fields: object) => parseTrackerMessage(JSON.stringify({ ...base, ...fields }))
    expect(read({ interval: 5 })).toEqual({ kind: "interval", infoHash: NAME, seconds: 5 })
    expect(read({ "failure reason": "no" })).toMatchObject({ kind: "failure", reason: "no" })
    const offer = { ...from, offer: { type: "offer", sdp: "v=0" } }
    expect(read(offer)).toMatchObject({ kind: "offer", sdp: "v=0", offerId: "\x01\xff" })
    expect(read({ ...from, answer: { type: "answer", sdp: "v=0" } })?.kind).toBe("answer")
  })

  test.each([
    { interval: "5" },
    { ...from, offer: { type: "answer", sdp: "v=0" } },
    { ...from, offer: { type: "offer", sdp: "x".repeat(SDP_CHARS_MAX + 1) } },
    { ...from, peer_id: "short", offer: { type: "offer", sdp: "v=0" } },
    { info_hash: "\u0100".repeat(20), interval: 5 },
    { action: "scrape", interval: 5 },
  ])("that is malformed says nothing: %j", (fields) => {
    expect(parseTrackerMessage(JSON.stringify({ ...base, ...fields }))).toBeUndefined()
  })

  test("may be any text", () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
        parseTrackerMessage(text)
      }),
    )
  })
})

describe("a description of a WebRTC connection", () => {
  const candidate = (address: string) => `a=candidate:1 1 UDP 1 ${address} 5000 typ host`
  const sdp = ["v=0", candidate("8.8.8.8"), candidate("192.168.1.1"), candidate("x.local"), ""]

  test("from a stranger loses the addresses of private networks", () => {
    const left = boundedSdp(sdp.join("\r\n"), { mayBePrivate: false })
    expect(left).toBe(["v=0", candidate("8.8.8.8"), ""].join("\r\n"))
    expect(boundedSdp(sdp.join("\n"), { mayBePrivate: true })).toBe(sdp.join("\r\n"))
  })

  test.each(["\t", "\v", "\f", "  ", "\u00a0"])(
    "from a stranger loses a candidate that two readers would read in two ways, by %j",
    (space) => {
      const fields = ["1", "1", "udp", "2122252543", "192.168.1.1", "22"].join(space)
      const line = `a=candidate:${fields} typ host raddr 8.8.8.8 rport 9`
      expect(boundedSdp(["v=0", line, ""].join("\n"), { mayBePrivate: false })).toBe("v=0\r\n")
    },
  )

  test("is bounded in its length and its candidates", () => {
    const many = Array.from({ length: 100 }, () => candidate("8.8.8.8")).join("\n")
    expect(boundedSdp(many, { mayBePrivate: false }).split("\r\n")).toHaveLength(24)
    const long = "x".repeat(SDP_CHARS_MAX + 1)
    expect(() => boundedSdp(long, { mayBePrivate: true })).toThrow()
  })
})

describe("a WebRTC connection that brings no data channel", () => {
  test("has its place for a minute and no longer, though it stands", async () => {
    const clock = new VirtualClock()
    const rtc = new RtcPeers({ clock, log: silentLogger }, { stun: [], reachesPrivate: true })
    const { PeerConnection } = await import("node-datachannel")
    const stranger = new PeerConnection("stranger", { iceServers: [] })
    closers.push(() => stranger.close())
    const gathered = new Promise<void>((resolve) => {
      stranger.onGatheringStateChange((state) => {
        if (state === "complete") resolve()
      })
    })
    const channel = stranger.createDataChannel("x")
    await gathered
    channel.close()
    const streams: unknown[] = []
    const answer = await rtc.answer(stranger.localDescription()!.sdp, (one) => streams.push(one))
    closers.push(() => rtc.stop())
    stranger.setRemoteDescription(answer!, "answer")
    await until(() => stranger.state() === "connected", "the connection stands")
    await clock.advance(60_000)
    expect([rtc.count, streams]).toEqual([0, []])
  })
})
