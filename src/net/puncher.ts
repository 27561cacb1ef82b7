/**
 * Data channels through address translation: both sides learn from a relay as whom the world sees a
 * socket of theirs, tell each other over the relayed connection, and connect at the same moment
 * (protocol/nat.md).
 * @module
 */
import { randomInt } from "node:crypto"
import type { Socket } from "node:net"
import type { Connection } from "@libp2p/interface"
import type { Clock } from "../core/clock.ts"
import { codeOf, messageOf } from "../core/errors.ts"
import type { Logger } from "../core/log.ts"
import type { Counter, Histogram, Metrics } from "../core/metrics.ts"
import { addressOf, type Endpoint, isLoopback, type RelayHop } from "./address.ts"
import { OBSERVE_PROTOCOL, type Observation, observeAddress } from "./address-observer.ts"
import { startDeadline } from "./deadline.ts"
import { NetError } from "./errors.ts"
import { HANDSHAKE_TIMEOUT_MS } from "./limit.ts"
import type { PeerId, RequestHandler } from "./net.ts"
import { encodePunchRequest, parsePunchRequest, punchEndpoints } from "./punch-message.ts"
import { type connectFrom, untilOpen } from "./simultaneous-open.ts"
import { parseTicket } from "./ticket.ts"
import { openTlsSocket } from "./tls-channel.ts"
import type { OpenedSocket } from "./tls-socket.ts"

export const PUNCH_PROTOCOL = "/sealift/punch/1"
/** Punches that run here at once, and those of one peer, asked for by either side. */
const PUNCHES_MAX = 32
const PUNCHES_PER_PEER_MAX = 2
/** Learning as whom this node is seen, and asking the other side. */
const PREPARE_TIMEOUT_MS = 3_000
/** Connecting, from the moment that both sides know where to. */
const PUNCH_TIMEOUT_MS = 3_000
/** Relays that are asked, one after the other, as whom they see this node. */
const OBSERVERS_MAX = 2
/** Local ports that are tried: those that nothing is assigned to (RFC 6335 §6). */
const PORT_MIN = 49_152
const PORT_MAX = 65_535
const PORT_ATTEMPTS_MAX = 4
const SECONDS_BUCKETS: readonly number[] = [0.01, 0.03, 0.1, 0.3, 1, 3]

/** What the puncher needs of the network. */
export interface PuncherDeps {
  readonly clock: Clock
  readonly log: Logger
  readonly metrics: Metrics
  /** Connects from a local port; see `connectFrom`. */
  readonly connect: typeof connectFrom
  readonly ask: (
    peer: PeerId,
    protocol: string,
    body: Uint8Array,
    signal: AbortSignal,
  ) => Promise<Uint8Array>
  /** Relays that this node is connected to and that may tell it as whom it is seen, best first. */
  readonly observers: (peer: PeerId) => readonly RelayHop[]
  readonly isHostAllowed: (host: string) => boolean
  /** Makes a ticket for a peer. @throws NetError when the peer gets none */
  readonly giveTicket: (peer: PeerId, addresses: readonly string[]) => Uint8Array
  /** Takes a socket on which the other side will begin a TLS handshake. */
  readonly takeTls: (socket: Socket) => void
}

/** A local port and as what the world sees it. */
interface SeenPort {
  readonly localPort: number
  readonly observation: Observation
}

/** One per node. */
export class Puncher {
  readonly #deps: PuncherDeps
  readonly #self: PeerId
  readonly #running = new Map<PeerId, number>()
  readonly #given = new Set<Socket>()
  readonly #stopped = new AbortController()
  readonly #count: Counter
  readonly #seconds: Histogram

