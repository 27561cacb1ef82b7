/**
 * The in-memory twin of the port: nodes of one hub reach each other without sockets.
 * @module
 */
import type { Duplex } from "node:stream"
import { type Clock, systemClock } from "../core/clock.ts"
import { codeOf } from "../core/errors.ts"
import { CONTROL_MESSAGE_BYTES_MAX } from "../core/limits.ts"
import { untilAborted } from "../core/until-aborted.ts"
import { BanList } from "./ban-list.ts"
import { NetError, requestRefused } from "./errors.ts"
import { type GossipListener, GossipTopics } from "./gossip-topics.ts"
import {
  createIdentity,
  type Identity,
  identityFromSeed,
  isSigned,
  isSignedBy,
} from "./identity.ts"
import { GOSSIP_BYTES_MAX } from "./limit.ts"
import { createMemoryDuplexPair } from "./memory-channel.ts"
import { HostLink, type LinkFlow, type LinkRate } from "./memory-link.ts"
import type { Channel, Peer, PeerId, PeerNetwork, PeerSource, RequestHandler } from "./net.ts"

/** How a node joins a hub. */
export interface JoinOptions {
  /** A name to use in place of a true peer id, for tests that print; signatures still work. */
  readonly id?: PeerId
  /** Secret bytes (32) of the identity, when the id must be the same on each run. */
  readonly seed?: Uint8Array
  /** IP address at which the others see it; 127.0.0.1 unless told. */
  readonly host?: string
  /** How the other nodes of the hub came to know this one; `configured` unless told. */
  readonly sources?: readonly PeerSource[]
  /** How fast its link is; data channels between two nodes that have one are bound by both. */
  readonly rate?: LinkRate
}

/** A little world of nodes. */
export interface MemoryHub {
  join(options?: JoinOptions): PeerNetwork
  /** Connects two nodes, or every pair. */
  connect(left: PeerId, right: PeerId): void
  connectAll(): void
  /** Cuts every connection between nodes of different groups; a node that is in none is alone. */
  partition(groups: readonly (readonly PeerId[])[]): void
  /** Ends the partition; nodes must connect anew. */
  heal(): void
  /** A node vanishes: all it had is cut and nobody reaches it. */
  drop(id: PeerId): void
  /** Bytes that all channels carried, from each node. */
  sentBytes(id: PeerId): number
  /** The link of a node that has a rate. */
  link(id: PeerId): HostLink | undefined
}

/** How the nodes of a hub are joined together. */
export interface HubOptions {
  /** The system's unless told. */
  readonly clock?: Clock
  /** The time one way; 0 unless told. */
  readonly latencyMs?: number
  /** The same of one pair of nodes, where it differs from pair to pair. */
  readonly latencyOf?: (left: PeerId, right: PeerId) => number
  /** Makes data channels; of Node's streams unless told. */
  readonly channels?: ChannelMaker
  /**
   * Told of each request that leaves a node, with the bytes of its body, and of the answer when it
   * arrives. What it refuses (false) is lost: the asker waits for as long as it likes.
   */
  readonly onRequest?: (from: PeerId, to: PeerId, bytes: number) => boolean
}

/** Makes both ends of a data channel. */
export type ChannelMaker = (
  deps: { clock: Clock; onSent: readonly [(bytes: number) => void, (bytes: number) => void] },
  options: { latencyMs: number; flows: readonly [LinkFlow, LinkFlow] | undefined },
) => readonly [ChannelEnd, ChannelEnd]

/** What a channel has of its own at each end. */
export type ChannelEnd = Required<Pick<Channel, "duplex" | "borrow">>

/** Makes an empty world. */
export function createMemoryHub(options: HubOptions = {}): MemoryHub {
  return new Hub(options)
}

class Hub implements MemoryHub {
  readonly clock: Clock
  readonly channels: ChannelMaker
  readonly latencyMs: number
  readonly #options: HubOptions
  readonly #nodes = new Map<PeerId, MemoryNetwork>()
  readonly #providers = new Map<string, Set<PeerId>>()
  #groups: readonly ReadonlySet<PeerId>[] | undefined

  constructor(options: HubOptions) {
    this.#options = options
    this.clock = options.clock ?? systemClock
    this.latencyMs = options.latencyMs ?? 0
    this.channels = options.channels ?? streamPair
  }

