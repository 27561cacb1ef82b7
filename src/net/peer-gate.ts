/**
 * Who may connect, and to whom this node connects: loopback only unless the LAN was asked for, never a
 * banned peer, never one without an Ed25519 identity.
 * @module
 */
import type { ConnectionGater, PeerId as Libp2pPeerId } from "@libp2p/interface"
import type { Multiaddr } from "@multiformats/multiaddr"
import { firstHopOf, isLoopback, parseAddress, plainHost, relayOf } from "./address.ts"
import type { BanList } from "./ban-list.ts"
import type { PeerId } from "./net.ts"

/** Answers for hosts and peers. */
export interface PeerGate {
  readonly gater: ConnectionGater
  isHostAllowed(host: string): boolean
  /** True for peers that this node, as a relay, keeps a place for and connects to one another. */
  isServed(peer: PeerId): boolean
}

/** Whom the gate lets through beyond banned and unbanned. */
export interface GateOptions {
  readonly isLan: boolean
  readonly peers: readonly string[]
  /** Relays that this node may be reached through; nobody else may bring others here. */
  readonly isOwnRelay: (peer: PeerId) => boolean
  /** Peers that this node relays for. */
  readonly isServed: (peer: PeerId) => boolean
}

/**
 * Makes the gate. Hosts of configured peers and relays are allowed in any case. An address behind a
 * relay is as good as the relay's: that is where the socket goes.
 */
export function createPeerGate(deps: { bans: BanList }, options: GateOptions): PeerGate {
  const configured = new Set(options.peers.map((text) => firstHopOf(parseAddress(text))?.host))
  const isHostAllowed = (host: string): boolean =>
    options.isLan || isLoopback(host) || configured.has(plainHost(host))
  const isAddressDenied = (address: Multiaddr): boolean => {
    const host = firstHopOf(address)?.host
    const relay = relayOf(address)?.peer
    if (relay !== undefined && deps.bans.has(relay)) return true
    // A remote address that is no plain one (a zone, say) is still an address of the LAN.
    return host === undefined ? !options.isLan : !isHostAllowed(host)
  }
  const isPeerDenied = (peer: Libp2pPeerId): boolean =>
    peer.type !== "Ed25519" || deps.bans.has(peer.toString())
  const isServed = (peer: PeerId): boolean => !deps.bans.has(peer) && options.isServed(peer)
  const isUnserved = (peer: Libp2pPeerId): boolean =>
    isPeerDenied(peer) || !isServed(peer.toString())
  return {
    isHostAllowed,
    isServed,
    gater: {
      denyDialPeer: isPeerDenied,
      denyDialMultiaddr: isAddressDenied,
      denyInboundConnection: (connection) => isAddressDenied(connection.remoteAddr),
      denyInboundEncryptedConnection: isPeerDenied,
      denyOutboundEncryptedConnection: isPeerDenied,
      denyInboundRelayReservation: isUnserved,
      denyOutboundRelayedConnection: (source, target) => isUnserved(source) || isUnserved(target),
      denyInboundRelayedConnection: (relay, peer) =>
        !options.isOwnRelay(relay.toString()) || isPeerDenied(peer),
    },
  }
}
