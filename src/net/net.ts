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

/**
 * Whom a node lets in. Both are asked anew each time: what they answer may change while the node runs,
 * and `PeerNetwork.recheck` makes it count for what is open.
 */
export interface Admission {
  /** False: this node is in no fleet, and everybody may connect that its host rules let. */
  isFleet(): boolean
  /** Asked of every peer while this node is in a fleet. */
  isAdmitted(peer: PeerId): boolean
}

/** The invites that this node has given out. */
export interface InviteKeys {
  /**
   * Gives the pre-shared key (32 bytes) of an invite that is open. Whoever asks has not proved to
   * know it yet. @param id - 32 lower-case hex digits @returns undefined for unknown, used and expired
   */
  keyOf(id: string): Uint8Array | undefined
  /**
   * The key was proved: marks the invite used, durably.
   * @returns false when it is open no more; of two that ask at the same moment one gets true
   */
  redeem(id: string): Promise<boolean>
}

/** Answers the one request of an invite that was redeemed. Throwing closes the socket unanswered. */
export type JoinHandler = (
  request: Uint8Array,
  invite: { readonly id: string },
) => Promise<Uint8Array>

/** An invite, as far as it says how to reach who gave it. */
export interface JoinTarget {
  /** Multiaddrs of the issuer, tried in order; those that lead through a relay are left out. */
  readonly addresses: readonly string[]
  /** 32 lower-case hex digits. */
  readonly id: string
  /** The pre-shared key, 32 bytes. */
  readonly key: Uint8Array
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
  /** Keeps a peer connected from now on, like one of the configuration; its host is allowed. */
  keep(address: string): void
  /**
   * Listens on more addresses; those that it has already are left out. For a wildcard whose port this
   * node has on a single address, the other addresses that this machine has now stand.
   * @throws NetError `ADDRESS_IN_USE`, `ADDRESS_INVALID`
   */
  listen(addresses: readonly string[]): Promise<void>
  /**
   * Cuts at once all that peers have here which are not admitted any more.
   * Resolves when their channels are destroyed; their connections may still be closing.
   */
  recheck(): Promise<void>
  /** Lets un-enrolled nodes in that hold an invite, for one request each (protocol/fleet.md §5). */
  onJoin(keys: InviteKeys, handler: JoinHandler): void
  /**
   * Redeems an invite: one request (1 byte … 16 KiB) to its issuer, one answer (1 byte … 32 MiB).
   * @throws NetError `INVITE_REFUSED`, `PEER_UNREACHABLE` when nobody answers, `PROTOCOL_VIOLATION`,
   * or the signal's reason
   */
  join(
    target: JoinTarget,
    request: Uint8Array,
    options: { signal: AbortSignal },
  ): Promise<Uint8Array>
  onConnect(listener: (peer: Peer) => void): () => void
  onDisconnect(listener: (peer: PeerId) => void): () => void
  stop(): Promise<void>
}
