/**
 * The port to other nodes (adapter: `libp2p-network.ts`, twin: `memory-network.ts`, contract:
 * `test/contract/peer-network.ts`). Control travels over libp2p; bulk over data channels.
 * @module
 */
import type { Duplex } from "node:stream"

/** A libp2p peer id in its base58 text form, `12D3Koo…`. */
export type PeerId = string

/** How a peer came to be known: decides what it is believed (protocol/tag-claim.md). */
export type PeerSource = "configured" | "mdns" | "remembered" | "dht" | "relay" | "inbound"

/** A connected peer. */
export interface Peer {
  readonly id: PeerId
  readonly addresses: readonly string[]
  readonly sources: ReadonlySet<PeerSource>
  /** IP address of the other end; undefined when it is reached through a relay only. */
  readonly host: string | undefined
  readonly connectedSinceMs: number
  /** Last measured round trip, milliseconds. */
  readonly roundTripMs: number | undefined
}

/** Answers one request. Throwing answers the peer with the error's code and nothing else. */
export type RequestHandler = (
  request: Uint8Array,
  context: { readonly peer: PeerId; readonly signal: AbortSignal },
) => Promise<Uint8Array>

/**
 * A reliable byte stream to one authenticated peer that carries the BitTorrent wire. `kind` says what
 * is underneath: a TLS 1.3 socket opened by a ticket, or a libp2p stream (protocol/data-channel.md).
 */
export interface Channel {
  readonly peer: PeerId
  readonly kind: "tls" | "libp2p" | "memory"
  readonly duplex: Duplex
  /**
   * Reads without a fresh buffer per piece of bytes (half the CPU of `data` events on TLS); only there
   * where the channel can. From then on `sink` gets all that comes, valid only during the call, and
   * `data` events cease. `duplex.pause()` and `resume()` work; a little may come after a pause.
   */
  readonly borrow?: (sink: (bytes: Uint8Array) => void) => void
}

/** Other nodes, as this node sees them. */
export interface PeerNetwork {
  readonly id: PeerId
  /** Multiaddrs with `/p2p/ID` at which others reach this node. */
  addresses(): readonly string[]
  peers(): readonly Peer[]
  peer(id: PeerId): Peer | undefined
  /** Connects. @param target - a multiaddr, or the id of a peer whose addresses are known */
  dial(target: string, options?: { signal?: AbortSignal }): Promise<PeerId>
  disconnect(peer: PeerId): Promise<void>
  /** Answers requests of one protocol, e.g. `/sealift/claims/1`. Bodies are bounded at 4 MiB. */
  onRequest(protocol: string, handler: RequestHandler): void
  /**
   * Asks over one kept stream per peer and protocol; requests on it are pipelined.
   * @throws NetError `PEER_UNREACHABLE`, `REQUEST_REFUSED` (the peer's code in details), or the
   * signal's reason
   */
  request(
    peer: PeerId,
    protocol: string,
    body: Uint8Array,
    options: { signal: AbortSignal },
  ): Promise<Uint8Array>
  /** Opens a data channel: TLS when a direct socket can be had, else a libp2p stream. */
  openChannel(peer: PeerId, options: { signal: AbortSignal }): Promise<Channel>
  /** Takes the channels that others open. */
  onChannel(handler: (channel: Channel) => void): void
  /** Gossip to whoever listens; at most 64 KiB. */
  publish(topic: string, message: Uint8Array): Promise<void>
  subscribe(topic: string, listener: (message: Uint8Array, from: PeerId) => void): () => void
  /** Tells the DHT that this node has what `key` (32 bytes) names, and looks such nodes up. */
  provide(key: Uint8Array, options: { signal: AbortSignal }): Promise<void>
  findProviders(key: Uint8Array, options: { signal: AbortSignal }): AsyncIterable<PeerId>
  /** Signs with this node's Ed25519 identity; 64 bytes. The bytes must begin with their kind. */
  sign(bytes: Uint8Array): Promise<Uint8Array>
  /** Checks a signature against the key inside a peer id. */
  verify(peer: PeerId, bytes: Uint8Array, signature: Uint8Array): Promise<boolean>
  /** Refuses a peer from now on, for a time; open connections and channels are cut. */
  ban(peer: PeerId, reason: string, durationMs: number): Promise<void>
  bans(): readonly { peer: PeerId; reason: string; untilMs: number }[]
  onConnect(listener: (peer: Peer) => void): () => void
  onDisconnect(listener: (peer: PeerId) => void): () => void
  stop(): Promise<void>
}
