/**
 * The in-memory twin of the port: nodes of one hub reach each other without sockets.
 * @module
 */
import type { Duplex } from "node:stream"
import { type Clock, systemClock } from "../core/clock.ts"
import { createIdentity, identityFromSeed } from "./identity.ts"
import { createMemoryDuplexPair } from "./memory-channel.ts"
import { type HostLink, type LinkFlow, type LinkRate } from "./memory-link.ts"
import { MemoryNode } from "./memory-node.ts"
import type { Admission, Channel, PeerId, PeerNetwork, PeerSource } from "./net.ts"

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
  /** Whom its fleet admits; without it, everybody. */
  readonly admission?: Admission
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

/** Where the nodes meet. */
export class Hub implements MemoryHub {
  readonly clock: Clock
  readonly channels: ChannelMaker
  readonly latencyMs: number
  readonly #options: HubOptions
  readonly #nodes = new Map<PeerId, MemoryNode>()
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
    const node = new MemoryNode(this, identity, options)
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

  node(id: PeerId): MemoryNode | undefined {
    return this.#nodes.get(id)
  }

  cut(left: PeerId, right: PeerId): void {
    this.#nodes.get(left)?.detach(right)
    this.#nodes.get(right)?.detach(left)
  }

  canReach(left: PeerId, right: PeerId): boolean {
    if (!this.#nodes.has(left) || !this.#nodes.has(right)) return false
    const isAllowed =
      this.#nodes.get(left)!.isAllowed(right) && this.#nodes.get(right)!.isAllowed(left)
    return isAllowed && this.areTogether(left, right)
  }

  /** Whether sockets between two nodes come about; who they are is not asked yet. */
  areTogether(left: PeerId, right: PeerId): boolean {
    if (!this.#nodes.has(left) || !this.#nodes.has(right)) return false
    return this.#groups?.some((group) => group.has(left) && group.has(right)) ?? true
  }

  /** All nodes that a message from `start` comes to over connections, by way of `passes` nodes. */
  flood(start: MemoryNode, passes: (node: MemoryNode) => boolean): MemoryNode[] {
    const seen = new Set<MemoryNode>([start])
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
