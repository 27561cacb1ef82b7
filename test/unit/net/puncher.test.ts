// Holes without routers: on one machine packets never cross, so here one side waits for the other's
// connection on its local port. What the routers do is tested in test/lab/nat.test.ts.
import net from "node:net"
import type { Connection } from "@libp2p/interface"
import { afterEach, describe, expect, test } from "vitest"
import { systemClock } from "../../../src/core/clock.ts"
import { silentLogger } from "../../../src/core/log.ts"
import { MemoryMetrics } from "../../../src/core/metrics.ts"
import { VirtualClock } from "../../../src/core/virtual-clock.ts"
import { AddressObserver, OBSERVE_PROTOCOL } from "../../../src/net/address-observer.ts"
import { encodePunchRequest } from "../../../src/net/punch-message.ts"
import { Puncher, type PuncherDeps } from "../../../src/net/puncher.ts"
import { SharedPort } from "../../../src/net/shared-port.ts"
import { untilOpen } from "../../../src/net/simultaneous-open.ts"
import { encodeTicket, TicketBook } from "../../../src/net/ticket.ts"
import { TicketDoor } from "../../../src/net/tls-channel.ts"
import { TlsAcceptor } from "../../../src/net/tls-socket.ts"
import { closed, listen, until, withSignal } from "./support.ts"

const ELSEWHERE = { endpoints: [{ host: "203.0.113.9", port: 50_000 }], roundTripMs: 0 }
const LOOPBACK = { endpoints: [{ host: "127.0.0.1", port: 50_000 }], roundTripMs: 0 }

const undo: (() => void)[] = []
afterEach(() => {
  for (const work of undo.splice(0)) work()
})

/** A relay's port, as far as it sees others. */
async function startObserver(options: { isServed?: boolean; clock?: VirtualClock } = {}) {
  const clock = options.clock ?? systemClock
  const observer = new AddressObserver({ clock }, { isServed: () => options.isServed ?? true })
  const port = new SharedPort(
    { clock },
    { isAllowed: () => true, takeTls: (s) => s.destroy(), takeObserved: observer.takeSocket },
  )
  const server = net.createServer((socket) => socket.destroy())
  port.standBefore(server)
  const endpoint = { host: "127.0.0.1", port: await listen(server) }
  undo.push(() => {
    observer.close()
    port.close()
    server.close()
  })
  const ask = (peer: string, body: Uint8Array) => observer.answer(body, { peer, ...withSignal() })
  return { observer, endpoint, ask }
}

type Relay = Awaited<ReturnType<typeof startObserver>>

/** Waits for the other side instead of connecting to it. */
const awaitFrom: PuncherDeps["connect"] = (localPort, _endpoint, signal) =>
  new Promise((resolve, reject) => {
    const server = net.createServer((socket) => {
      server.close()
      resolve(socket)
    })
    signal.addEventListener("abort", () => {
      server.close()
      reject(signal.reason)
    })
    server.listen(localPort, "127.0.0.1")
  })

/** One side. `others` are asked by name; the relay by the name `relay`. */
function startSide(self: string, relay: Relay | undefined, options: Partial<PuncherDeps> = {}) {
  const clock = options.clock ?? systemClock
  const metrics = new MemoryMetrics()
  const tickets = new TicketBook(clock)
  const channels: net.Socket[] = []
  const door = new TicketDoor(
    { tickets },
    { self, onChannel: (_peer, socket) => channels.push(socket) },
  )
  const acceptor = new TlsAcceptor({ clock, doors: [door] })
  const others = new Map<string, Puncher>()
  const puncher = new Puncher(
    {
      clock,
      metrics,
      log: silentLogger,
      connect: awaitFrom,
      ask: (peer, protocol, body, signal) => {
        if (protocol === OBSERVE_PROTOCOL) return relay!.ask(self, body)
        return others.get(peer)!.answer(body, { peer: self, signal })
      },
      observers: () => (relay === undefined ? [] : [{ peer: "relay", endpoint: relay.endpoint }]),
      isHostAllowed: () => true,
      giveTicket: (peer, addresses) => encodeTicket(tickets.issue(peer, addresses)),
      takeTls: (socket) => acceptor.accept(socket),
      ...options,
    },
    { self },
  )
  undo.push(() => puncher.close())
  const count = (side: string, outcome: string) =>
    metrics.value("sealift_net_punches_total", { side, outcome })
  return { puncher, others, channels, count }
}

