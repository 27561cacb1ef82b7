/**
 * Data channels of one node: gives tickets out, uses those of others, keeps what is open
 * (protocol/data-channel.md).
 * @module
 */
import type { Socket } from "node:net"
import type { Duplex } from "node:stream"
import type { Connection, Stream } from "@libp2p/interface"
import type { Clock } from "../core/clock.ts"
import { messageOf } from "../core/errors.ts"
import type { Logger } from "../core/log.ts"
import type { Counter, Metrics } from "../core/metrics.ts"
import { addressOf, type Endpoint, endpointOf, isLoopback, parseAddress } from "./address.ts"
import { startDeadline } from "./deadline.ts"
import { NetError } from "./errors.ts"
import { HANDSHAKE_TIMEOUT_MS } from "./limit.ts"
import type { Channel, PeerId, RequestHandler } from "./net.ts"
import { openStream } from "./request-pool.ts"
import { streamToDuplex } from "./stream-duplex.ts"
import { encodeTicket, parseTicket, TicketBook } from "./ticket.ts"
import { type OpenedSocket, openTlsSocket, TlsAcceptor } from "./tls-channel.ts"

export const TICKET_PROTOCOL = "/sealift/channel/1"
export const WIRE_PROTOCOL = "/sealift/wire/1"
/** Channels of one peer, and of all together, both ways. */
const CHANNELS_PER_PEER_MAX = 8
const CHANNELS_MAX = 512
/** A direct socket that is not there after this long is not waited for. */
const DIRECT_TIMEOUT_MS = 3_000
const ADDRESS_TIMEOUT_MS = 1_000
/** Addresses that are tried for one channel. */
const ENDPOINTS_MAX = 6
/** A peer without a direct way is not tried directly again for this long. */
const INDIRECT_MS = 60_000

/** What the desk needs of the network. */
export interface ChannelDeskDeps {
  readonly clock: Clock
  readonly log: Logger
  readonly metrics: Metrics
  /** Asks a peer for a ticket. */
  readonly askTicket: (peer: PeerId, signal: AbortSignal) => Promise<Uint8Array>
  /** Multiaddrs of this node. */
  readonly addresses: () => readonly string[]
  readonly isConnected: (peer: PeerId) => boolean
  readonly isHostAllowed: (host: string) => boolean
}

/** One per node. */
export class ChannelDesk {
  readonly #deps: ChannelDeskDeps
  readonly #self: PeerId
  readonly #isTlsUsed: boolean
  readonly #tickets: TicketBook
  readonly #acceptor: TlsAcceptor
  readonly #open = new Map<Duplex, Channel>()
  readonly #indirectUntilMs = new Map<PeerId, number>()
  readonly #count: Counter
  #handler: ((channel: Channel) => void) | undefined

