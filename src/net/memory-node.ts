/**
 * A node of a hub: what `libp2p-network.ts` does, without sockets.
 * @module
 */
import type { Duplex } from "node:stream"
import { codeOf } from "../core/errors.ts"
import { CONTROL_MESSAGE_BYTES_MAX } from "../core/limits.ts"
import { silentLogger } from "../core/log.ts"
import { untilAborted } from "../core/until-aborted.ts"
import { isAdmittedBy, NO_FLEET } from "./admission.ts"
import { BanList } from "./ban-list.ts"
import { NetError, requestRefused } from "./errors.ts"
import { type GossipListener, GossipTopics } from "./gossip-topics.ts"
import { type Identity, isSigned, isSignedBy } from "./identity.ts"
import { inviteRefused } from "./join-exchange.ts"
import { checkJoin, nobodyThere } from "./joining.ts"
import { GOSSIP_BYTES_MAX, JOIN_ADDRESSES_MAX, KEPT_PEERS_MAX } from "./limit.ts"
import { MemoryJoins } from "./memory-join.ts"
import { HostLink, type LinkFlow } from "./memory-link.ts"
import type { Hub, JoinOptions } from "./memory-network.ts"
import type {
  Admission,
  Channel,
  InviteKeys,
  JoinHandler,
  JoinTarget,
  Peer,
  PeerId,
  PeerNetwork,
  PeerSource,
  RequestHandler,
} from "./net.ts"
import { PeerKeeper } from "./peer-keeper.ts"
import { untilGone } from "./until-gone.ts"

interface Link {
  readonly peer: Peer
  readonly cut: AbortController
  readonly duplexes: Set<Duplex>
}

/** One node. What the hub asks of it, and other nodes, is public beside the port. */
export class MemoryNode implements PeerNetwork {
  readonly id: PeerId
  readonly host: string
  readonly sources: readonly PeerSource[]
  readonly identity: Identity
  readonly link: HostLink | undefined
  sentBytes = 0
  readonly #hub: Hub
  readonly joins: MemoryJoins = new MemoryJoins()
  readonly #bans: BanList
  readonly #admission: Admission
  readonly #keeper: PeerKeeper
  readonly #kept = new Set<string>()
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
    this.#admission = options.admission ?? NO_FLEET
    this.#keeper = new PeerKeeper({
      clock: hub.clock,
      log: silentLogger,
      dial: ({ addresses }, signal) => this.dial(addresses[0]!, { signal }),
      untilGone: (peer, signal) => untilGone(this, peer, signal),
    })
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
    const id = target.startsWith("/") ? peerAtEnd(target) : target
    if (id === undefined || id === this.id) throw namesNobody(target)
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
    const count = (node: MemoryNode) => (bytes: number) => {
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
      if (!node.isAllowed(this.id)) continue
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
    for (const id of this.#hub.providers(key)) {
      if (reached.has(id) && this.isAllowed(id)) yield id
    }
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

  /** False for peers that get nothing here but a closed connection. */
  isAllowed(peer: PeerId): boolean {
    return !this.isBanned(peer) && isAdmittedBy(this.#admission, peer)
  }

  has(peer: PeerId): boolean {
    return this.#links.has(peer)
  }

  keep(address: string): void {
    this.#assertRunning()
    const id = peerAtEnd(address)
    if (id === undefined) throw namesNobody(address)
    if (id === this.id) return
    if (!this.#kept.has(address) && this.#kept.size >= KEPT_PEERS_MAX) return
    this.#kept.add(address)
    this.#keeper.keep(address, { addresses: [address], isConfigured: true })
  }

  /** Nothing is listened on: whoever is in the hub is reached. */
  async listen(): Promise<void> {
    this.#assertRunning()
  }

  async recheck(): Promise<void> {
    for (const { id } of this.peers()) if (!this.isAllowed(id)) this.#hub.cut(this.id, id)
  }

  onJoin(keys: InviteKeys, handler: JoinHandler): void {
    this.joins.open(keys, handler)
  }

  async join(
    target: JoinTarget,
    request: Uint8Array,
    { signal }: { signal: AbortSignal },
  ): Promise<Uint8Array> {
    this.#assertRunning()
    checkJoin(target, request)
    signal.throwIfAborted()
    let isRefused = false
    for (const address of target.addresses.slice(0, JOIN_ADDRESSES_MAX)) {
      const id = peerAtEnd(address)
      if (id === undefined || id === this.id || !this.#hub.areTogether(this.id, id)) continue
      await this.#hub.sleep(signal, 2 * this.#hub.latencyOf(this.id, id))
      const issuer = this.#hub.node(id)?.joins
      if (issuer?.isIssuerOf(target)) return untilAborted(issuer.answer(target, request), signal)
      isRefused = true
    }
    throw isRefused ? inviteRefused() : nobodyThere()
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
    this.#keeper.stop()
    this.#hub.drop(this.id)
  }

  attach(other: MemoryNode, sources: readonly PeerSource[]): void {
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

/** Gives the peer id at the end of an address. */
function peerAtEnd(address: string): PeerId | undefined {
  return /\/p2p\/([^/]+)$/.exec(address)?.[1]
}

function namesNobody(target: string): NetError {
  return new NetError("ADDRESS_INVALID", `"${target}" names no other node`)
}

function unreachablePeer(id: PeerId): NetError {
  return new NetError("PEER_UNREACHABLE", `no connection to ${id} can be made`)
}
