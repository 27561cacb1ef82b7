/**
 * Data channels of one node: gives tickets out, uses those of others, keeps what is open
 * (protocol/data-channel.md).
 * @module
 */
import type { Duplex } from "node:stream"
import type { Connection, Stream } from "@libp2p/interface"
import type { Clock } from "../core/clock.ts"
import { messageOf } from "../core/errors.ts"
import type { Logger } from "../core/log.ts"
import type { Counter, Metrics } from "../core/metrics.ts"
import { addressOf, type Endpoint, endpointOf, isLoopback, parseAddress } from "./address.ts"
import type { ByteRate } from "./byte-rate.ts"
import { ChannelUpgrades } from "./channel-upgrades.ts"
import { startDeadline } from "./deadline.ts"
import { NetError } from "./errors.ts"
import { HandshakePatience } from "./handshake-patience.ts"
import type { Channel, PeerId, RequestHandler } from "./net.ts"
import { openStream } from "./request-pool.ts"
import { streamToDuplex } from "./stream-duplex.ts"
import { encodeTicket, parseTicket, TicketBook } from "./ticket.ts"
import { openTlsSocket, TicketDoor } from "./tls-channel.ts"
import type { OpenedSocket, TlsDoor } from "./tls-socket.ts"

export const TICKET_PROTOCOL = "/sealift/channel/1"
export const WIRE_PROTOCOL = "/sealift/wire/1"
/** Channels of one peer, and of all together, both ways. */
const CHANNELS_PER_PEER_MAX = 8
const CHANNELS_MAX = 512
/** A direct socket that is not there after this long is not waited for. */
const DIRECT_TIMEOUT_MS = 3_000
const ADDRESS_TIMEOUT_MS = 1_000
/**
 * Where libp2p itself has a direct connection, it is a full link that drops the first packets: the kernel
 * sends them again after 1, 3 and 7 s, and bulk over libp2p costs ten times the processor time.
 */
const KNOWN_DIRECT_TIMEOUT_MS = 8_000
/** The address that libp2p itself dialled … */
const REACHED_TIMEOUT_MS = 7_500
/** … and others on the host of its connection. */
const SAME_HOST_TIMEOUT_MS = 3_500
/** Addresses that are tried for one channel. */
const ENDPOINTS_MAX = 6
/** Where a relay leads to the peer, nobody waits longer than this for a way past it. */
const RELAYED_PATIENCE_MS = 500
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
  /** False for peers that are not connected, and for those that have no business here any more. */
  readonly isConnected: (peer: PeerId) => boolean
  readonly isHostAllowed: (host: string) => boolean
  /** Opens a channel through address translation. @throws NetError when that does not work */
  readonly punch: (connection: Connection, signal: AbortSignal) => Promise<OpenedSocket>
  /** What relayed channels may send, all together. */
  readonly relayedRate: ByteRate
}

/** Where a direct socket is tried. */
interface ConnectPlace {
  readonly endpoint: Endpoint
  readonly timeoutMs: number
}

/** One per node. */
export class ChannelDesk {
  readonly #deps: ChannelDeskDeps
  readonly #self: PeerId
  readonly #isTlsUsed: boolean
  readonly #tickets: TicketBook
  /** Lets those in who use a ticket of this node. */
  readonly door: TlsDoor
  readonly #open = new Map<Duplex, Channel>()
  readonly #indirectUntilMs = new Map<PeerId, number>()
  readonly #upgrades: ChannelUpgrades
  readonly #count: Counter
  readonly #relayedBytes: Counter
  #handler: ((channel: Channel) => void) | undefined

