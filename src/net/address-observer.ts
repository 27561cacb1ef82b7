/**
 * Tells a peer as whom the world sees it: which address and port a socket of its own comes from, after
 * all translation on the way (protocol/nat.md).
 * @module
 */
import { randomBytes } from "node:crypto"
import net, { type Socket } from "node:net"
import type { Clock } from "../core/clock.ts"
import { untilAborted } from "../core/until-aborted.ts"
import { addressOf, type Endpoint, endpointOf, parseAddress, plainHost } from "./address.ts"
import { startDeadline } from "./deadline.ts"
import { NetError } from "./errors.ts"
import type { PeerId, RequestHandler } from "./net.ts"

export const OBSERVE_PROTOCOL = "/sealift/observe/1"
/** The first byte of a socket that wants to be seen. libp2p begins with 0x13, TLS with 0x16. */
export const OBSERVE_BYTE = 0x4f
export const OBSERVE_TOKEN_BYTES = 16
/** A token is good for this long, and so long is its socket waited for. */
const TOKEN_LIFETIME_MS = 5_000
/** A socket that was seen may stay open, which keeps its translation alive. */
const SOCKET_LIFETIME_MS = 10_000
/** Tokens of one peer and of all, each with at most one socket. */
const TOKENS_PER_PEER_MAX = 4
const TOKENS_MAX = 256
/** Longest answer that is read: a multiaddr with an IPv6 address and a port is shorter. */
const ANSWER_BYTES_MAX = 128

interface Awaited {
  readonly peer: PeerId
  readonly seen: PromiseWithResolvers<Endpoint>
}

/** The seeing side; one per relay. */
export class AddressObserver {
  readonly #clock: Clock
  readonly #isServed: (peer: PeerId) => boolean
  readonly #awaited = new Map<string, Awaited>()
  readonly #sockets = new Set<Socket>()

  constructor(deps: { clock: Clock }, options: { isServed: (peer: PeerId) => boolean }) {
    this.#clock = deps.clock
    this.#isServed = options.isServed
  }

  /** Answers {@link OBSERVE_PROTOCOL}: an empty request gets a token, a token gets an address. */
  readonly answer: RequestHandler = async (request, { peer, signal }) => {
    if (!this.#isServed(peer)) throw new NetError("RELAY_REFUSED", `${peer} is not served here`)
    if (request.length === 0) return this.#issue(peer)
    const awaited = this.#awaited.get(nameOf(request))
    if (awaited?.peer !== peer) throw tokenInvalid()
    return Buffer.from(addressOf(await untilAborted(awaited.seen.promise, signal)))
  }

  /** Takes a socket that begins with {@link OBSERVE_BYTE}; what it says is still unread. */
  readonly takeSocket = (socket: Socket): void => {
    socket.on("error", () => socket.destroy())
    if (this.#sockets.size >= TOKENS_MAX) return void socket.destroy()
    this.#sockets.add(socket)
    const cancel = this.#clock.after(SOCKET_LIFETIME_MS, () => socket.destroy())
    socket.once("close", () => {
      cancel()
      this.#sockets.delete(socket)
    })
    const onReadable = () => {
      const head: Buffer | null = socket.read(1 + OBSERVE_TOKEN_BYTES)
      if (head === null) return
      socket.off("readable", onReadable)
      socket.resume()
      this.#see(socket, nameOf(head.subarray(1)))
    }
    socket.on("readable", onReadable)
  }

  close(): void {
    for (const socket of this.#sockets) socket.destroy()
  }

  #issue(peer: PeerId): Uint8Array {
    const held = [...this.#awaited.values()].filter((awaited) => awaited.peer === peer).length
    if (held >= TOKENS_PER_PEER_MAX || this.#awaited.size >= TOKENS_MAX) {
      throw new NetError("RELAY_REFUSED", `too many sockets of ${peer} are waited for`)
    }
    const token = Uint8Array.from(randomBytes(OBSERVE_TOKEN_BYTES))
    const seen = Promise.withResolvers<Endpoint>()
    // Nobody may have asked for it.
    seen.promise.catch(() => {})
    this.#awaited.set(nameOf(token), { peer, seen })
    this.#clock.after(TOKEN_LIFETIME_MS, () => {
      this.#awaited.delete(nameOf(token))
      seen.reject(tokenInvalid())
    })
    return token
  }

  #see(socket: Socket, name: string): void {
    const awaited = this.#awaited.get(name)
    const { remoteAddress, remotePort } = socket
    if (awaited === undefined || remoteAddress === undefined || remotePort === undefined) {
      socket.destroy()
    } else awaited.seen.resolve({ host: plainHost(remoteAddress), port: remotePort })
  }
}

/** A socket that was seen. Kept open, it keeps the translation of its port. */
export interface Observation {
  readonly seen: Endpoint
  readonly socket: Socket
}

/** What the side that wants to be seen needs. */
export interface ObservedDeps {
  readonly clock: Clock
  /** Asks the relay over {@link OBSERVE_PROTOCOL}. */
  readonly ask: (body: Uint8Array, signal: AbortSignal) => Promise<Uint8Array>
}

/**
 * Learns as what others see sockets from a local port.
 * @param target - where the relay listens, and the local port, which must be free
 * @throws NetError `RELAY_REFUSED`, `REQUEST_REFUSED`, `PEER_UNREACHABLE`, `PROTOCOL_VIOLATION`; the
 * signal's reason
 */
export async function observeAddress(
  { clock, ask }: ObservedDeps,
  target: { readonly relay: Endpoint; readonly localPort: number },
  signal: AbortSignal,
): Promise<Observation> {
  const deadline = startDeadline(clock, TOKEN_LIFETIME_MS, signal)
  const token = await ask(new Uint8Array(), deadline.signal)
  if (token.length !== OBSERVE_TOKEN_BYTES) throw malformed()
  const socket = net.connect({ ...target.relay, localPort: target.localPort })
  try {
    const failed = new Promise<never>((_resolve, reject) => {
      socket.once("error", (cause) =>
        reject(new NetError("PEER_UNREACHABLE", "the relay cannot see this node", { cause })),
      )
    })
    socket.on("error", () => socket.destroy()).resume()
    socket.write(Buffer.concat([Buffer.of(OBSERVE_BYTE), token]))
    const answer = await Promise.race([ask(token, deadline.signal), failed])
    return { seen: parseObserved(answer), socket }
  } catch (error) {
    socket.destroy()
    throw error
  } finally {
    deadline.clear()
  }
}

/** Reads the answer to a token: a multiaddr of an IP address and a port. */
export function parseObserved(bytes: Uint8Array): Endpoint {
  const text = bytes.length <= ANSWER_BYTES_MAX ? new TextDecoder().decode(bytes) : ""
  const endpoint = endpointIn(text)
  if (endpoint === undefined || addressOf(endpoint) !== text) throw malformed()
  return endpoint
}

function endpointIn(text: string): Endpoint | undefined {
  try {
    const endpoint = endpointOf(parseAddress(text))
    return endpoint !== undefined && net.isIP(endpoint.host) !== 0 ? endpoint : undefined
  } catch {
    // No multiaddr: the caller names the fault.
    return undefined
  }
}

const nameOf = (token: Uint8Array): string => Buffer.from(token).toString("hex")

function tokenInvalid(): NetError {
  return new NetError("TICKET_INVALID", "the token is unknown, or no socket came with it")
}

function malformed(): NetError {
  return new NetError("PROTOCOL_VIOLATION", "the relay's answer is malformed")
}