/** As much of a connection as is looked at. */
const connectionTo = (peer: string) =>
  ({ remotePeer: { toString: () => peer }, rtt: 2 }) as unknown as Connection

describe("a hole", () => {
  test("becomes a channel that only the two of them share, and bytes flow both ways", async () => {
    const relay = await startObserver()
    const [asker, answerer] = [startSide("asker", relay), startSide("answerer", relay)]
    asker.others.set("answerer", answerer.puncher)
    const { socket } = await asker.puncher.open(connectionTo("answerer"), withSignal().signal)
    undo.push(() => socket.destroy())
    await until(() => answerer.channels.length === 1)
    const [other] = answerer.channels
    other!.on("data", (bytes) => other!.write(bytes))
    const echo = new Promise((resolve) => socket.once("data", resolve))
    socket.write("through")
    expect(String(await echo)).toBe("through")
    expect([asker.count("ask", "opened"), answerer.count("answer", "opened")]).toEqual([1, 1])
    expect(socket.remotePort).not.toBe(relay.endpoint.port)
    const gone = closed(other!)
    socket.destroy()
    await gone
  })

  test("ends with the network: the socket that was given away, too", async () => {
    const relay = await startObserver()
    const [asker, answerer] = [startSide("asker", relay), startSide("answerer", relay)]
    asker.others.set("answerer", answerer.puncher)
    const { socket } = await asker.puncher.open(connectionTo("answerer"), withSignal().signal)
    const gone = closed(socket)
    answerer.puncher.close()
    await gone
  })

  test("is not tried when no relay tells as whom this node is seen", async () => {
    const { puncher, count } = startSide("asker", undefined)
    await expect(puncher.open(connectionTo("answerer"), withSignal().signal)).rejects.toMatchObject(
      { code: "PUNCH_FAILED" },
    )
    const strict = startSide("asker", await startObserver({ isServed: false }))
    await expect(
      strict.puncher.open(connectionTo("answerer"), withSignal().signal),
    ).rejects.toMatchObject({ code: "PUNCH_FAILED" })
    expect([count("ask", "failed"), strict.count("ask", "failed")]).toEqual([0, 1])
  })

  test.each([
    { what: "a host that this node may not contact", request: LOOPBACK, isHostAllowed: false },
    {
      what: "another family of addresses",
      request: { endpoints: [{ host: "2001:db8::1", port: 50_000 }], roundTripMs: 0 },
      isHostAllowed: true,
    },
  ])("is never tried towards $what", async ({ request, isHostAllowed }) => {
    const relay = await startObserver()
    let tried = 0
    const { puncher } = startSide("answerer", relay, {
      isHostAllowed: () => isHostAllowed,
      connect: () => {
        tried++
        return Promise.reject(new Error("must not be tried"))
      },
    })
    const context = { peer: "asker", ...withSignal() }
    await expect(puncher.answer(encodePunchRequest(request), context)).rejects.toMatchObject({
      code: "PUNCH_FAILED",
    })
    expect(tried).toBe(0)
  })

  test("is given up after three seconds, and until then two of a peer are enough", async () => {
    const clock = new VirtualClock()
    const relay = await startObserver({ clock })
    const connect: PuncherDeps["connect"] = (_port, _endpoint, signal) =>
      new Promise((_resolve, reject) => {
        signal.addEventListener("abort", () => reject(signal.reason))
      })
    const { puncher, count } = startSide("answerer", relay, { clock, connect })
    const context = { peer: "asker", ...withSignal() }
    const answer = () => puncher.answer(encodePunchRequest(ELSEWHERE), context)
    await answer()
    await answer()
    await expect(answer()).rejects.toMatchObject({ code: "PUNCH_FAILED" })
    await clock.advance(2_999)
    expect(count("answer", "failed")).toBe(0)
    await clock.advance(1)
    await until(() => count("answer", "failed") === 2)
    await answer()
  })

  test("is refused to who asks in a malformed way", async () => {
    const { puncher } = startSide("answerer", await startObserver())
    const context = { peer: "asker", ...withSignal() }
    await expect(puncher.answer(Buffer.from("{}"), context)).rejects.toMatchObject({
      code: "PROTOCOL_VIOLATION",
    })
  })
})

