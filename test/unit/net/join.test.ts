/** Attacks both sides of joining by invite with true TLS sockets. */
import { randomBytes } from "node:crypto"
import net from "node:net"
import tls from "node:tls"
import fc from "fast-check"
import { afterEach, beforeEach, describe, expect, test } from "vitest"
import { lengthPrefixed, uint32 } from "../../../src/core/length-prefix.ts"
import { silentLogger } from "../../../src/core/log.ts"
import { VirtualClock } from "../../../src/core/virtual-clock.ts"
import { JoinDesk } from "../../../src/net/join-desk.ts"
import { inviteIdentity, JoinFrameReader } from "../../../src/net/join-message.ts"
import { joinByInvite } from "../../../src/net/joining.ts"
import { JOIN_ANSWER_BYTES_MAX, JOIN_EXCHANGE_TIMEOUT_MS } from "../../../src/net/limit.ts"
import { deriveChannelKey, TicketBook } from "../../../src/net/ticket.ts"
import { openTlsSocket, TicketDoor } from "../../../src/net/tls-channel.ts"
import { TlsAcceptor } from "../../../src/net/tls-socket.ts"
import { TestInvites } from "../../support/test-fleet.ts"
import { selfSigned } from "./self-signed.ts"
import { closed, listen, until, withSignal } from "./support.ts"

const REQUEST_TIMEOUT_MS = 10_000
const JOINS_MAX = 8
const PEERS = { seeder: "issuer", fetcher: "newcomer" }
const REQUEST = Buffer.from("let me in")
const ANSWER = Buffer.from("welcome")
const refused = { code: "INVITE_REFUSED" }

type Invite = ReturnType<TestInvites["add"]>

let clock: VirtualClock
let invites: TestInvites
let tickets: TicketBook
let desk: JoinDesk
let asked: string[]
let channels: tls.TLSSocket[]
let port: number
let server: net.Server
const sockets: net.Socket[] = []

