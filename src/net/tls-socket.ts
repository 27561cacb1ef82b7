/**
 * The two ends of a TLS 1.3 socket that is keyed by an external pre-shared key and by nothing else
 * (protocol/data-channel.md). The identity of the key says through which door the socket comes in.
 * @module
 */
import { constants } from "node:crypto"
import type { Socket } from "node:net"
import { type ConnectionOptions, connect, createSecureContext, TLSSocket } from "node:tls"
import type { Clock } from "../core/clock.ts"
import { type Endpoint, plainHost } from "./address.ts"
import { type BorrowedRead, createBorrowedRead } from "./borrowed-read.ts"
import { NetError } from "./errors.ts"
import { CHANNEL_BUFFER_BYTES, HANDSHAKE_TIMEOUT_MS } from "./limit.ts"
import { WaitingRoom } from "./waiting-room.ts"

const TLS_VERSION = "TLSv1.3"
/**
 * The one suite: the fastest here (AES-NI), and a pre-shared key given by callback works with SHA-256
 * suites only.
 */
const CIPHER = "TLS_AES_128_GCM_SHA256"
/** Handshakes of others that may run at once. */
const HANDSHAKES_MAX = 64
const KEEP_ALIVE_DELAY_MS = 30_000
/** No certificate will ever do, and no session outlives its key. */
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

/** Where a socket is opened to, and with which key. */
export interface KeyedTarget {
  readonly endpoint: Endpoint
  /** The local port to connect from, when that matters. */
  readonly localPort?: number | undefined
  readonly identity: string
  readonly key: Uint8Array
}

/** One kind of keys that others may come in with. */
export interface TlsDoor {
  /** True while a key is out. When no door is open, TLS sockets are closed unread. */
  isOpen(): boolean
  /** @returns undefined for an identity that is not of this kind, and for one that is good no more */
  keyOf(identity: string): Uint8Array | undefined
  /** Takes a socket on which the key of this identity was proved. */
  take(identity: string, socket: TLSSocket): void
}

/** Takes TLS sockets that others open. */
export class TlsAcceptor {
  readonly #clock: Clock
  readonly #doors: readonly TlsDoor[]
  readonly #context = createSecureContext(CONTEXT)
  readonly #handshakes = new WaitingRoom(HANDSHAKES_MAX)

  constructor(deps: { clock: Clock; doors: readonly TlsDoor[] }) {
    this.#clock = deps.clock
    this.#doors = deps.doors
  }

  accept(raw: Socket): void {
    const isOpen = this.#doors.some((door) => door.isOpen())
    const host = plainHost(raw.remoteAddress ?? "")
    const leave = isOpen ? this.#handshakes.enter(host, () => socket.destroy()) : undefined
    if (leave === undefined) {
      raw.destroy()
      return
    }
    // What this very socket proved to hold: a resumed session would leave it undefined.
    let proved: { door: TlsDoor; identity: string } | undefined
    const pskCallback = (_socket: TLSSocket, identity: string): Uint8Array | null => {
      proved = undefined
      for (const door of this.#doors) {
        const key = door.keyOf(identity)
        if (key === undefined) continue
        proved = { door, identity }
        return key
      }
      return null
    }
    const socket = new TLSSocket(raw, {
      isServer: true,
      secureContext: this.#context,
      ...{ pskCallback, highWaterMark: CHANNEL_BUFFER_BYTES },
    })
    const settle = this.#limitHandshake(socket, leave)
    socket.once("secure", () => {
      settle()
      // Only now is the key proved; until here anybody who saw the identity could use it up.
      if (proved === undefined || !isKeyOnly(socket)) socket.destroy()
      else proved.door.take(proved.identity, tuned(socket))
    })
  }

  /** @returns what is called when the handshake is over */
  #limitHandshake(socket: TLSSocket, leave: () => void): () => void {
    const cancel = this.#clock.after(HANDSHAKE_TIMEOUT_MS, () => socket.destroy())
    const settle = () => {
      leave()
      cancel()
    }
    // An error closes the socket, and its owner sees that; a failed handshake has no owner yet.
    socket.on("error", () => socket.destroy())
    socket.once("close", settle)
    return settle
  }
}

/**
 * Opens a socket.
 * @param options.refusal - makes the error of a key that the other side refuses
 * @throws NetError `PEER_UNREACHABLE` when no socket comes about, the refusal, or the signal's reason
 */
export async function openKeyedSocket(
  target: KeyedTarget,
  options: { signal: AbortSignal; refusal: () => NetError; onConnect?: (() => void) | undefined },
): Promise<OpenedSocket> {
  const { signal, refusal } = options
  const { endpoint, localPort, identity, key } = target
  signal.throwIfAborted()
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
      return { psk: key, identity }
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
    const onClose = () => fail(isConnected ? refusal() : noSocket(endpoint, failure))
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
      if (!hasAsked || !isKeyOnly(socket)) return fail(refusal())
      settle()
      resolve({ socket: tuned(socket), borrow })
    })
  })
}

/**
 * True when the handshake used a pre-shared key and nothing else. TLS 1.3 treats such a key as a
 * resumption, so `isSessionReused` must be true: false would mean that a certificate did it.
 */
function isKeyOnly(socket: TLSSocket): boolean {
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
