/** Attacks the accepting side of a data channel with true TLS sockets. */
import { randomBytes } from "node:crypto"
import net from "node:net"
import tls from "node:tls"
import { afterEach, beforeEach, describe, expect, test } from "vitest"
import { VirtualClock } from "../../../src/core/virtual-clock.ts"
import { HANDSHAKE_TIMEOUT_MS } from "../../../src/net/limit.ts"
import { deriveChannelKey, type Ticket, TicketBook } from "../../../src/net/ticket.ts"
import { openTlsSocket, TicketDoor } from "../../../src/net/tls-channel.ts"
import { TlsAcceptor } from "../../../src/net/tls-socket.ts"
import { selfSigned } from "./self-signed.ts"
import { closed, listen, until, withSignal } from "./support.ts"

const SEEDER = "seeder"
const FETCHER = "fetcher"
const PEERS = { seeder: SEEDER, fetcher: FETCHER }

let clock: VirtualClock
let tickets: TicketBook
let taken: { peer: string; socket: tls.TLSSocket }[]
let server: net.Server
let port: number
const sockets: net.Socket[] = []

beforeEach(async () => {
  clock = new VirtualClock()
  tickets = new TicketBook(clock)
  taken = []
  const door = new TicketDoor(
    { tickets },
    { self: SEEDER, onChannel: (peer, socket) => taken.push({ peer, socket }) },
  )
  const acceptor = new TlsAcceptor({ clock, doors: [door] })
  server = net.createServer((socket) => {
    sockets.push(socket)
    acceptor.accept(socket)
  })
  port = await listen(server)
})

afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy()
  await new Promise((resolve) => server.close(resolve))
})

async function open(ticket: Ticket, peers = PEERS): Promise<tls.TLSSocket> {
  const endpoint = { host: "127.0.0.1", port }
  const { socket } = await openTlsSocket({ endpoint, ticket }, peers, withSignal())
  sockets.push(socket)
  return socket
}

/** A client of the attacker's own making. */
function connect(options: tls.ConnectionOptions): tls.TLSSocket {
  const socket = tls.connect({ host: "127.0.0.1", port, rejectUnauthorized: false, ...options })
  sockets.push(socket)
  return socket.on("error", () => {}).resume()
}

const keyed = (ticket: Ticket, more: tls.ConnectionOptions = {}): tls.ConnectionOptions => ({
  pskCallback: () => ({ psk: deriveChannelKey(ticket.secret, PEERS), identity: ticket.id }),
  checkServerIdentity: () => undefined,
  ciphers: "TLS_AES_128_GCM_SHA256",
  ...more,
})

const refused = { code: "TICKET_INVALID" }

