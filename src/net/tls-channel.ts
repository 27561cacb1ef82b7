/**
 * The two ends of a data channel: TLS 1.3 keyed by a ticket alone (protocol/data-channel.md).
 * @module
 */
import { constants } from "node:crypto"
import type { Socket } from "node:net"
import { type ConnectionOptions, connect, createSecureContext, TLSSocket } from "node:tls"
import type { Clock } from "../core/clock.ts"
import type { Endpoint } from "./address.ts"
import { type BorrowedRead, createBorrowedRead } from "./borrowed-read.ts"
import { NetError } from "./errors.ts"
import { CHANNEL_BUFFER_BYTES, HANDSHAKE_TIMEOUT_MS } from "./limit.ts"
import type { PeerId } from "./net.ts"
import { deriveChannelKey, type Ticket, type TicketBook } from "./ticket.ts"

const TLS_VERSION = "TLSv1.3"
/**
 * The one suite: the fastest here (AES-NI), and a pre-shared key given by callback works with SHA-256
 * suites only.
 */
const CIPHER = "TLS_AES_128_GCM_SHA256"
/** Handshakes of others that may run at once. */
const HANDSHAKES_MAX = 64
const KEEP_ALIVE_DELAY_MS = 30_000
/** No certificate will ever do, and no session outlives its ticket. */
const CONTEXT = {
  minVersion: TLS_VERSION,
  maxVersion: TLS_VERSION,
  ciphers: CIPHER,
  secureOptions: constants.SSL_OP_NO_TICKET,
} as const

/** Settings that `tls.connect` hands on to the socket, beyond those of its types. */
interface SocketSettings {
  readonly highWaterMark: number
  readonly onread: BorrowedRead["onread"]
}

/** A socket that this node opened. */
export interface OpenedSocket {
  readonly socket: TLSSocket
  readonly borrow: BorrowedRead["borrow"]
}

/** Takes TLS sockets that others open. */
export class TlsAcceptor {
  readonly #deps: { clock: Clock; tickets: TicketBook }
  readonly #self: PeerId
  readonly #onChannel: (peer: PeerId, socket: TLSSocket) => void
  readonly #context = createSecureContext(CONTEXT)
  #handshakes = 0

  constructor(
    deps: { clock: Clock; tickets: TicketBook },
    options: { self: PeerId; onChannel: (peer: PeerId, socket: TLSSocket) => void },
  ) {
    this.#deps = deps
    this.#self = options.self
    this.#onChannel = options.onChannel
  }

  accept(raw: Socket): void {
    if (this.#handshakes >= HANDSHAKES_MAX || this.#deps.tickets.size === 0) {
      raw.destroy()
      return
    }
    // The id that this very socket proved to hold: a resumed session would leave it undefined.
    let id: string | undefined
    const pskCallback = (_socket: TLSSocket, identity: string): Uint8Array | null => {
      const ticket = this.#deps.tickets.find(identity)
      if (ticket === undefined) return null
      id = identity
      return deriveChannelKey(ticket.secret, { seeder: this.#self, fetcher: ticket.peer })
    }
    const socket = new TLSSocket(raw, {
      isServer: true,
      secureContext: this.#context,
      ...{ pskCallback, highWaterMark: CHANNEL_BUFFER_BYTES },
    })
    this.#handshakes++
    const cancel = this.#deps.clock.after(HANDSHAKE_TIMEOUT_MS, () => socket.destroy())
    let isSettled = false
    const settle = () => {
      if (!isSettled) this.#handshakes--
      isSettled = true
      cancel()
    }
    // An error closes the socket, and its owner sees that; a failed handshake has no owner yet.
    socket.on("error", () => socket.destroy())
    socket.once("close", settle)
    socket.once("secure", () => {
      settle()
      // Only now is the secret proved; until here anybody who saw the id could use it up.
      const peer = id === undefined ? undefined : this.#deps.tickets.consume(id)
      if (peer === undefined || !isTicketOnly(socket)) socket.destroy()
      else this.#onChannel(peer, tuned(socket))
    })
  }
}

/**
 * Opens a channel with a ticket.
 * @param target - where to connect, and the local port to connect from when that matters
 * @param peers - `seeder` gave the ticket, `fetcher` is this node
 * @throws NetError `PEER_UNREACHABLE` when no socket comes about in time, `TICKET_INVALID` when the
 * other side refuses the ticket, or the signal's reason
 */
export async function openTlsSocket(
  target: { endpoint: Endpoint; localPort?: number; ticket: Ticket },
  peers: { seeder: PeerId; fetcher: PeerId },
  options: { signal: AbortSignal; onConnect?: () => void },
): Promise<OpenedSocket> {
  const { signal } = options
  const { endpoint, localPort, ticket } = target
  signal.throwIfAborted()
  const key = deriveChannelKey(ticket.secret, peers)
  let hasAsked = false
  let isConnected = false
  let failure: Error | undefined
  const { onread, borrow } = createBorrowedRead(() => socket)
  const settings: ConnectionOptions & SocketSettings = {
    ...CONTEXT,
    ...endpoint,
    ...(localPort === undefined ? {} : { localPort }),
    onread,
    ca: [],
    checkServerIdentity: () => undefined,
    highWaterMark: CHANNEL_BUFFER_BYTES,
    pskCallback: () => {
      hasAsked = true
      return { psk: key, identity: ticket.id }
    },
  }
  const socket: TLSSocket = connect(settings)
  socket.on("error", (error) => {
    failure = error
    socket.destroy()
  })
  return new Promise((resolve, reject) => {
    const fail = (error: unknown) => {
      socket.destroy()
      settle()
      reject(signal.aborted ? signal.reason : error)
    }
    const onClose = () => fail(isConnected ? ticketRefused() : noSocket(endpoint, failure))
    const onAbort = () => fail(signal.reason)
    const settle = () => {
      socket.off("close", onClose)
      signal.removeEventListener("abort", onAbort)
    }
    signal.addEventListener("abort", onAbort, { once: true })
    socket.once("close", onClose)
    socket.once("connect", () => {
      isConnected = true
      options.onConnect?.()
    })
    socket.once("secureConnect", () => {
      if (!hasAsked || !isTicketOnly(socket)) return fail(ticketRefused())
      settle()
      resolve({ socket: tuned(socket), borrow })
    })
  })
}

/**
 * True when the handshake used a pre-shared key and nothing else. TLS 1.3 treats such a key as a
 * resumption, so `isSessionReused` must be true: false would mean that a certificate did it.
 */
function isTicketOnly(socket: TLSSocket): boolean {
  const certificate: object | undefined = socket.getPeerCertificate() ?? undefined
  return (
    socket.getProtocol() === TLS_VERSION &&
    socket.getCipher().name === CIPHER &&
    socket.isSessionReused() &&
    Object.keys(certificate ?? {}).length === 0
  )
}

function tuned(socket: TLSSocket): TLSSocket {
  socket.setNoDelay(true)
  socket.setKeepAlive(true, KEEP_ALIVE_DELAY_MS)
  return socket
}

function noSocket({ host, port }: Endpoint, cause: Error | undefined): NetError {
  return new NetError("PEER_UNREACHABLE", `no connection to ${host} port ${port}`, { cause })
}

function ticketRefused(): NetError {
  return new NetError("TICKET_INVALID", "the ticket was refused")
}
