/**
 * The port to other nodes over libp2p, with data channels beside it.
 * @module
 */
import type { Socket } from "node:net"
import { type Connection, isPeerId, type StreamHandler } from "@libp2p/interface"
import { peerIdFromString } from "@libp2p/peer-id"
import type { Clock } from "../core/clock.ts"
import { codeOf, messageOf } from "../core/errors.ts"
import type { Logger } from "../core/log.ts"
import type { Metrics } from "../core/metrics.ts"
import {
  endpointOf,
  firstHopOf,
  parseAddress,
  peerOfAddress,
  type RelayHop,
  relayOf,
} from "./address.ts"
import { AddressObserver, OBSERVE_PROTOCOL } from "./address-observer.ts"
import { NO_FLEET } from "./admission.ts"
import { type Ban, BanList } from "./ban-list.ts"
import { ByteRate } from "./byte-rate.ts"
import { ChannelDesk, TICKET_PROTOCOL, WIRE_PROTOCOL } from "./channel-desk.ts"
import { ConnectedPeers } from "./connected-peers.ts"
import { findProviders, provide } from "./dht.ts"
import { dialPeer } from "./dial-order.ts"
import { NetError, peerGone } from "./errors.ts"
import { type GossipListener, GossipTopics } from "./gossip-topics.ts"
import { type Identity, isSignedBy, publicKeyOf } from "./identity.ts"
import { JoinDesk } from "./join-desk.ts"
import { joinByInvite } from "./joining.ts"
import { type Libp2pNode, startNode } from "./libp2p-node.ts"
import {
  GOSSIP_BYTES_MAX,
  RELAYED_BYTES_PER_SECOND,
  REQUEST_STREAMS_PER_PEER_MAX,
} from "./limit.ts"
import { checkPeerAddress, checkRelayAddress, listenBesides, usableListen } from "./listen.ts"
import { ALIVE_PROTOCOL, Liveness } from "./liveness.ts"
import type {
  Admission,
  Channel,
  InviteKeys,
  JoinHandler,
  JoinTarget,
  Peer,
  PeerId,
  PeerNetwork,
  RequestHandler,
} from "./net.ts"
import { PeerBook, type PeerMemory } from "./peer-book.ts"
import { PeerFinder } from "./peer-finder.ts"
import { createPeerGate, type PeerGate } from "./peer-gate.ts"
import { type KeptTarget, PeerKeeper } from "./peer-keeper.ts"
import { PUNCH_PROTOCOL, Puncher } from "./puncher.ts"
import { RefusalPause } from "./refusal-pause.ts"
import { RelayClient } from "./relay-client.ts"
import { relayServer } from "./relay-server.ts"
import { RequestPool } from "./request-pool.ts"
import { SharedPort } from "./shared-port.ts"
import { connectFrom } from "./simultaneous-open.ts"
import { TlsAcceptor } from "./tls-socket.ts"
import { untilGone } from "./until-gone.ts"
import { Welcome } from "./welcome.ts"

const STOP_TIMEOUT_MS = 1_500
const SAVE_TIMEOUT_MS = 500

/** What the network is given. */
export interface Libp2pDeps {
  readonly clock: Clock
  readonly log: Logger
  readonly metrics: Metrics
  readonly peerMemory?: PeerMemory | undefined
}

/** How a node relays for others. */
export interface RelayOptions {
  /** Says whom it serves: both ends of a relayed connection must be served. */
  readonly isServed: (peer: PeerId) => boolean
  /** Of all relayed connections together, both ways. */
  readonly bytesPerSecond: number
}

/** How a node takes part. */
export interface Libp2pOptions {
  readonly identity: Identity
  /** Multiaddrs to listen on, `/ip4/…/tcp/PORT` or `/ip6/…/tcp/PORT`; port 0 picks a free one. */
  readonly listen: readonly string[]
  /** Multiaddrs of peers that are kept connected. */
  readonly peers: readonly string[]
  /** False: loopback and the configured peers only. */
  readonly isLan: boolean
  readonly mdns: boolean
  /** UDP port of mDNS, 5353 unless told. */
  readonly mdnsPort?: number | undefined
  /** Multiaddrs, with the peer id, of relays through which others may reach this node. */
  readonly relays?: readonly string[] | undefined
  /** Makes this node a relay; see `RelayOptions`. */
  readonly relay?: RelayOptions | undefined
  /** Bytes per second that all relayed data channels of this node send together. */
  readonly relayedBytesPerSecond?: number | undefined
  /**
   * Whom a fleet admits; without it, everybody. It is asked from the first connection on, so what it
   * answers must be right before the network starts.
   */
  readonly admission?: Admission | undefined
  /** False: data channels run over libp2p streams only. */
  readonly isTlsUsed?: boolean | undefined
}