  join(options: JoinOptions = {}): PeerNetwork {
    const identity = options.seed === undefined ? createIdentity() : identityFromSeed(options.seed)
    const node = new MemoryNetwork(this, identity, options)
    if (this.#nodes.has(node.id)) throw new TypeError(`${node.id} is in the hub already`)
    this.#nodes.set(node.id, node)
    return node
  }

  connect(left: PeerId, right: PeerId): void {
    const [a, b] = [this.#nodes.get(left), this.#nodes.get(right)]
    if (a === undefined || b === undefined) throw new TypeError("both nodes must be in the hub")
    if (a === b || a.peer(right) !== undefined || !this.canReach(left, right)) return
    a.attach(b, b.sources)
    b.attach(a, [...a.sources, "inbound"])
  }

  connectAll(): void {
    const ids = [...this.#nodes.keys()]
    for (const [index, left] of ids.entries()) {
      for (const right of ids.slice(index + 1)) this.connect(left, right)
    }
  }

  partition(groups: readonly (readonly PeerId[])[]): void {
    this.#groups = groups.map((group) => new Set(group))
    for (const node of this.#nodes.values()) {
      for (const { id } of node.peers()) if (!this.canReach(node.id, id)) this.cut(node.id, id)
    }
  }

  heal(): void {
    this.#groups = undefined
  }

  drop(id: PeerId): void {
    const node = this.#nodes.get(id)
    if (node === undefined) return
    for (const peer of node.peers()) this.cut(id, peer.id)
    this.#nodes.delete(id)
    for (const holders of this.#providers.values()) holders.delete(id)
  }

  sentBytes(id: PeerId): number {
    return this.#nodes.get(id)?.sentBytes ?? 0
  }

  link(id: PeerId): HostLink | undefined {
    return this.#nodes.get(id)?.link
  }

  node(id: PeerId): MemoryNetwork | undefined {
    return this.#nodes.get(id)
  }

  cut(left: PeerId, right: PeerId): void {
    this.#nodes.get(left)?.detach(right)
    this.#nodes.get(right)?.detach(left)
  }

  canReach(left: PeerId, right: PeerId): boolean {
    if (!this.#nodes.has(left) || !this.#nodes.has(right)) return false
    const isBanned =
      this.#nodes.get(left)!.isBanned(right) || this.#nodes.get(right)!.isBanned(left)
    const groups = this.#groups
    const together = groups?.some((group) => group.has(left) && group.has(right)) ?? true
    return together && !isBanned
  }

  /** All nodes that a message from `start` comes to over connections, by way of `passes` nodes. */
  flood(start: MemoryNetwork, passes: (node: MemoryNetwork) => boolean): MemoryNetwork[] {
    const seen = new Set<MemoryNetwork>([start])
    for (const node of seen) {
      if (node !== start && !passes(node)) continue
      for (const { id } of node.peers()) {
        const next = this.#nodes.get(id)
        if (next !== undefined) seen.add(next)
      }
    }
    return [...seen].filter((node) => node !== start && passes(node))
  }

  provide(key: Uint8Array, id: PeerId): void {
    const name = Buffer.from(key).toString("hex")
    const holders = this.#providers.get(name) ?? new Set()
    this.#providers.set(name, holders.add(id))
  }

  providers(key: Uint8Array): ReadonlySet<PeerId> {
    return this.#providers.get(Buffer.from(key).toString("hex")) ?? new Set()
  }

  /** One way between two nodes, milliseconds. */
  latencyOf(left: PeerId, right: PeerId): number {
    return this.#options.latencyOf?.(left, right) ?? this.latencyMs
  }

  sleep(signal: AbortSignal | undefined, latencyMs: number = this.latencyMs): Promise<void> {
    signal?.throwIfAborted()
    if (latencyMs === 0) return Promise.resolve()
    return this.clock.sleep(latencyMs, { signal })
  }

  /** @returns false when what is sent will never arrive */
  carries(from: PeerId, to: PeerId, bytes: number): boolean {
    return this.#options.onRequest?.(from, to, bytes) ?? true
  }
}

interface Link {
  readonly peer: Peer
  readonly cut: AbortController
  readonly duplexes: Set<Duplex>
}

class MemoryNetwork implements PeerNetwork {
  readonly id: PeerId
  readonly host: string
  readonly sources: readonly PeerSource[]
  readonly identity: Identity
  readonly link: HostLink | undefined
  sentBytes = 0
  readonly #hub: Hub
  readonly #bans: BanList
  readonly #links = new Map<PeerId, Link>()
  readonly #handlers = new Map<string, RequestHandler>()
  readonly #topics = new GossipTopics()
  readonly #connectListeners = new Set<(peer: Peer) => void>()
  readonly #disconnectListeners = new Set<(peer: PeerId) => void>()
  #channelHandler: ((channel: Channel) => void) | undefined
  #isStopped = false

  constructor(hub: Hub, identity: Identity, options: JoinOptions) {
    this.#hub = hub
    this.identity = identity
    this.id = options.id ?? identity.id
    this.host = options.host ?? "127.0.0.1"
    this.sources = options.sources ?? ["configured"]
    this.#bans = new BanList(hub.clock)
    this.link = options.rate === undefined ? undefined : new HostLink(hub.clock, options.rate)
  }

  addresses(): readonly string[] {
    return [`/memory/${this.id}/p2p/${this.id}`]
  }

  peers(): readonly Peer[] {
    return [...this.#links.values()].map((link) => link.peer)
  }

  peer(id: PeerId): Peer | undefined {
    return this.#links.get(id)?.peer
  }

  async dial(target: string, options: { signal?: AbortSignal } = {}): Promise<PeerId> {
    this.#assertRunning()
    const id = target.startsWith("/") ? /\/p2p\/([^/]+)$/.exec(target)?.[1] : target
    if (id === undefined || id === this.id) {
      throw new NetError("ADDRESS_INVALID", `"${target}" names no other node`)
    }
    if (this.isBanned(id)) throw new NetError("PEER_BANNED", `${id} is banned here`)
    await this.#hub.sleep(options.signal, this.#hub.latencyOf(this.id, id))
    if (!this.#hub.canReach(this.id, id)) throw unreachablePeer(id)
    this.#hub.connect(this.id, id)
    return id
  }

  async disconnect(peer: PeerId): Promise<void> {
    this.#hub.cut(this.id, peer)
  }

  onRequest(protocol: string, handler: RequestHandler): void {
    this.#handlers.set(protocol, handler)
  }

  async request(
    peer: PeerId,
    protocol: string,
    body: Uint8Array,
    options: { signal: AbortSignal },
  ): Promise<Uint8Array> {
    const link = await this.#linkTo(peer, options.signal)
    const signal = AbortSignal.any([options.signal, link.cut.signal])
    const latencyMs = this.#hub.latencyOf(this.id, peer)
    if (!this.#hub.carries(this.id, peer, body.length)) await untilAborted(never(), signal)
    await this.#hub.sleep(signal, latencyMs)
    const answer = this.#hub.node(peer)!.answer(this.id, protocol, body)
    const response = await untilAborted(answer, signal)
    if (!this.#hub.carries(peer, this.id, response.length)) await untilAborted(never(), signal)
    await this.#hub.sleep(signal, latencyMs)
    return response
  }

  /** Runs the handler of a request that came from `from`. */
  async answer(from: PeerId, protocol: string, body: Uint8Array): Promise<Uint8Array> {
    const handler = this.#handlers.get(protocol)
    const link = this.#links.get(from)
    if (handler === undefined || link === undefined) throw requestRefused("PROTOCOL_UNKNOWN")
    if (body.length > CONTROL_MESSAGE_BYTES_MAX) throw requestRefused("MESSAGE_TOO_LARGE")
    const context = { peer: from, signal: link.cut.signal }
    const response = await runHandler(() => handler(Uint8Array.from(body), context))
    if (response.length > CONTROL_MESSAGE_BYTES_MAX) throw requestRefused("MESSAGE_TOO_LARGE")
    return Uint8Array.from(response)
  }

  async openChannel(peer: PeerId, options: { signal: AbortSignal }): Promise<Channel> {
    const link = await this.#linkTo(peer, options.signal)
    const { clock, channels } = this.#hub
    const latencyMs = this.#hub.latencyOf(this.id, peer)
    await this.#hub.sleep(AbortSignal.any([options.signal, link.cut.signal]), latencyMs)
    const other = this.#hub.node(peer)!
    if (other.#channelHandler === undefined) throw requestRefused("PROTOCOL_UNKNOWN")
    const count = (node: MemoryNetwork) => (bytes: number) => {
      node.sentBytes += bytes
    }
    const onSent = [count(this), count(other)] as const
    const [local, remote] = channels(
      { clock, onSent },
      { latencyMs, flows: flowsBetween(this.link, other.link, latencyMs) },
    )
    this.#keep(peer, local.duplex)
    other.#keep(this.id, remote.duplex)
    other.#channelHandler({ peer: this.id, kind: "memory", ...remote })
    return { peer, kind: "memory", ...local }
  }

  onChannel(handler: (channel: Channel) => void): void {
    this.#channelHandler = handler
  }

  async publish(topic: string, message: Uint8Array): Promise<void> {
    this.#assertRunning()
    if (message.length > GOSSIP_BYTES_MAX) {
      throw new NetError("PROTOCOL_VIOLATION", `a message of ${message.length} bytes is too large`)
    }
    await this.#hub.sleep(undefined)
    for (const node of this.#hub.flood(this, (other) => other.#topics.has(topic))) {
      node.#topics.deliver(topic, Uint8Array.from(message), this.id)
    }
  }

  subscribe(topic: string, listener: GossipListener): () => void {
    return this.#topics.add(topic, listener)
  }

  async provide(key: Uint8Array, options: { signal: AbortSignal }): Promise<void> {
    this.#assertRunning()
    await this.#hub.sleep(options.signal)
    this.#hub.provide(key, this.id)
  }

  async *findProviders(key: Uint8Array, options: { signal: AbortSignal }): AsyncIterable<PeerId> {
    this.#assertRunning()
    await this.#hub.sleep(options.signal)
    const reached = new Set(this.#hub.flood(this, () => true).map((node) => node.id))
    for (const id of this.#hub.providers(key)) if (reached.has(id)) yield id
  }

  async sign(bytes: Uint8Array): Promise<Uint8Array> {
    return this.identity.sign(bytes)
  }

  async verify(peer: PeerId, bytes: Uint8Array, signature: Uint8Array): Promise<boolean> {
    const publicKey = this.#hub.node(peer)?.identity.publicKey
    if (publicKey === undefined) return isSignedBy(peer, bytes, signature)
    return isSigned(publicKey, bytes, signature)
  }

  async ban(peer: PeerId, reason: string, durationMs: number): Promise<void> {
    this.#bans.add(peer, reason, durationMs)
    this.#hub.cut(this.id, peer)
  }

  bans(): readonly { peer: PeerId; reason: string; untilMs: number }[] {
    return this.#bans.all()
  }

  isBanned(peer: PeerId): boolean {
    return this.#bans.has(peer)
  }

  onConnect(listener: (peer: Peer) => void): () => void {
    this.#connectListeners.add(listener)
    return () => this.#connectListeners.delete(listener)
  }

  onDisconnect(listener: (peer: PeerId) => void): () => void {
    this.#disconnectListeners.add(listener)
    return () => this.#disconnectListeners.delete(listener)
  }

  async stop(): Promise<void> {
    this.#isStopped = true
    this.#hub.drop(this.id)
  }

  attach(other: MemoryNetwork, sources: readonly PeerSource[]): void {
    const peer: Peer = {
      id: other.id,
      addresses: other.addresses(),
      sources: new Set(sources),
      connectedSinceMs: this.#hub.clock.now(),
      host: other.host,
      roundTripMs: 2 * this.#hub.latencyOf(this.id, other.id),
    }
    this.#links.set(other.id, { peer, cut: new AbortController(), duplexes: new Set() })
    for (const listener of this.#connectListeners) listener(peer)
  }

  detach(id: PeerId): void {
    const link = this.#links.get(id)
    if (link === undefined) return
    this.#links.delete(id)
    link.cut.abort(unreachablePeer(id))
    for (const duplex of link.duplexes) duplex.destroy(unreachablePeer(id))
    for (const listener of this.#disconnectListeners) listener(id)
  }

  async #linkTo(peer: PeerId, signal: AbortSignal): Promise<Link> {
    this.#assertRunning()
    signal.throwIfAborted()
    if (!this.#links.has(peer)) await this.dial(peer, { signal })
    const link = this.#links.get(peer)
    if (link === undefined) throw unreachablePeer(peer)
    return link
  }

  #keep(peer: PeerId, duplex: Duplex): void {
    const duplexes = this.#links.get(peer)?.duplexes.add(duplex)
    duplex.once("close", () => duplexes?.delete(duplex))
    // Cutting a link must not crash a node whose owner has no listener on this stream yet.
    duplex.on("error", () => {})
  }

  #assertRunning(): void {
    if (this.#isStopped) throw new NetError("NETWORK_STOPPED", "the network is stopped")
  }
}

const streamPair: ChannelMaker = (deps, options) => {
  const [left, right] = createMemoryDuplexPair(deps, options)
  return [
    { duplex: left, borrow: lend(left) },
    { duplex: right, borrow: lend(right) },
  ]
}

/** See `Channel.borrow`. What was lent is spoilt afterwards, so that keeping it shows. */
function lend(duplex: Duplex): NonNullable<Channel["borrow"]> {
  return (sink) => {
    duplex.on("data", (bytes: Uint8Array) => {
      sink(bytes)
      bytes.fill(0xdb)
    })
  }
}

function flowsBetween(
  left: HostLink | undefined,
  right: HostLink | undefined,
  latencyMs: number,
): [LinkFlow, LinkFlow] | undefined {
  if (left === undefined || right === undefined) return undefined
  return [left.flowTo(right, latencyMs), right.flowTo(left, latencyMs)]
}

/** The answer to what was lost. */
function never(): Promise<never> {
  return new Promise(() => {})
}

/** Only the code of a handler's error leaves the node. */
async function runHandler(run: () => Promise<Uint8Array>): Promise<Uint8Array> {
  try {
    return await run()
  } catch (error) {
    throw requestRefused(codeOf(error) ?? "INTERNAL")
  }
}

function unreachablePeer(id: PeerId): NetError {
  return new NetError("PEER_UNREACHABLE", `no connection to ${id} can be made`)
}