  constructor(deps: ChannelDeskDeps, options: { self: PeerId; isTlsUsed: boolean }) {
    this.#deps = deps
    this.#self = options.self
    this.#isTlsUsed = options.isTlsUsed
    this.#tickets = new TicketBook(deps.clock)
    this.door = new TicketDoor(
      { tickets: this.#tickets },
      {
        self: options.self,
        onChannel: (peer, duplex) => this.#take({ peer, kind: "tls", duplex }),
      },
    )
    this.#upgrades = new ChannelUpgrades(deps)
    this.#relayedBytes = deps.metrics.counter(
      "sealift_net_relayed_channel_bytes_total",
      "Bytes that this node sent on data channels through relays.",
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

  /** Takes a stream of {@link WIRE_PROTOCOL}. */
  takeStream(stream: Stream, connection: Connection): void {
    const peer = connection.remotePeer.toString()
    if (this.#hasRoom(peer)) this.#take(this.#overStream(stream, connection))
    else stream.abort(channelsExhausted(peer))
  }

  /** Answers requests of {@link TICKET_PROTOCOL}. */
  readonly giveTicket: RequestHandler = async (request, { peer }) => {
    if (request.length > 0) throw new NetError("PROTOCOL_VIOLATION", "a ticket request is empty")
    return this.ticketFor(peer, this.#isTlsUsed ? this.#deps.addresses() : [])
  }

  /** Makes a ticket that is good at these addresses. @throws NetError `TICKET_INVALID` */
  ticketFor(peer: PeerId, addresses: readonly string[]): Uint8Array {
    if (!this.#deps.isConnected(peer)) throw peerGone(peer)
    if (!this.#hasRoom(peer)) throw channelsExhausted(peer)
    return encodeTicket(this.#tickets.issue(peer, addresses))
  }

  /** Opens a channel over a connected peer; see `PeerNetwork.openChannel`. */
  async open(
    connection: Connection,
    peer: PeerId,
    options: { signal: AbortSignal },
  ): Promise<Channel> {
    if (!this.#hasRoom(peer)) throw channelsExhausted(peer)
    const ready = this.#upgrades.take(peer)
    if (ready !== undefined) return this.#keepTls(peer, ready)
    const opening = this.#openTls(connection, peer, options)
    const opened = connection.direct ? await opening : await this.#soon(opening)
    if (opened !== "later") {
      if (opened !== undefined) return this.#keepTls(peer, opened)
      return this.#openStream(connection, options)
    }
    // Somebody waits, and the relay is there: what is still on its way may take over from it.
    const channel = await this.#openStream(connection, options).catch((error: unknown) => {
      opening.then((late) => late?.socket.destroy()).catch(() => {})
      throw error
    })
    opening.then(
      (late) => late !== undefined && this.#upgrades.replace(channel, late),
      (error: unknown) => {
        this.#deps.log.debug({ peer, error: messageOf(error) }, "a data channel stays relayed")
      },
    )
    return channel
  }

  /** Cuts all channels of a peer and takes its tickets back. Resolves when they are destroyed. */
  async cut(peer: PeerId, reason: Error): Promise<void> {
    this.#tickets.revoke(peer)
    this.#upgrades.drop(peer)
    const cut = [...this.#open.values()].filter((channel) => channel.peer === peer)
    const closed = cut.map(
      ({ duplex }) => new Promise<void>((resolve) => duplex.once("close", () => resolve())),
    )
    for (const { duplex } of cut) duplex.destroy(reason)
    await Promise.all(closed)
  }

  close(reason: Error): void {
    this.#upgrades.close()
    for (const { duplex } of [...this.#open.values()]) duplex.destroy(reason)
  }

  #keepTls(peer: PeerId, { socket: duplex, borrow }: OpenedSocket): Channel {
    return this.#keep({ peer, kind: "tls", duplex, borrow }, "out")
  }

  async #openStream(connection: Connection, options: { signal: AbortSignal }): Promise<Channel> {
    const stream = await openStream(connection, WIRE_PROTOCOL, options.signal)
    const channel = this.#keep(this.#overStream(stream, connection), "out")
    const isUpgradable = this.#isTlsUsed && !connection.direct
    if (isUpgradable) this.#upgrades.tryLater(channel, connection)
    return channel
  }

  /** Waits for a direct socket as long as somebody who could do with the relay should. */
  async #soon<T>(opening: Promise<T>): Promise<T | "later"> {
    const { clock } = this.#deps
    const late = Promise.withResolvers<"later">()
    const cancel = clock.after(RELAYED_PATIENCE_MS, () => late.resolve("later"))
    try {
      return await Promise.race([opening, late.promise])
    } finally {
      cancel()
    }
  }

  /** The wire over a libp2p stream; what goes through a relay keeps to its rate. */
  #overStream(stream: Stream, connection: Connection): Channel {
    const { clock, relayedRate } = this.#deps
    const pace = (bytes: number): number => {
      this.#relayedBytes.add(bytes)
      return relayedRate.take(bytes)
    }
    const duplex = streamToDuplex(stream, connection.direct ? undefined : { clock, pace })
    return { peer: connection.remotePeer.toString(), kind: "libp2p", duplex }
  }

  /** Tries the ways to a TLS socket, the likelier one first; when none leads, not again for a while. */
  async #openTls(
    connection: Connection,
    peer: PeerId,
    { signal }: { signal: AbortSignal },
  ): Promise<OpenedSocket | undefined> {
    const isTried = this.#isTlsUsed && !this.#isIndirect(peer)
    const punch = () => (isTried ? this.#punch(connection, signal) : undefined)
    const punched = connection.direct ? undefined : await punch()
    if (punched !== undefined) return punched
    const direct = await this.#openDirect(connection, peer, { signal, isTried })
    if (direct.opened !== undefined) return direct.opened
    // Behind a relay, what was reached may be another host with the same private address.
    if (direct.isReached && connection.direct) return undefined
    const last = connection.direct ? await punch() : undefined
    if (last === undefined && isTried) this.#markIndirect(peer)
    return last
  }

  async #punch(connection: Connection, signal: AbortSignal): Promise<OpenedSocket | undefined> {
    try {
      return await this.#deps.punch(connection, signal)
    } catch (error) {
      signal.throwIfAborted()
      const fields = { peer: connection.remotePeer.toString(), error: messageOf(error) }
      this.#deps.log.debug(fields, "no data channel through address translation")
      return undefined
    }
  }

  async #openDirect(
    connection: Connection,
    peer: PeerId,
    { signal, isTried }: { signal: AbortSignal; isTried: boolean },
  ): Promise<{ opened?: OpenedSocket; isReached: boolean }> {
    const { clock, log } = this.#deps
    const inAllMs = connection.direct ? KNOWN_DIRECT_TIMEOUT_MS : DIRECT_TIMEOUT_MS
    const deadline = startDeadline(clock, inAllMs, signal)
    try {
      // Asked for in any case: a peer that takes no channels refuses it.
      const ticket = parseTicket(await this.#deps.askTicket(peer, signal))
      let isReached = false
      if (!isTried) return { isReached }
      const peers = { seeder: peer, fetcher: this.#self }
      for (const { endpoint, timeoutMs } of this.#places(connection, ticket.addresses)) {
        const patience = new HandshakePatience(clock, timeoutMs, deadline.signal)
        const onConnect = () => {
          // A socket that stands is the direct way.
          isReached = true
          deadline.clear()
          patience.connected()
        }
        try {
          const target = { endpoint, ticket }
          return {
            opened: await openTlsSocket(target, peers, { signal: patience.signal, onConnect }),
            isReached,
          }
        } catch (error) {
          signal.throwIfAborted()
          log.debug({ peer, endpoint, error: messageOf(error) }, "no direct data channel")
          if (isReached || deadline.signal.aborted) break
        } finally {
          patience.clear()
        }
      }
      return { isReached }
    } finally {
      deadline.clear()
    }
  }

  /**
   * Where to try, best first: the address that libp2p itself reached, then those of the ticket on the
   * same host, then its others; and how long a TCP connection to each may take. Only numeric addresses: a
   * ticket must not make this node ask a DNS.
   */
  #places(connection: Connection, addresses: readonly string[]): readonly ConnectPlace[] {
    const remote = endpointOf(connection.remoteAddr)
    const told = addresses.flatMap((address) => endpointOf(parseAddress(address)) ?? [])
    const isUsable = (endpoint: Endpoint): boolean =>
      /^[0-9.]+$|:/.test(endpoint.host) &&
      this.#deps.isHostAllowed(endpoint.host) &&
      (!isLoopback(endpoint.host) || (remote !== undefined && isLoopback(remote.host)))
    const reached = remote !== undefined && connection.direction === "outbound" ? [remote] : []
    const ranks: readonly (readonly [endpoints: readonly Endpoint[], knownMs: number])[] = [
      [reached, REACHED_TIMEOUT_MS],
      [told.filter(({ host }) => host === remote?.host), SAME_HOST_TIMEOUT_MS],
      [told.filter(({ host }) => host !== remote?.host), ADDRESS_TIMEOUT_MS],
    ]
    const unique = new Map<string, ConnectPlace>()
    for (const [endpoints, knownMs] of ranks) {
      // Behind a relay nothing is known of any address.
      const timeoutMs = connection.direct ? knownMs : ADDRESS_TIMEOUT_MS
      for (const endpoint of endpoints.filter(isUsable)) {
        const address = addressOf(endpoint)
        if (!unique.has(address)) unique.set(address, { endpoint, timeoutMs })
      }
    }
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

  /** @throws NetError `PEER_UNREACHABLE` when the peer went, or was cut, while it was opened */
  #keep(channel: Channel, direction: "in" | "out"): Channel {
    if (!this.#deps.isConnected(channel.peer)) {
      channel.duplex.destroy()
      throw peerGone(channel.peer)
    }
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

function channelsExhausted(peer: PeerId): NetError {
  return new NetError("TICKET_INVALID", `too many channels with ${peer}`)
}

function peerGone(peer: PeerId): NetError {
  return new NetError("PEER_UNREACHABLE", `${peer} is not connected`)
}