/**
 * Starts the network of a node.
 * @throws NetError `ADDRESS_IN_USE`, `ADDRESS_INVALID`
 */
export async function createLibp2pNetwork(
  deps: Libp2pDeps,
  options: Libp2pOptions,
): Promise<PeerNetwork> {
  for (const address of options.peers) checkPeerAddress(address)
  for (const address of options.relays ?? []) checkRelayAddress(address)
  const listening = { listen: options.listen, isLan: isOnLan(options) }
  const listen = await usableListen(deps, listening)
  const network = new Libp2pNetwork(deps, options)
  try {
    await network.start(listen)
    return network
  } catch (cause) {
    await network.stop()
    // Somebody may have taken the port since it was probed: then this names it.
    await usableListen(deps, listening)
    throw new NetError("ADDRESS_INVALID", `cannot listen on ${listen.join(" and ")} together`, {
      cause,
    })
  }
}

/** In a fleet identity decides, so that a node of one is on its LAN without being told. */
function isOnLan({ isLan, admission }: Libp2pOptions): boolean {
  return isLan || admission?.isFleet() === true
}

class Libp2pNetwork implements PeerNetwork {
  readonly id: PeerId
  readonly #deps: Libp2pDeps
  readonly #options: Libp2pOptions
  readonly #bans: BanList
  readonly #gate: PeerGate
  readonly #book: PeerBook
  readonly #peers: ConnectedPeers
  readonly #keeper: PeerKeeper
  readonly #finder: PeerFinder
  readonly #requests: RequestPool
  readonly #channels: ChannelDesk
  readonly #joins: JoinDesk
  readonly #port: SharedPort
  readonly #relayClient: RelayClient
  readonly #puncher: Puncher
  readonly #observer: AddressObserver
  readonly #liveness: Liveness
  readonly #refusals: RefusalPause
  readonly #welcome: Welcome
  readonly #handlers = new Map<string, RequestHandler>()
  readonly #topics = new GossipTopics()
  #node: Libp2pNode | undefined
  #stopping: Promise<void> | undefined