describe("trying at the same moment", () => {
  const fault = (code: string) => Object.assign(new Error(code), { code })

  test("goes on while routers answer by resets, and ends with the first that stands", async () => {
    const clock = new VirtualClock()
    const codes = ["ECONNREFUSED", "ECONNRESET", "EHOSTUNREACH"]
    const attempt = async () => {
      const code = codes.shift()
      if (code !== undefined) throw new Error("no socket", { cause: fault(code) })
      return "open"
    }
    const opening = untilOpen(clock, attempt, withSignal().signal)
    await clock.advance(3 * 90)
    expect(await opening).toBe("open")
  })

  test("ends at once when trying again is of no use", async () => {
    const attempt = () => Promise.reject(fault("EACCES"))
    const opening = untilOpen(new VirtualClock(), attempt, withSignal().signal)
    await expect(opening).rejects.toMatchObject({ code: "EACCES" })
  })

  test("ends with the signal's own reason, in a pause too", async () => {
    const controller = new AbortController()
    const reason = new Error("enough")
    const attempt = () => Promise.reject(fault("ECONNREFUSED"))
    const opening = untilOpen(new VirtualClock(), attempt, controller.signal)
    controller.abort(reason)
    await expect(opening).rejects.toBe(reason)
  })
})

describe("being seen", () => {
  test("is for the peer that holds the token, once a socket came with it", async () => {
    const { ask, endpoint } = await startObserver()
    const token = await ask("alice", new Uint8Array())
    await expect(ask("mallory", token)).rejects.toMatchObject({ code: "TICKET_INVALID" })
    const answer = ask("alice", token)
    const socket = net.connect(endpoint.port, endpoint.host).on("error", () => {})
    undo.push(() => socket.destroy())
    // In two parts: what is read is what came, not what is needed.
    socket.write(Buffer.concat([Buffer.of(0x4f), token.subarray(0, 5)]))
    await new Promise((resolve) => socket.once("connect", resolve))
    socket.write(token.subarray(5))
    expect(String(Buffer.from(await answer))).toBe(`/ip4/127.0.0.1/tcp/${socket.localPort}`)
  })

  test("is refused to peers that are not served, and to who asks for too much", async () => {
    const strict = await startObserver({ isServed: false })
    await expect(strict.ask("alice", new Uint8Array())).rejects.toMatchObject({
      code: "RELAY_REFUSED",
    })
    const { ask } = await startObserver()
    for (let count = 0; count < 4; count++) await ask("alice", new Uint8Array())
    await expect(ask("alice", new Uint8Array())).rejects.toMatchObject({ code: "RELAY_REFUSED" })
    await ask("bob", new Uint8Array())
  })

  test("ends without a socket after five seconds, and tokens are given again", async () => {
    const clock = new VirtualClock()
    const { ask } = await startObserver({ clock })
    const token = await ask("alice", new Uint8Array())
    const answer = ask("alice", token)
    const failed = expect(answer).rejects.toMatchObject({ code: "TICKET_INVALID" })
    await clock.advance(5_000)
    await failed
    await expect(ask("alice", token)).rejects.toMatchObject({ code: "TICKET_INVALID" })
  })

  test("closes sockets with a token that nobody was given", async () => {
    const { endpoint } = await startObserver()
    const socket = net.connect(endpoint.port, endpoint.host).on("error", () => {})
    socket.write(Buffer.concat([Buffer.of(0x4f), Buffer.alloc(16)]))
    socket.resume()
    await closed(socket)
  })
})
