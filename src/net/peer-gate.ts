/**
 * Who may connect, and to whom this node connects: loopback only unless the LAN was asked for, never a
 * banned peer, never one without an Ed25519 identity.
 * @module
 */
import type { ConnectionGater, PeerId as Libp2pPeerId } from "@libp2p/interface"
import type { Multiaddr } from "@multiformats/multiaddr"
import { endpointOf, isLoopback, parseAddress, plainHost } from "./address.ts"
import type { BanList } from "./ban-list.ts"

/** Answers for hosts and peers. */
export interface PeerGate {
  readonly gater: ConnectionGater
  isHostAllowed(host: string): boolean
}

/** Makes the gate. Hosts of configured peers are allowed in any case. */
export function createPeerGate(
  deps: { bans: BanList },
  options: { isLan: boolean; peers: readonly string[] },
): PeerGate {
  const configured = new Set(options.peers.map((text) => endpointOf(parseAddress(text))?.host))
  const isHostAllowed = (host: string): boolean =>
    options.isLan || isLoopback(host) || configured.has(plainHost(host))
  const isAddressDenied = (address: Multiaddr): boolean => {
    const host = endpointOf(address)?.host
    // A remote address that is no plain one (a zone, say) is still an address of the LAN.
    return host === undefined ? !options.isLan : !isHostAllowed(host)
  }
  const isPeerDenied = (peer: Libp2pPeerId): boolean =>
    peer.type !== "Ed25519" || deps.bans.has(peer.toString())
  return {
    isHostAllowed,
    gater: {
      denyDialPeer: isPeerDenied,
      denyDialMultiaddr: isAddressDenied,
      denyInboundConnection: (connection) => isAddressDenied(connection.remoteAddr),
      denyInboundEncryptedConnection: isPeerDenied,
      denyOutboundEncryptedConnection: isPeerDenied,
    },
  }
}
