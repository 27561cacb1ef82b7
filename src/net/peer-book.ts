/**
 * What this node knows of other nodes: how it came to know them, and where they are.
 * @module
 */
import type { PeerId, PeerSource } from "./net.ts"

/** Peers that are known at once; one that is not in use gives way, oldest first. */
const KNOWN_PEERS_MAX = 4096
/** Addresses that are kept of one peer. */
const ADDRESSES_PER_PEER_MAX = 16
/** Peers that are remembered over a restart, and addresses of each. */
const REMEMBERED_PEERS_MAX = 64
const REMEMBERED_ADDRESSES_MAX = 4

/** Where remembered peers are kept; the daemon implements it over its index. */
export interface PeerMemory {
  /** Gives what was saved last; multiaddrs with `/p2p/ID`. */
  load(): Promise<readonly string[]>
  save(addresses: readonly string[]): Promise<void>
}

interface KnownPeer {
  readonly sources: Set<PeerSource>
  addresses: readonly string[]
}

/** Known peers, in the order in which they were last learnt of. */
export class PeerBook {
  readonly #peers = new Map<PeerId, KnownPeer>()
  readonly #isInUse: (peer: PeerId) => boolean

  constructor(options: { isInUse: (peer: PeerId) => boolean }) {
    this.#isInUse = options.isInUse
  }

  addSource(peer: PeerId, source: PeerSource): void {
    this.#touch(peer).sources.add(source)
  }

  sources(peer: PeerId): ReadonlySet<PeerSource> {
    return this.#peers.get(peer)?.sources ?? new Set()
  }

  setAddresses(peer: PeerId, addresses: readonly string[]): void {
    this.#touch(peer).addresses = addresses.slice(0, ADDRESSES_PER_PEER_MAX)
  }

  addresses(peer: PeerId): readonly string[] {
    return this.#peers.get(peer)?.addresses ?? []
  }

  /**
   * What to remember, as multiaddrs with `/p2p/ID`: peers in use first, then those that were known
   * last, so that one that is away for a while is not forgotten.
   */
  toRemember(): readonly string[] {
    const reachable = [...this.#peers.keys()]
      .filter((peer) => this.addresses(peer).length > 0)
      .reverse()
    const [inUse, others] = [true, false].map((isWanted) =>
      reachable.filter((peer) => this.#isInUse(peer) === isWanted),
    )
    return [...inUse!, ...others!].slice(0, REMEMBERED_PEERS_MAX).flatMap((peer) =>
      this.addresses(peer)
        .slice(0, REMEMBERED_ADDRESSES_MAX)
        .map((address) => (address.includes("/p2p/") ? address : `${address}/p2p/${peer}`)),
    )
  }

  #touch(peer: PeerId): KnownPeer {
    const known = this.#peers.get(peer) ?? { sources: new Set<PeerSource>(), addresses: [] }
    this.#peers.delete(peer)
    this.#peers.set(peer, known)
    if (this.#peers.size > KNOWN_PEERS_MAX) this.#dropOldest()
    return known
  }

  #dropOldest(): void {
    for (const peer of this.#peers.keys()) {
      if (this.#isInUse(peer)) continue
      this.#peers.delete(peer)
      return
    }
  }
}