describe("a data channel", () => {
  test("opens with a ticket, and both sides know whom they speak to", async () => {
    const ticket = tickets.issue(FETCHER, [])
    const socket = await open(ticket)
    await until(() => taken.length === 1)
    expect(taken[0]!.peer).toBe(FETCHER)
    expect(socket.getProtocol()).toBe("TLSv1.3")
    expect(socket.getEphemeralKeyInfo()).not.toEqual({})
    const heard = new Promise((resolve) => taken[0]!.socket.once("data", resolve))
    socket.write("hello")
    expect(String(await heard)).toBe("hello")
  })

  test("buffers 1 MiB each way at both ends", async () => {
    const socket = await open(tickets.issue(FETCHER, []))
    await until(() => taken.length === 1)
    for (const end of [socket, taken[0]!.socket]) {
      expect([end.readableHighWaterMark, end.writableHighWaterMark]).toEqual([1 << 20, 1 << 20])
    }
  })

  test("opens while another host has begun as many handshakes as there may be", async () => {
    const ticket = tickets.issue(FETCHER, [])
    for (let count = 0; count < 64; count++) {
      const stranger = net.connect({ port, host: "127.0.0.1", localAddress: "127.0.0.2" })
      sockets.push(stranger.on("error", () => {}))
      stranger.write(Uint8Array.of(0x16, 3, 1))
    }
    await until(() => sockets.length === 2 * 64)
    await open(ticket)
    await until(() => taken.length === 1)
  })

  test("refuses a ticket that was used", async () => {
    const ticket = tickets.issue(FETCHER, [])
    tickets.issue(FETCHER, [])
    await open(ticket)
    await until(() => taken.length === 1)
    await expect(open(ticket)).rejects.toMatchObject(refused)
    expect(taken.length).toBe(1)
  })

  test("lets one of two win that use a ticket at the same moment", async () => {
    const ticket = tickets.issue(FETCHER, [])
    const both = await Promise.allSettled([open(ticket), open(ticket)])
    await until(() => taken.length === 1)
    const opened = both.flatMap((end) => (end.status === "fulfilled" ? [end.value.resume()] : []))
    // The loser may learn of it only after its side of the handshake.
    await until(() => opened.filter((socket) => !socket.destroyed).length === 1)
    expect(taken.length).toBe(1)
  })

  test("refuses a ticket that expired", async () => {
    const ticket = tickets.issue(FETCHER, [])
    await clock.advance(10_000)
    tickets.issue(FETCHER, [])
    await clock.advance(10_000)
    await expect(open(ticket)).rejects.toMatchObject(refused)
  })

  test("refuses a ticket that was taken back", async () => {
    const ticket = tickets.issue(FETCHER, [])
    tickets.issue("another", [])
    tickets.revoke(FETCHER)
    await expect(open(ticket)).rejects.toMatchObject(refused)
  })

  test("refuses a wrong secret, and the ticket is still good for who has the right one", async () => {
    const ticket = tickets.issue(FETCHER, [])
    const wrong = { ...ticket, secret: Uint8Array.from(randomBytes(32)) }
    await expect(open(wrong)).rejects.toMatchObject(refused)
    await open(ticket)
    await until(() => taken.length === 1)
  })

  test("refuses a ticket in the hands of another peer, and one used on another seeder", async () => {
    const ticket = tickets.issue(FETCHER, [])
    await expect(open(ticket, { seeder: SEEDER, fetcher: "thief" })).rejects.toMatchObject(refused)
    await expect(open(ticket, { seeder: "other", fetcher: FETCHER })).rejects.toMatchObject(refused)
    expect(taken).toEqual([])
  })

  test("refuses TLS 1.2", async () => {
    const ticket = tickets.issue(FETCHER, [])
    await closed(
      connect(keyed(ticket, { maxVersion: "TLSv1.2", ciphers: "PSK-AES128-GCM-SHA256" })),
    )
    expect(taken).toEqual([])
    expect(tickets.find(ticket.id)).toBeDefined()
  })

  test("refuses a client without a key", async () => {
    tickets.issue(FETCHER, [])
    await closed(connect({}))
    expect(taken).toEqual([])
  })

  test("refuses a TLS session of an earlier channel", async () => {
    const sessions: Buffer[] = []
    const first = connect(keyed(tickets.issue(FETCHER, [])))
    first.on("session", (session) => sessions.push(session))
    await until(() => taken.length === 1)
    taken[0]!.socket.write("something to read")
    await new Promise((resolve) => first.once("data", resolve))
    // Without a session the attack would prove nothing.
    const session = sessions.at(-1) ?? first.getSession()
    expect(session).toBeDefined()
    tickets.issue(FETCHER, [])
    await closed(connect({ session: session!, ciphers: "TLS_AES_128_GCM_SHA256" }))
    expect(taken.length).toBe(1)
  })

  test("closes TLS unread while no ticket is out", async () => {
    const raw = net.connect(port, "127.0.0.1").on("error", () => {})
    sockets.push(raw)
    await closed(raw.resume())
  })

  test("closes a handshake that does not go on", async () => {
    tickets.issue(FETCHER, [])
    const raw = net.connect(port, "127.0.0.1").on("error", () => {})
    sockets.push(raw)
    raw.write(Uint8Array.of(0x16, 3, 1))
    await until(() => sockets.length === 2)
    await new Promise((resolve) => setTimeout(resolve, 30))
    expect(raw.destroyed).toBe(false)
    const gone = closed(raw.resume())
    await clock.advance(HANDSHAKE_TIMEOUT_MS)
    await gone
  })

  test("counts no handshake that ended: more than the limit may come one after the other", async () => {
    for (let count = 0; count < 70; count++) {
      const ticket = tickets.issue(FETCHER, [])
      const socket = await open(ticket)
      await until(() => taken.length === count + 1)
      socket.destroy()
    }
  })
})