beforeEach(async () => {
  clock = new VirtualClock()
  invites = new TestInvites()
  tickets = new TicketBook(clock)
  asked = []
  channels = []
  desk = new JoinDesk({ clock, log: silentLogger })
  answerWith(async () => ANSWER)
  const onChannel = (_peer: string, socket: tls.TLSSocket) => channels.push(socket)
  const door = new TicketDoor({ tickets }, { self: PEERS.seeder, onChannel })
  const acceptor = new TlsAcceptor({ clock, doors: [door, desk] })
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

function answerWith(answer: () => Promise<Uint8Array>): void {
  desk.open({
    keys: invites,
    handler: (request) => {
      asked.push(Buffer.from(request).toString())
      return answer()
    },
  })
}

function join(invite: Invite, at: number = port): Promise<Uint8Array> {
  const target = { addresses: [`/ip4/127.0.0.1/tcp/${at}`], ...invite }
  return joinByInvite({ clock }, target, { request: REQUEST, ...withSignal() })
}

/** A client of the attacker's own making, which says what it likes. */
function connect(options: tls.ConnectionOptions): tls.TLSSocket {
  const socket = tls.connect({
    host: "127.0.0.1",
    port,
    rejectUnauthorized: false,
    checkServerIdentity: () => undefined,
    ciphers: "TLS_AES_128_GCM_SHA256",
    ...options,
  })
  sockets.push(socket)
  return socket.on("error", () => {})
}

const keyed = (identity: string, key: Uint8Array) => ({
  pskCallback: () => ({ psk: key, identity }),
})

/** A client that proved its invite. */
async function proved({ id, key }: Invite): Promise<tls.TLSSocket> {
  const socket = connect(keyed(inviteIdentity(id), key))
  await new Promise((resolve) => socket.once("secureConnect", resolve))
  return socket
}

async function isEndedUnanswered(socket: tls.TLSSocket): Promise<boolean> {
  let heardBytes = 0
  socket.on("data", (bytes: Uint8Array) => {
    heardBytes += bytes.length
  })
  await closed(socket)
  return heardBytes === 0
}

describe("a frame of the join", () => {
  test("comes out as it went in, however the bytes are cut", () => {
    const body = fc.uint8Array({ minLength: 1, maxLength: 300 })
    fc.assert(
      fc.property(body, fc.integer({ min: 1, max: 50 }), (sent, cut) => {
        const bytes = lengthPrefixed(sent)
        const reader = new JoinFrameReader(300)
        for (let start = 0; start < bytes.length; start += cut) {
          const read = reader.push(bytes.subarray(start, start + cut))
          const isLast = start + cut >= bytes.length
          expect(read === undefined ? undefined : [...read]).toEqual(isLast ? [...sent] : undefined)
        }
      }),
    )
  })

  test.each([
    ["is empty", uint32(0)],
    ["is too large, before it has come", uint32(301)],
    ["claims all that a length can", uint32(2 ** 32 - 1)],
    ["has a byte after it", Buffer.concat([lengthPrefixed(REQUEST), Buffer.of(0)])],
  ])("that %s is refused", (_case, bytes) => {
    const violation = expect.objectContaining({ code: "PROTOCOL_VIOLATION" })
    expect(() => new JoinFrameReader(300).push(bytes)).toThrow(violation)
  })

  test("is the last one", () => {
    const reader = new JoinFrameReader(300)
    expect(reader.push(lengthPrefixed(REQUEST))).toBeDefined()
    const violation = expect.objectContaining({ code: "PROTOCOL_VIOLATION" })
    expect(() => reader.push(lengthPrefixed(REQUEST))).toThrow(violation)
  })
})

describe("the issuer", () => {
  test("answers who proves an invite, once, and closes", async () => {
    const invite = invites.add()
    const socket = await proved(invite)
    socket.write(lengthPrefixed(REQUEST))
    const chunks: Uint8Array[] = []
    for await (const chunk of socket) chunks.push(chunk as Uint8Array)
    expect(Buffer.concat(chunks)).toEqual(Buffer.from(lengthPrefixed(ANSWER)))
    expect([asked, invites.redeemed]).toEqual([[String(REQUEST)], [invite.id]])
  })

  test("carries the largest answer", async () => {
    const largest = randomBytes(JOIN_ANSWER_BYTES_MAX)
    answerWith(async () => largest)
    expect(largest.equals(await join(invites.add()))).toBe(true)
  })

  test.each([
    ["a wrong key", (invite: Invite) => keyed(inviteIdentity(invite.id), randomBytes(32))],
    ["an unknown id", (invite: Invite) => keyed(inviteIdentity("0".repeat(32)), invite.key)],
    ["an id that is none", (invite: Invite) => keyed("invite:__proto__", invite.key)],
    ["an id in capitals", (invite: Invite) => keyed(inviteIdentity("A".repeat(32)), invite.key)],
    ["no key", () => ({})],
    [
      "TLS 1.2",
      ({ id, key }: Invite) => ({
        ...keyed(inviteIdentity(id), key),
        maxVersion: "TLSv1.2" as const,
        ciphers: "PSK-AES128-GCM-SHA256",
      }),
    ],
  ])("refuses %s, and the invite is still good", async (_case, attack) => {
    const invite = invites.add()
    const socket = connect(attack(invite))
    socket.write(lengthPrefixed(REQUEST))
    expect(await isEndedUnanswered(socket)).toBe(true)
    expect([asked, invites.redeemed]).toEqual([[], []])
    expect(Buffer.from(await join(invite))).toEqual(ANSWER)
  })

  test("refuses an invite that expired", async () => {
    const invite = invites.add()
    invites.keys.delete(invite.id)
    await expect(join(invite)).rejects.toMatchObject(refused)
  })

  test("refuses an invite that expired during the handshake", async () => {
    const invite = invites.add()
    invites.redeem = async () => false
    const socket = connect(keyed(inviteIdentity(invite.id), invite.key))
    socket.write(lengthPrefixed(REQUEST))
    expect(await isEndedUnanswered(socket)).toBe(true)
    expect(asked).toEqual([])
  })

  test("takes no ticket for an invite, and no invite for a ticket", async () => {
    const ticket = tickets.issue(PEERS.fetcher, [])
    const ticketKey = deriveChannelKey(ticket.secret, PEERS)
    const asInvite = join({ id: ticket.id, key: ticketKey })
    await expect(asInvite).rejects.toMatchObject(refused)
    const invite = invites.add()
    const bare = connect(keyed(invite.id, invite.key))
    expect(await isEndedUnanswered(bare)).toBe(true)
    const prefixed = { ...ticket, id: inviteIdentity(ticket.id) }
    const opened = openTlsSocket(
      { endpoint: { host: "127.0.0.1", port }, ticket: prefixed },
      PEERS,
      withSignal(),
    )
    await expect(opened).rejects.toMatchObject({ code: "TICKET_INVALID" })
    expect([channels, asked, invites.redeemed]).toEqual([[], [], []])
    expect(tickets.find(ticket.id)).toBeDefined()
  })

  test("lets the redeeming decide between two sockets that proved the same invite", async () => {
    const invite = invites.add()
    const redeem = invites.redeem.bind(invites)
    const both = Promise.withResolvers<void>()
    let waiting = 0
    invites.redeem = async (id) => {
      if (++waiting === 2) both.resolve()
      await both.promise
      return redeem(id)
    }
    const ends = await Promise.allSettled([join(invite), join(invite)])
    expect(ends.map(({ status }) => status).toSorted()).toEqual(["fulfilled", "rejected"])
    expect([waiting, asked.length]).toEqual([2, 1])
  })

  test("reads nothing before the invite is marked used", async () => {
    const marked = Promise.withResolvers<boolean>()
    invites.redeem = () => marked.promise
    const socket = await proved(invites.add())
    socket.write(lengthPrefixed(REQUEST))
    await new Promise((resolve) => setTimeout(resolve, 30))
    expect(asked).toEqual([])
    marked.resolve(true)
    await until(() => asked.length === 1)
  })

  test("has no second exchange for the TLS session of a used invite", async () => {
    const sessions: Buffer[] = []
    const first = await proved(invites.add())
    first.on("session", (session) => sessions.push(session))
    first.write(lengthPrefixed(REQUEST))
    expect(await isEndedUnanswered(first)).toBe(false)
    // Without a session the attack would prove nothing.
    const session = sessions.at(-1) ?? first.getSession()
    expect(session).toBeDefined()
    invites.add()
    const again = connect({ session: session! })
    again.write(lengthPrefixed(REQUEST))
    expect(await isEndedUnanswered(again)).toBe(true)
    expect(asked.length).toBe(1)
  })

  test.each([
    ["a request that is too large", uint32(16 * 1024 + 1)],
    ["an empty request", uint32(0)],
    ["more than one request", Buffer.concat([lengthPrefixed(REQUEST), lengthPrefixed(REQUEST)])],
  ])("closes on %s, and asks nobody", async (_case, bytes) => {
    const socket = await proved(invites.add())
    socket.write(bytes)
    expect(await isEndedUnanswered(socket)).toBe(true)
    expect(asked).toEqual([])
  })

  test("closes on whatever follows the request while it is answered", async () => {
    answerWith(() => new Promise(() => {}))
    const socket = await proved(invites.add())
    socket.write(lengthPrefixed(REQUEST))
    await until(() => asked.length === 1)
    socket.write("x")
    expect(await isEndedUnanswered(socket)).toBe(true)
  })

  test("closes on a client that proves its invite and is silent", async () => {
    const socket = await proved(invites.add())
    await until(() => invites.redeemed.length === 1)
    socket.write(Uint8Array.of(0))
    const ended = isEndedUnanswered(socket)
    await clock.advance(REQUEST_TIMEOUT_MS - 1)
    expect(socket.destroyed).toBe(false)
    await clock.advance(1)
    expect(await ended).toBe(true)
  })

  test("gives up an exchange that takes too long", async () => {
    answerWith(() => new Promise(() => {}))
    const socket = await proved(invites.add())
    socket.write(lengthPrefixed(REQUEST))
    await until(() => asked.length === 1)
    const ended = isEndedUnanswered(socket)
    await clock.advance(JOIN_EXCHANGE_TIMEOUT_MS)
    expect(await ended).toBe(true)
  })

  test("redeems eight invites at once; the ninth is refused unused, and good later", async () => {
    const released = Promise.withResolvers<Uint8Array>()
    answerWith(() => released.promise)
    const running = Array.from({ length: JOINS_MAX }, () => join(invites.add()))
    await until(() => asked.length === JOINS_MAX)
    const ninth = invites.add()
    await expect(join(ninth)).rejects.toMatchObject(refused)
    expect(invites.redeemed).not.toContain(ninth.id)
    released.resolve(ANSWER)
    await Promise.all(running)
    expect(Buffer.from(await join(ninth))).toEqual(ANSWER)
  })

  test("frees the place of every client that ended", async () => {
    for (let count = 0; count <= JOINS_MAX; count++) {
      const socket = await proved(invites.add())
      socket.write(uint32(0))
      await closed(socket.resume())
    }
    expect(Buffer.from(await join(invites.add()))).toEqual(ANSWER)
  })
})

describe("the newcomer", () => {
  const { key, cert } = selfSigned("127.0.0.1")
  const impostors: tls.Server[] = []
  afterEach(async () => {
    for (const socket of sockets.splice(0)) socket.destroy()
    for (const other of impostors.splice(0)) {
      const closing = closed(other)
      other.close()
      await closing
    }
  })

  /** Another host at the address of the invite, and what was said to it. */
  async function impostor(
    options: tls.TlsOptions,
    take: (socket: tls.TLSSocket) => void = () => {},
  ) {
    const heard: Uint8Array[] = []
    const other = tls.createServer({ ciphers: "TLS_AES_128_GCM_SHA256", ...options }, (socket) => {
      socket.on("error", () => {}).on("data", (bytes) => heard.push(bytes))
      take(socket)
    })
    other.on("tlsClientError", () => {})
    other.on("connection", (socket: net.Socket) => sockets.push(socket))
    impostors.push(other)
    return { at: await listen(other), heard }
  }

  test("sends its request to nobody who does not know the key", async () => {
    const invite = invites.add()
    for (const options of [{ key, cert }, { pskCallback: () => randomBytes(32) }]) {
      const { at, heard } = await impostor(options)
      await expect(join(invite, at)).rejects.toMatchObject(refused)
      expect(heard).toEqual([])
    }
  })

  test("refuses an answer that is too large before it comes", async () => {
    const invite = invites.add()
    const { at } = await impostor({ pskCallback: () => invite.key }, (socket) =>
      socket.write(uint32(JOIN_ANSWER_BYTES_MAX + 1)),
    )
    await expect(join(invite, at)).rejects.toMatchObject({ code: "PROTOCOL_VIOLATION" })
  })

  test("takes half an answer for none, and asks nobody else", async () => {
    const invite = invites.add()
    const half = lengthPrefixed(ANSWER).subarray(0, 6)
    const { at } = await impostor({ pskCallback: () => invite.key }, (socket) => socket.end(half))
    const addresses = [at, port].map((each) => `/ip4/127.0.0.1/tcp/${each}`)
    const joining = joinByInvite(
      { clock },
      { addresses, ...invite },
      { request: REQUEST, ...withSignal() },
    )
    await expect(joining).rejects.toMatchObject(refused)
    expect(asked).toEqual([])
  })

  test("waits for an issuer that is silent no longer than for an exchange", async () => {
    const invite = invites.add()
    const { at, heard } = await impostor({ pskCallback: () => invite.key })
    const joining = join(invite, at)
    const failed = expect(joining).rejects.toMatchObject({ code: "PEER_UNREACHABLE" })
    await until(() => heard.length > 0)
    await clock.advance(JOIN_EXCHANGE_TIMEOUT_MS)
    await failed
  })

  test("waits for a host that does not shake hands no longer than for a handshake", async () => {
    const silent = net.createServer((socket) => sockets.push(socket))
    const at = await listen(silent)
    const joining = join(invites.add(), at)
    const failed = expect(joining).rejects.toMatchObject({ code: "PEER_UNREACHABLE" })
    await until(() => sockets.length > 0)
    await clock.advance(15_000)
    await failed
    silent.close()
  })
})
