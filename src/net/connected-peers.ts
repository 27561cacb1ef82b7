/**
 * The peers that are connected now, each over one or more libp2p connections, and who is told of it.
 * @module
 */
import type { Connection } from "@libp2p/interface"
import type { Clock } from "../core/clock.ts"
import { endpointOf, plainHost } from "./address.ts"
import type { Peer, PeerId } from "./net.ts"
import type { PeerBook } from "./peer-book.ts"

interface Connected {
  readonly sinceMs: number
  readonly open: readonly Connection[]
  /** Multiaddrs that this node reached it by, and the IP address of a direct connection. */
  readonly reached: readonly string[]
  readonly host: string | undefined
}

/** Follows libp2p's connections. */
export class ConnectedPeers {
  readonly #clock: Clock
  readonly #book: PeerBook
  readonly #peers = new Map<PeerId, Connected>()
  readonly #connectListeners = new Set<(peer: Peer) => void>()
  readonly #disconnectListeners = new Set<(peer: PeerId) => void>()

  constructor(deps: { clock: Clock; book: PeerBook }) {
    this.#clock = deps.clock
    this.#book = deps.book
  }

  get size(): number {
    return this.#peers.size
  }

  has(id: PeerId): boolean {
    return this.#peers.has(id)
  }

  all(): readonly Peer[] {
    return [...this.#peers.keys()].map((id) => this.peer(id)!)
  }

  peer(id: PeerId): Peer | undefined {
    const connected = this.#peers.get(id)
    if (connected === undefined) return undefined
    const { reached, host } = connected
    const book = this.#book
    return {
      id,
      // Made when it is asked for: what goes through all peers mostly wants their ids.
      get addresses() {
        return [...new Set([...reached, ...book.addresses(id)])]
      },
      get sources() {
        return new Set(book.sources(id))
      },
      host,
      connectedSinceMs: connected.sinceMs,
      roundTripMs: connected.open.find(({ rtt }) => rtt !== undefined)?.rtt,
    }
  }

  /**
   * The oldest connection that is open, so that both ways of one pair use the same one; a direct one
   * before those through a relay.
   */
  connection(id: PeerId): Connection | undefined {
    const open = this.#peers.get(id)?.open.filter(({ status }) => status === "open") ?? []
    return open.find(({ direct }) => direct) ?? open[0]
  }

  connections(id: PeerId): readonly Connection[] {
    return this.#peers.get(id)?.open ?? []
  }

  opened(connection: Connection): void {
    const id = connection.remotePeer.toString()
    const known = this.#peers.get(id)
    if (known !== undefined) {
      this.#peers.set(id, connectedOver([...known.open, connection], known.sinceMs))
      return
    }
    this.#peers.set(id, connectedOver([connection], this.#clock.now()))
    if (connection.direction === "inbound") this.#book.addSource(id, "inbound")
    const peer = this.peer(id)!
    for (const listener of [...this.#connectListeners]) listener(peer)
  }

  closed(connection: Connection): void {
    const id = connection.remotePeer.toString()
    const known = this.#peers.get(id)
    if (known === undefined) return
    const open = known.open.filter((other) => other !== connection)
    if (open.length > 0) {
      this.#peers.set(id, connectedOver(open, known.sinceMs))
      return
    }
    this.#peers.delete(id)
    for (const listener of [...this.#disconnectListeners]) listener(id)
  }

  onConnect(listener: (peer: Peer) => void): () => void {
    this.#connectListeners.add(listener)
    return () => this.#connectListeners.delete(listener)
  }

  onDisconnect(listener: (peer: PeerId) => void): () => void {
    this.#disconnectListeners.add(listener)
    return () => this.#disconnectListeners.delete(listener)
  }
}

/** Spells addresses once: peers are listed often, and writing a multiaddr encodes the peer id anew. */
function connectedOver(open: readonly Connection[], sinceMs: number): Connected {
  const reached = open
    .filter(({ direction }) => direction === "outbound")
    .map(({ remoteAddr }) => remoteAddr.toString())
  return { sinceMs, open, reached, host: hostOf(open) }
}

/** Gives the IP address of the first connection that goes straight to the peer. */
function hostOf(connections: readonly Connection[]): string | undefined {
  for (const { remoteAddr } of connections) {
    const host = endpointOf(remoteAddr)?.host
    if (host !== undefined) return plainHost(host)
  }
  return undefined
}