describe("the opening side", () => {
  const { key, cert } = selfSigned("127.0.0.1")

  /** A false seeder. */
  async function impostor(options: tls.TlsOptions): Promise<number> {
    const other = tls.createServer(options, (socket) => socket.on("error", () => {}))
    other.on("tlsClientError", () => {})
    other.on("connection", (socket: net.Socket) => sockets.push(socket))
    const number = await listen(other)
    const closing = closed(other)
    cleanups.push(async () => {
      other.close()
      await closing
    })
    return number
  }
  const cleanups: (() => Promise<void>)[] = []
  afterEach(async () => {
    for (const socket of sockets.splice(0)) socket.destroy()
    for (const cleanup of cleanups.splice(0)) await cleanup()
  })

  test("takes no certificate in place of the key, not even a trusted one", async () => {
    const before = tls.getCACertificates()
    tls.setDefaultCACertificates([cert])
    cleanups.push(async () => tls.setDefaultCACertificates(before))
    port = await impostor({ key, cert, minVersion: "TLSv1.3" })
    // The certificate is good for everybody else.
    const trusting = connect({ rejectUnauthorized: true })
    await new Promise((resolve) => trusting.once("secureConnect", resolve))
    expect(trusting.authorized).toBe(true)
    await expect(open(tickets.issue(FETCHER, []))).rejects.toMatchObject(refused)
  })

  test("takes no other key, no other suite and no other version", async () => {
    const ticket = tickets.issue(FETCHER, [])
    const key = deriveChannelKey(ticket.secret, PEERS)
    port = await impostor({ pskCallback: () => randomBytes(32) })
    await expect(open(ticket)).rejects.toMatchObject(refused)
    port = await impostor({ pskCallback: () => key, ciphers: "TLS_CHACHA20_POLY1305_SHA256" })
    await expect(open(ticket)).rejects.toMatchObject(refused)
    port = await impostor({ pskCallback: () => key, maxVersion: "TLSv1.2", ciphers: "PSK" })
    await expect(open(ticket)).rejects.toMatchObject(refused)
    port = await impostor({ pskCallback: () => key, ciphers: "TLS_AES_128_GCM_SHA256" })
    await open(ticket)
  })

  test("says that nobody listens", async () => {
    const free = net.createServer()
    port = await listen(free)
    await new Promise((resolve) => free.close(resolve))
    await expect(open(tickets.issue(FETCHER, []))).rejects.toMatchObject({
      code: "PEER_UNREACHABLE",
    })
  })

  test("ends with the signal's own reason", async () => {
    const silent = net.createServer((socket) => sockets.push(socket))
    port = await listen(silent)
    const reason = new Error("enough")
    const controller = new AbortController()
    const target = { endpoint: { host: "127.0.0.1", port }, ticket: tickets.issue(FETCHER, []) }
    const opening = openTlsSocket(target, PEERS, controller)
    setTimeout(() => controller.abort(reason), 20)
    await expect(opening).rejects.toBe(reason)
    await expect(openTlsSocket(target, PEERS, controller)).rejects.toBe(reason)
    silent.close()
  })
})