  constructor(deps: Libp2pDeps, options: Libp2pOptions) {
    const { clock, log, metrics } = deps
    this.#deps = deps
    this.#options = options
    this.id = options.identity.id
    this.#bans = new BanList(clock)
    this.#book = new PeerBook({ isInUse: (peer) => this.#peers.has(peer) })
    this.#peers = new ConnectedPeers({ clock, book: this.#book })
    this.#refusals = new RefusalPause(clock)
    this.#welcome = new Welcome({
      clock,
      ping: async ({ remotePeer }, signal) =>
        this.#running().services.ping.ping(remotePeer, { signal }),
      onWelcome: (connection) => {
        this.#refusals.delete(connection.remotePeer.toString())
        this.#opened(connection)
      },
      onRefused: ({ remotePeer }) => this.#refusals.add(remotePeer.toString()),
    })
    const untilPeerGone = (peer: PeerId, signal: AbortSignal) =>
      untilGone(this.#peers, peer, signal)
    const relays = options.relays ?? []
    this.#relayClient = new RelayClient({ clock, log, untilGone: untilPeerGone }, { relays })
    this.#gate = createPeerGate(
      {
        bans: this.#bans,
        refusals: this.#refusals,
        admission: options.admission ?? NO_FLEET,
      },
      {
        isLan: options.isLan,
        peers: [...options.peers, ...relays],
        isOwnRelay: this.#relayClient.isRelay,
        isServed: options.relay?.isServed ?? (() => false),
      },
    )
    this.#keeper = new PeerKeeper({
      clock,
      log,
      dial: (target, signal) => this.#dialKept(target, signal),
      untilGone: untilPeerGone,
    })
    const isSought = (peer: PeerId): boolean =>
      !this.#peers.has(peer) && this.#gate.isPeerAllowed(peer)
    this.#finder = new PeerFinder(
      { clock, log, book: this.#book, keeper: this.#keeper, memory: deps.peerMemory, isSought },
      { self: this.id },
    )
    const connect = (peer: PeerId, signal: AbortSignal) => this.#connect(peer, signal)
    const onHeard = (peer: PeerId) => this.#liveness.heard(peer)
    this.#requests = new RequestPool({ clock, metrics, connect, onHeard })
    this.#liveness = new Liveness({
      clock,
      log,
      random: Math.random,
      ask: (peer, body, signal) => this.#requests.request(peer, ALIVE_PROTOCOL, body, { signal }),
      cut: (peer, error) => this.#cut(peer, error),
    })
    this.#channels = new ChannelDesk(
      {
        clock,
        log,
        metrics,
        askTicket: (peer, signal) =>
          this.#requests.request(peer, TICKET_PROTOCOL, new Uint8Array(), { signal }),
        addresses: () => this.addresses(),
        isConnected: (peer) => this.#peers.has(peer) && this.#gate.isPeerAllowed(peer),
        isHostAllowed: this.#gate.isHostAllowed,
        punch: (connection, signal) => this.#puncher.open(connection, signal),
        relayedRate: new ByteRate(clock, options.relayedBytesPerSecond ?? RELAYED_BYTES_PER_SECOND),
      },
      { self: this.id, isTlsUsed: options.isTlsUsed ?? true },
    )
    this.#joins = new JoinDesk({ clock, log })
    const isTlsUsed = options.isTlsUsed ?? true
    const doors = [...(isTlsUsed ? [this.#channels.door] : []), this.#joins]
    const acceptor = new TlsAcceptor({ clock, doors })
    const takeTls = (socket: Socket) => acceptor.accept(socket)
    this.#puncher = new Puncher(
      {
        clock,
        log,
        metrics,
        connect: connectFrom,
        ask: (peer, protocol, body, signal) =>
          this.#requests.request(peer, protocol, body, { signal }),
        observers: (peer) => this.#observers(peer),
        isHostAllowed: this.#gate.isHostAllowed,
        giveTicket: (peer, addresses) => this.#channels.ticketFor(peer, addresses),
        takeTls,
      },
      { self: this.id },
    )
    this.#observer = new AddressObserver({ clock }, { isServed: this.#gate.isServed })
    this.#port = new SharedPort(
      { clock },
      {
        isAllowed: this.#gate.isHostAllowed,
        takeTls,
        takeObserved: options.relay === undefined ? undefined : this.#observer.takeSocket,
      },
    )
    metrics.gauge("sealift_net_peers", "Connected peers.", () => this.#peers.size)
    metrics.gauge("sealift_net_bans", "Peers that are banned now.", () => this.bans().length)
  }

  async start(listen: readonly string[]): Promise<void> {
    const { identity, mdns, mdnsPort, relay, relays } = this.#options
    const node = await startNode({
      identity,
      listen,
      transport: this.#port.transport(),
      relayClient: this.#relayClient,
      relay: relay === undefined ? undefined : relayServer(this.#deps, relay),
      gater: this.#gate.gater,
      onMdns: mdns && isOnLan(this.#options) ? this.#finder.takeMdns : undefined,
      mdnsPort,
      log: this.#deps.log,
    })
    this.#node = node
    if (relay !== undefined) this.onRequest(OBSERVE_PROTOCOL, this.#observer.answer)
    this.onRequest(ALIVE_PROTOCOL, async () => new Uint8Array(0))
    this.#peers.onConnect(({ id }) => this.#liveness.add(id))
    this.#peers.onDisconnect((peer) => this.#liveness.delete(peer))
    this.#liveness.start()
    this.#peers.onDisconnect((peer) => this.#channels.cut(peer, peerGone(peer)))
    this.#peers.onConnect(({ id }) => this.#relayClient.connected(id))
    node.addEventListener("connection:open", ({ detail }) => {
      const endpoint = endpointOf(detail.remoteAddr)
      if (endpoint !== undefined) this.#port.upgraded(endpoint)
      // Who dialled here was let in by the gate; whom this node dialled may not want it.
      if (detail.direction === "inbound") this.#opened(detail)
      else this.#welcome.check(detail).catch(() => {})
    })
    node.addEventListener("connection:close", ({ detail }) => this.#peers.closed(detail))
    node.addEventListener("peer:identify", ({ detail: { peerId, listenAddrs } }) =>
      this.#finder.takeIdentify(peerId.toString(), listenAddrs.map(String)),
    )
    node.services.gossip.addEventListener("message", ({ detail }) => {
      if (detail.type === "signed") this.#onGossip(detail.topic, detail.data, String(detail.from))
    })
    for (const address of this.#options.peers) this.#finder.keepConfigured(address)
    for (const address of relays ?? []) this.#finder.keepRelay(address)
    await this.#finder.keepRemembered()
  }

  addresses(): readonly string[] {
    return this.#node?.getMultiaddrs().map((address) => address.toString()) ?? []
  }

  peers(): readonly Peer[] {
    return this.#peers.all()
  }

  peer(id: PeerId): Peer | undefined {
    return this.#peers.peer(id)
  }

  async dial(target: string, options: { signal?: AbortSignal } = {}): Promise<PeerId> {
    this.#running()
    const address = target.startsWith("/") ? parseAddress(target) : undefined
    const id = address === undefined ? target : peerOfAddress(address)
    if (id !== undefined) publicKeyOf(id)
    if (id === this.id) throw new NetError("ADDRESS_INVALID", "a node does not dial itself")
    if (address !== undefined && firstHopOf(address) === undefined) {
      throw new NetError("ADDRESS_INVALID", `"${target}" has no IP and TCP port`)
    }
    // libp2p would open one more relayed connection each time.
    if (id !== undefined && this.#peers.connection(id)?.direct === false) return id
    if (id !== undefined) this.#refusals.end(id)
    const to = address ?? peerIdFromString(target)
    const connection = await this.#open(to, id, options.signal)
    return connection.remotePeer.toString()
  }

  async disconnect(peer: PeerId): Promise<void> {
    const node = this.#running()
    this.#channels.cut(peer, peerGone(peer))
    if (this.#peers.has(peer)) await node.hangUp(peerIdFromString(peer))
  }

  onRequest(protocol: string, handler: RequestHandler): void {
    const node = this.#running()
    const isNew = !this.#handlers.has(protocol)
    this.#handlers.set(protocol, handler)
    if (isNew) {
      this.#serve(node, protocol, REQUEST_STREAMS_PER_PEER_MAX, (stream, { remotePeer }) =>
        this.#requests.serve(stream, remotePeer.toString(), this.#handlers.get(protocol)!),
      )
    }
  }

  async request(
    peer: PeerId,
    protocol: string,
    body: Uint8Array,
    options: { signal: AbortSignal },
  ): Promise<Uint8Array> {
    this.#running()
    return this.#requests.request(peer, protocol, body, options)
  }

  async openChannel(peer: PeerId, options: { signal: AbortSignal }): Promise<Channel> {
    this.#running()
    options.signal.throwIfAborted()
    try {
      const connection = await this.#connect(peer, options.signal)
      return await this.#channels.open(connection, peer, options)
    } catch (error) {
      options.signal.throwIfAborted()
      throw error
    }
  }

  onChannel(handler: (channel: Channel) => void): void {
    const node = this.#running()
    this.#channels.onChannel(handler)
    if (this.#handlers.has(TICKET_PROTOCOL)) return
    this.onRequest(TICKET_PROTOCOL, this.#channels.giveTicket)
    if (this.#options.isTlsUsed !== false) this.onRequest(PUNCH_PROTOCOL, this.#puncher.answer)
    this.#serve(node, WIRE_PROTOCOL, undefined, (stream, connection) =>
      this.#channels.takeStream(stream, connection),
    )
  }

  async publish(topic: string, message: Uint8Array): Promise<void> {
    const node = this.#running()
    if (message.length > GOSSIP_BYTES_MAX) {
      throw new NetError("PROTOCOL_VIOLATION", `a message of ${message.length} bytes is too large`)
    }
    await node.services.gossip.publish(topic, message)
  }

  subscribe(topic: string, listener: GossipListener): () => void {
    const { gossip } = this.#running().services
    return this.#topics.add(topic, listener, {
      join: () => gossip.subscribe(topic),
      leave: () => {
        if (this.#stopping === undefined) gossip.unsubscribe(topic)
      },
    })
  }

  async provide(key: Uint8Array, options: { signal: AbortSignal }): Promise<void> {
    const { dht } = this.#running().services
    await provide({ clock: this.#deps.clock, log: this.#deps.log, dht }, key, options.signal)
  }

  async *findProviders(key: Uint8Array, options: { signal: AbortSignal }): AsyncIterable<PeerId> {
    const node = this.#running()
    const deps = { clock: this.#deps.clock, log: this.#deps.log, dht: node.services.dht }
    for await (const found of findProviders(deps, key, options.signal)) {
      const id = found.id.toString()
      if (id === this.id || found.id.type !== "Ed25519" || !this.#gate.isPeerAllowed(id)) continue
      await node.peerStore.merge(found.id, { multiaddrs: found.multiaddrs })
      this.#book.addSource(id, "dht")
      yield id
    }
  }

  async sign(bytes: Uint8Array): Promise<Uint8Array> {
    return this.#options.identity.sign(bytes)
  }

  async verify(peer: PeerId, bytes: Uint8Array, signature: Uint8Array): Promise<boolean> {
    return isSignedBy(peer, bytes, signature)
  }

  async ban(peer: PeerId, reason: string, durationMs: number): Promise<void> {
    this.#deps.log.warn({ peer, reason, durationMs }, "banned a peer")
    this.#bans.add(peer, reason, durationMs)
    this.#cut(peer, new NetError("PEER_BANNED", `${peer} is banned: ${reason}`))
  }

  bans(): readonly Ban[] {
    return this.#bans.all()
  }

  keep(address: string): void {
    this.#running()
    checkPeerAddress(address)
    if (!this.#finder.hasRoomFor(address)) {
      this.#deps.log.warn({ address }, "too many peers are kept connected: one is left out")
      return
    }
    this.#gate.allowHostOf(address)
    this.#finder.keep(address)
  }

  async listen(addresses: readonly string[]): Promise<void> {
    const { announce } = this.#running().services
    const own = this.addresses().flatMap((address) => endpointOf(parseAddress(address)) ?? [])
    const besides = listenBesides(addresses, own)
    const isLan = this.#gate.isAnyHostAllowed()
    const usable = await usableListen(this.#deps, { listen: besides, isLan })
    try {
      await announce.listen(usable.map(parseAddress))
    } catch (cause) {
      throw new NetError("ADDRESS_INVALID", `cannot listen on ${usable.join(" and ")}`, { cause })
    }
  }

  async recheck(): Promise<void> {
    const strangers = this.#peers.all().filter(({ id }) => !this.#gate.isPeerAllowed(id))
    await Promise.all(strangers.map(({ id }) => this.#cut(id, stranger(id))))
  }

  onJoin(keys: InviteKeys, handler: JoinHandler): void {
    this.#running()
    this.#joins.open({ keys, handler })
  }

  async join(
    target: JoinTarget,
    request: Uint8Array,
    { signal }: { signal: AbortSignal },
  ): Promise<Uint8Array> {
    this.#running()
    return joinByInvite(this.#deps, target, { request, signal })
  }

  onConnect(listener: (peer: Peer) => void): () => void {
    return this.#peers.onConnect(listener)
  }

  onDisconnect(listener: (peer: PeerId) => void): () => void {
    return this.#peers.onDisconnect(listener)
  }

  stop(): Promise<void> {
    this.#stopping ??= this.#stop()
    return this.#stopping
  }

  async #stop(): Promise<void> {
    this.#keeper.stop()
    this.#liveness.stop()
    this.#relayClient.stop()
    await this.#within(SAVE_TIMEOUT_MS, this.#finder.save())
    this.#requests.close()
    this.#puncher.close()
    this.#channels.close(stopped())
    this.#observer.close()
    this.#port.close()
    await this.#within(STOP_TIMEOUT_MS, this.#node?.stop() ?? Promise.resolve())
  }

  /** Waits for work that has nobody else to wait for it, but not for ever. */
  async #within(timeoutMs: number, work: Promise<unknown>): Promise<void> {
    const { clock, log } = this.#deps
    const done = new AbortController()
    const late = clock.sleep(timeoutMs, { signal: done.signal }).then(
      () => log.warn({ timeoutMs }, "stopping the network takes too long"),
      () => {},
    )
    const failed = (error: unknown) =>
      log.warn({ error: messageOf(error) }, "stopping the network failed in part")
    await Promise.race([work.catch(failed), late])
    done.abort()
  }

  /** Relays that can see this node: the one that leads to the peer, then those of the configuration. */
  #observers(peer: PeerId): readonly RelayHop[] {
    const ways = this.#peers.connections(peer).map(({ remoteAddr }) => relayOf(remoteAddr)?.peer)
    const relays = new Set([...ways, ...this.#relayClient.relays])
    return [...relays].flatMap((relay) => {
      const open = relay === undefined ? [] : this.#peers.connections(relay)
      const dialled = open.find(({ direct, direction }) => direct && direction === "outbound")
      const endpoint = dialled === undefined ? undefined : endpointOf(dialled.remoteAddr)
      return endpoint === undefined ? [] : [{ peer: relay!, endpoint }]
    })
  }

  /** Resolves when the peer's channels are destroyed; all else of it ends with its connections. */
  async #cut(peer: PeerId, error: Error): Promise<void> {
    const channels = this.#channels.cut(peer, error)
    for (const connection of this.#peers.connections(peer)) connection.abort(error)
    await channels
  }

  #opened(connection: Connection): void {
    const peer = connection.remotePeer.toString()
    // The gate was asked before the connection was made ready: the answer may be another one now.
    if (this.#gate.isPeerAllowed(peer)) this.#peers.opened(connection)
    else connection.abort(stranger(peer))
  }

  #running(): Libp2pNode {
    if (this.#stopping !== undefined || this.#node === undefined) throw stopped()
    return this.#node
  }

  #serve(
    node: Libp2pNode,
    protocol: string,
    maxInboundStreams: number | undefined,
    take: StreamHandler,
  ): void {
    const limits = maxInboundStreams === undefined ? {} : { maxInboundStreams }
    const takeAllowed: StreamHandler = (stream, connection) => {
      const peer = connection.remotePeer.toString()
      if (!this.#gate.isPeerAllowed(peer)) return stream.abort(stranger(peer))
      // It may ask before this node's own round trip is over.
      if (connection.direction === "outbound") this.#welcome.proven(connection)
      return take(stream, connection)
    }
    node
      .handle(protocol, takeAllowed, { ...limits, runOnLimitedConnection: true })
      .catch((error: unknown) => {
        this.#deps.log.error({ protocol, error: messageOf(error) }, "cannot serve a protocol")
      })
  }

  async #connect(peer: PeerId, signal: AbortSignal): Promise<Connection> {
    const open = this.#peers.connection(peer)
    if (open !== undefined) return open
    publicKeyOf(peer)
    return this.#open(peerIdFromString(peer), peer, signal)
  }

  /** Dials, and makes sure that the other side let this node in. */
  async #open(
    to: Parameters<Libp2pNode["dial"]>[0],
    id: PeerId | undefined,
    signal: AbortSignal | undefined,
  ): Promise<Connection> {
    const node = this.#running()
    if (id !== undefined && this.#bans.has(id)) {
      throw new NetError("PEER_BANNED", `${id} is banned here`)
    }
    if (id !== undefined && !this.#gate.isPeerAllowed(id)) throw stranger(id)
    try {
      const connection = isPeerId(to)
        ? await dialPeer({ node, clock: this.#deps.clock }, to, signal)
        : await node.dial(to, signal === undefined ? {} : { signal })
      if (connection.direction === "outbound") await this.#welcome.check(connection, signal)
      return connection
    } catch (cause) {
      signal?.throwIfAborted()
      if (codeOf(cause) === "PEER_BANNED") throw cause
      throw new NetError("PEER_UNREACHABLE", `cannot connect to ${id ?? String(to)}`, { cause })
    }
  }

  async #dialKept(target: KeptTarget, signal: AbortSignal): Promise<PeerId> {
    const addresses = target.addresses.map(parseAddress)
    const id = addresses.map(peerOfAddress).find((found) => found !== undefined)
    const known = id === undefined ? undefined : this.#peers.connection(id)
    // The keeper has pauses of its own.
    if (id !== undefined) this.#refusals.end(id)
    const connection = known ?? (await this.#open(addresses, id, signal))
    const peer = connection.remotePeer.toString()
    if (target.source !== undefined) this.#book.addSource(peer, target.source)
    return peer
  }

  #onGossip(topic: string, message: Uint8Array, from: PeerId): void {
    if (!this.#gate.isPeerAllowed(from) || message.length > GOSSIP_BYTES_MAX) return
    this.#topics.deliver(topic, message, from)
  }
}

function stopped(): NetError {
  return new NetError("NETWORK_STOPPED", "the network is stopped")
}

function stranger(peer: PeerId): NetError {
  return new NetError("PEER_UNREACHABLE", `${peer} is not of this fleet`)
}