  constructor(deps: PuncherDeps, options: { self: PeerId }) {
    this.#deps = deps
    this.#self = options.self
    this.#count = deps.metrics.counter(
      "sealift_net_punches_total",
      "Attempts at a data channel through address translation, by side and outcome.",
      ["side", "outcome"],
    )
    this.#seconds = deps.metrics.histogram(
      "sealift_net_punch_seconds",
      "From knowing where the other side is to a socket to it.",
      SECONDS_BUCKETS,
    )
  }

  /**
   * Opens a data channel to a peer that is connected.
   * @throws NetError; the signal's reason
   */
  async open(connection: Connection, signal: AbortSignal): Promise<OpenedSocket> {
    const peer = connection.remotePeer.toString()
    if (this.#deps.observers(peer).length === 0) throw unseen()
    return this.#counted(peer, "ask", async () => {
      const prepare = this.#deadline(PREPARE_TIMEOUT_MS, signal)
      let own: SeenPort | undefined
      try {
        own = await this.#beSeen(peer, prepare.signal)
        const request = { endpoints: [own.observation.seen], roundTripMs: connection.rtt ?? 0 }
        const body = encodePunchRequest(request)
        const answer = await this.#deps.ask(peer, PUNCH_PROTOCOL, body, prepare.signal)
        prepare.clear()
        const ticket = parseTicket(answer)
        const endpoints = this.#usable(punchEndpoints(ticket.addresses) ?? [], own)
        const peers = { seeder: peer, fetcher: this.#self }
        const { localPort } = own
        return await this.#firstOf(endpoints, signal, (endpoint, waiting, onConnect) =>
          openTlsSocket({ endpoint, localPort, ticket }, peers, { signal: waiting, onConnect }),
        )
      } finally {
        prepare.clear()
        own?.observation.socket.destroy()
      }
    })
  }

  /** Answers {@link PUNCH_PROTOCOL}. */
  readonly answer: RequestHandler = async (request, { peer, signal }) => {
    const { endpoints, roundTripMs } = parsePunchRequest(request)
    this.#begin(peer)
    const prepare = this.#deadline(PREPARE_TIMEOUT_MS, signal)
    let own: SeenPort | undefined
    try {
      own = await this.#beSeen(peer, prepare.signal)
      const usable = this.#usable(endpoints, own)
      const ticket = this.#deps.giveTicket(peer, [addressOf(own.observation.seen)])
      this.#connectBack(usable, own, { peer, pauseMs: roundTripMs / 2 })
      return ticket
    } catch (error) {
      own?.observation.socket.destroy()
      this.#end(peer)
      this.#count.add(1, { side: "answer", outcome: "failed" })
      throw error
    } finally {
      prepare.clear()
    }
  }

  close(): void {
    this.#stopped.abort(new NetError("NETWORK_STOPPED", "the network is stopped"))
    for (const socket of this.#given) socket.destroy()
  }

  /** Half a round trip later the other side has the answer and connects, too. */
  #connectBack(
    endpoints: readonly Endpoint[],
    own: SeenPort,
    { peer, pauseMs }: { peer: PeerId; pauseMs: number },
  ): void {
    const { clock, log, takeTls } = this.#deps
    const { signal } = this.#stopped
    const work = async () => {
      await clock.sleep(pauseMs, { signal })
      const { localPort } = own
      const socket = await this.#firstOf(endpoints, signal, (endpoint, waiting) =>
        this.#deps.connect(localPort, endpoint, waiting),
      )
      this.#given.add(socket)
      socket.once("close", () => this.#given.delete(socket))
      takeTls(socket)
    }
    work()
      .then(
        () => this.#count.add(1, { side: "answer", outcome: "opened" }),
        (error: unknown) => {
          this.#count.add(1, { side: "answer", outcome: "failed" })
          log.debug({ peer, error: messageOf(error) }, "no hole could be punched")
        },
      )
      .finally(() => {
        own.observation.socket.destroy()
        this.#end(peer)
      })
  }

  /** Finds a free local port and learns as what it is seen. */
  async #beSeen(peer: PeerId, signal: AbortSignal): Promise<SeenPort> {
    let cause: unknown
    for (const relay of this.#deps.observers(peer).slice(0, OBSERVERS_MAX)) {
      for (let attempt = 0; attempt < PORT_ATTEMPTS_MAX; attempt++) {
        const localPort = randomInt(PORT_MIN, PORT_MAX + 1)
        const ask = (body: Uint8Array, waiting: AbortSignal) =>
          this.#deps.ask(relay.peer, OBSERVE_PROTOCOL, body, waiting)
        const target = { relay: relay.endpoint, localPort }
        try {
          const observation = await observeAddress({ clock: this.#deps.clock, ask }, target, signal)
          return { localPort, observation }
        } catch (error) {
          signal.throwIfAborted()
          cause = error
          const isTaken = error instanceof Error && codeOf(error.cause) === "EADDRINUSE"
          if (!isTaken) break
        }
      }
    }
    throw unseen(cause)
  }

  /** Keeps the ends that this node may connect to, and can from the port that was seen. */
  #usable(endpoints: readonly Endpoint[], own: SeenPort): readonly Endpoint[] {
    const { host } = own.observation.seen
    const usable = endpoints.filter(
      (endpoint) =>
        endpoint.host.includes(":") === host.includes(":") &&
        this.#deps.isHostAllowed(endpoint.host) &&
        (!isLoopback(endpoint.host) || isLoopback(host)),
    )
    if (usable.length > 0) return usable
    throw new NetError("PUNCH_FAILED", "the other side names no address that this node may use")
  }

  /** Tries all ends at once and gives what came about first; the others end. */
  async #firstOf<T>(
    endpoints: readonly Endpoint[],
    signal: AbortSignal,
    attempt: (endpoint: Endpoint, signal: AbortSignal, onConnect: () => void) => Promise<T>,
  ): Promise<T> {
    const { clock } = this.#deps
    const beganMs = clock.monotonicMs()
    const others = new AbortController()
    const both = AbortSignal.any([signal, others.signal])
    const connecting = this.#deadline(PUNCH_TIMEOUT_MS, both)
    const all = this.#deadline(PUNCH_TIMEOUT_MS + HANDSHAKE_TIMEOUT_MS, both)
    const seconds = () => (clock.monotonicMs() - beganMs) / 1000
    let isThrough = false
    const onConnect = () => {
      // A socket that stands is through; a busy peer may take its time to shake hands.
      connecting.clear()
      if (!isThrough) this.#seconds.observe(seconds())
      isThrough = true
    }
    const waiting = AbortSignal.any([connecting.signal, all.signal])
    try {
      const attempts = endpoints.map((endpoint) =>
        untilOpen(clock, () => attempt(endpoint, waiting, onConnect), waiting),
      )
      return await Promise.any(attempts)
    } catch (cause) {
      signal.throwIfAborted()
      throw new NetError("PUNCH_FAILED", "no packet of the other side came through", { cause })
    } finally {
      others.abort(new Error("another attempt was first"))
      connecting.clear()
      all.clear()
    }
  }

  async #counted<T>(peer: PeerId, side: string, work: () => Promise<T>): Promise<T> {
    this.#begin(peer)
    try {
      const result = await work()
      this.#count.add(1, { side, outcome: "opened" })
      return result
    } catch (error) {
      this.#count.add(1, { side, outcome: "failed" })
      throw error
    } finally {
      this.#end(peer)
    }
  }

  #begin(peer: PeerId): void {
    const ofPeer = this.#running.get(peer) ?? 0
    const all = [...this.#running.values()].reduce((sum, count) => sum + count, 0)
    if (ofPeer >= PUNCHES_PER_PEER_MAX || all >= PUNCHES_MAX) {
      throw new NetError("PUNCH_FAILED", `too many punches at once, ${ofPeer} with ${peer}`)
    }
    this.#running.set(peer, ofPeer + 1)
  }

  #end(peer: PeerId): void {
    const left = (this.#running.get(peer) ?? 1) - 1
    if (left > 0) this.#running.set(peer, left)
    else this.#running.delete(peer)
  }

  #deadline(timeoutMs: number, signal: AbortSignal): ReturnType<typeof startDeadline> {
    const both = AbortSignal.any([signal, this.#stopped.signal])
    return startDeadline(this.#deps.clock, timeoutMs, both)
  }
}

function unseen(cause?: unknown): NetError {
  return new NetError("PUNCH_FAILED", "no relay tells this node as whom it is seen", { cause })
}
