/**
 * Who may connect, and to whom this node connects: loopback only unless the LAN was asked for or the
 * node is in a fleet, never a banned peer, never one that the fleet does not admit, never one without
 * an Ed25519 identity.
 * @module
 */
import type { ConnectionGater, PeerId as Libp2pPeerId } from "@libp2p/interface"
import type { Multiaddr } from "@multiformats/multiaddr"
import { firstHopOf, isLoopback, parseAddress, plainHost, relayOf } from "./address.ts"
import { isAdmittedBy } from "./admission.ts"
import type { BanList } from "./ban-list.ts"
import type { Admission, PeerId } from "./net.ts"
import type { RefusalPause } from "./refusal-pause.ts"

/** Answers for hosts and peers. */
export interface PeerGate {
  readonly gater: ConnectionGater
  isHostAllowed(host: string): boolean
  /** True for a node that is open to its LAN, or in a fleet. */
  isAnyHostAllowed(): boolean
  /** Allows the host of a multiaddr from now on. */
  allowHostOf(address: string): void
  /** False for peers that get nothing here but a closed connection: banned, or not of the fleet. */
  isPeerAllowed(peer: PeerId): boolean
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
 * relay is as good as the relay's: that is where the socket goes. In a fleet the identity decides, and
 * no host is refused before it is known.
 */
export function createPeerGate(
  deps: { bans: BanList; refusals: Pick<RefusalPause, "has">; admission: Admission },
  options: GateOptions,
): PeerGate {
  const { bans, refusals, admission } = deps
  const configured = new Set<string | undefined>()
  const allowHostOf = (text: string) => void configured.add(firstHopOf(parseAddress(text))?.host)
  for (const text of options.peers) allowHostOf(text)
  const isAnyHostAllowed = (): boolean => options.isLan || admission.isFleet()
  const isHostAllowed = (host: string): boolean =>
    isAnyHostAllowed() || isLoopback(host) || configured.has(plainHost(host))
  const isPeerAllowed = (peer: PeerId): boolean => !bans.has(peer) && isAdmittedBy(admission, peer)
  const isAddressDenied = (address: Multiaddr): boolean => {
    const host = firstHopOf(address)?.host
    const relay = relayOf(address)?.peer
    if (relay !== undefined && !isPeerAllowed(relay)) return true
    // A remote address that is no plain one (a zone, say) is still an address of the LAN.
    return host === undefined ? !isAnyHostAllowed() : !isHostAllowed(host)
  }
  const isPeerDenied = (peer: Libp2pPeerId): boolean =>
    peer.type !== "Ed25519" || !isPeerAllowed(peer.toString())
  const isServed = (peer: PeerId): boolean => isPeerAllowed(peer) && options.isServed(peer)
  const isUnserved = (peer: Libp2pPeerId): boolean =>
    isPeerDenied(peer) || !isServed(peer.toString())
  return {
    isHostAllowed,
    isAnyHostAllowed,
    allowHostOf,
    isPeerAllowed,
    isServed,
    gater: {
      denyDialPeer: (peer) => isPeerDenied(peer) || refusals.has(peer.toString()),
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