  constructor(deps: ChannelDeskDeps, options: { self: PeerId; isTlsUsed: boolean }) {
    this.#deps = deps
    this.#self = options.self
    this.#isTlsUsed = options.isTlsUsed
    this.#tickets = new TicketBook(deps.clock)
    this.#acceptor = new TlsAcceptor(
      { clock: deps.clock, tickets: this.#tickets },
      {
        self: options.self,
        onChannel: (peer, duplex) => this.#take({ peer, kind: "tls", duplex }),
      },
    )
    this.#count = deps.metrics.counter("sealift_net_channels_total", "Data channels opened.", [
      "kind",
      "direction",
    ])
    for (const kind of ["tls", "libp2p"] as const) {
      const help = `Data channels that are open over ${kind}.`
      deps.metrics.gauge(`sealift_net_channels_${kind}`, help, () => this.#countOpen(kind))
    }
  }

  /** Takes the channels that others open. */
  onChannel(handler: (channel: Channel) => void): void {
    this.#handler = handler
  }

  /** Takes a socket whose first byte is TLS. */
  readonly takeTls = (socket: Socket): void => {
    if (this.#isTlsUsed) this.#acceptor.accept(socket)
    else socket.destroy()
  }

  /** Takes a stream of {@link WIRE_PROTOCOL}. */
  takeStream(stream: Stream, peer: PeerId): void {
    if (this.#hasRoom(peer)) this.#take({ peer, kind: "libp2p", duplex: streamToDuplex(stream) })
    else stream.abort(channelsExhausted(peer))
  }

  /** Answers requests of {@link TICKET_PROTOCOL}. */
  readonly giveTicket: RequestHandler = async (request, { peer }) => {
    if (request.length > 0) throw new NetError("PROTOCOL_VIOLATION", "a ticket request is empty")
    if (!this.#hasRoom(peer)) throw channelsExhausted(peer)
    const addresses = this.#isTlsUsed ? this.#deps.addresses() : []
    return encodeTicket(this.#tickets.issue(peer, addresses))
  }

  /** Opens a channel over a connected peer; see `PeerNetwork.openChannel`. */
  async open(
    connection: Connection,
    peer: PeerId,
    options: { signal: AbortSignal },
  ): Promise<Channel> {
    if (!this.#hasRoom(peer)) throw channelsExhausted(peer)
    const direct = await this.#openDirect(connection, peer, options.signal)
    if (direct !== undefined) {
      const { socket: duplex, borrow } = direct
      return this.#keep({ peer, kind: "tls", duplex, borrow }, "out")
    }
    const stream = await openStream(connection, WIRE_PROTOCOL, options.signal)
    return this.#keep({ peer, kind: "libp2p", duplex: streamToDuplex(stream) }, "out")
  }

  /** Cuts all channels of a peer and takes its tickets back. */
  cut(peer: PeerId, reason: Error): void {
    this.#tickets.revoke(peer)
    for (const channel of [...this.#open.values()]) {
      if (channel.peer === peer) channel.duplex.destroy(reason)
    }
  }

  close(reason: Error): void {
    for (const { duplex } of [...this.#open.values()]) duplex.destroy(reason)
  }

  async #openDirect(
    connection: Connection,
    peer: PeerId,
    signal: AbortSignal,
  ): Promise<OpenedSocket | undefined> {
    const { clock, log } = this.#deps
    const deadline = startDeadline(clock, DIRECT_TIMEOUT_MS, signal)
    try {
      const ticket = parseTicket(await this.#deps.askTicket(peer, signal))
      if (!this.#isTlsUsed || this.#isIndirect(peer)) return undefined
      const peers = { seeder: peer, fetcher: this.#self }
      let isReached = false
      for (const endpoint of this.#endpoints(connection, ticket.addresses)) {
        const attempt = startDeadline(clock, ADDRESS_TIMEOUT_MS, deadline.signal)
        const handshake = new HandshakePatience(clock)
        const onConnect = () => {
          // A socket that stands is the direct way; a busy peer may take its time to shake hands.
          isReached = true
          attempt.clear()
          deadline.clear()
          handshake.start()
        }
        const both = AbortSignal.any([attempt.signal, handshake.signal])
        try {
          return await openTlsSocket({ endpoint, ticket }, peers, { signal: both, onConnect })
        } catch (error) {
          signal.throwIfAborted()
          log.debug({ peer, endpoint, error: messageOf(error) }, "no direct data channel")
          if (isReached || deadline.signal.aborted) break
        } finally {
          attempt.clear()
          handshake.clear()
        }
      }
      if (!isReached) this.#markIndirect(peer)
      return undefined
    } finally {
      deadline.clear()
    }
  }

  /**
   * Where to try, best first: the address that libp2p itself reached, then those of the ticket on the
   * same host, then its others. Only numeric addresses: a ticket must not make this node ask a DNS.
   */
  #endpoints(connection: Connection, addresses: readonly string[]): readonly Endpoint[] {
    const remote = endpointOf(connection.remoteAddr)
    const told = addresses.flatMap((address) => endpointOf(parseAddress(address)) ?? [])
    const isUsable = (endpoint: Endpoint): boolean =>
      /^[0-9.]+$|:/.test(endpoint.host) &&
      this.#deps.isHostAllowed(endpoint.host) &&
      (!isLoopback(endpoint.host) || (remote !== undefined && isLoopback(remote.host)))
    const reached = remote !== undefined && connection.direction === "outbound" ? [remote] : []
    const ranked = [
      ...reached,
      ...told.filter(({ host }) => host === remote?.host),
      ...told.filter(({ host }) => host !== remote?.host),
    ].filter(isUsable)
    const unique = new Map(ranked.map((endpoint) => [addressOf(endpoint), endpoint]))
    return [...unique.values()].slice(0, ENDPOINTS_MAX)
  }

  #isIndirect(peer: PeerId): boolean {
    const untilMs = this.#indirectUntilMs.get(peer)
    if (untilMs === undefined) return false
    if (untilMs > this.#deps.clock.monotonicMs()) return true
    this.#indirectUntilMs.delete(peer)
    return false
  }

  #markIndirect(peer: PeerId): void {
    this.#indirectUntilMs.set(peer, this.#deps.clock.monotonicMs() + INDIRECT_MS)
    const [oldest] = this.#indirectUntilMs.keys()
    if (this.#indirectUntilMs.size > CHANNELS_MAX) this.#indirectUntilMs.delete(oldest!)
  }

  #take(channel: Channel): void {
    const isWanted = this.#deps.isConnected(channel.peer) && this.#hasRoom(channel.peer)
    if (this.#handler === undefined || !isWanted) channel.duplex.destroy()
    else this.#handler(this.#keep(channel, "in"))
  }

  #keep(channel: Channel, direction: "in" | "out"): Channel {
    this.#open.set(channel.duplex, channel)
    channel.duplex.once("close", () => this.#open.delete(channel.duplex))
    this.#count.add(1, { kind: channel.kind, direction })
    return channel
  }

  #hasRoom(peer: PeerId): boolean {
    if (this.#open.size >= CHANNELS_MAX) return false
    return this.#countOf(peer) < CHANNELS_PER_PEER_MAX
  }

  #countOf(peer: PeerId): number {
    return [...this.#open.values()].filter((channel) => channel.peer === peer).length
  }

  #countOpen(kind: Channel["kind"]): number {
    return [...this.#open.values()].filter((channel) => channel.kind === kind).length
  }
}

/** The time that a handshake may take, from the moment that its socket stands. */
class HandshakePatience {
  readonly #clock: Clock
  readonly #over = new AbortController()
  #cancel: () => void = () => {}

  constructor(clock: Clock) {
    this.#clock = clock
  }

  get signal(): AbortSignal {
    return this.#over.signal
  }

  start(): void {
    const end = () => this.#over.abort(new Error("the handshake takes too long"))
    this.#cancel = this.#clock.after(HANDSHAKE_TIMEOUT_MS, end)
  }

  clear(): void {
    this.#cancel()
  }
}

function channelsExhausted(peer: PeerId): NetError {
  return new NetError("TICKET_INVALID", `too many channels with ${peer}`)
}
