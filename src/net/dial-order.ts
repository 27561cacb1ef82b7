/**
 * Dialling a peer that is known both directly and behind relays: directly first, but not for long. libp2p
 * tries one address after the other, and each that swallows packets costs seconds.
 * @module
 */
import type { Connection, Peer, PeerId } from "@libp2p/interface"
import type { Multiaddr } from "@multiformats/multiaddr"
import type { Clock } from "../core/clock.ts"
import { peerOfAddress, relayOf } from "./address.ts"
import { startDeadline } from "./deadline.ts"

/** All direct addresses together, when there is a relay that leads to the peer, too. */
const DIRECT_FIRST_MS = 1_500

/** As much of a libp2p node as is needed to dial. */
export interface DialingNode {
  readonly peerStore: { get(id: PeerId): Promise<Pick<Peer, "addresses">> }
  dial(to: PeerId | Multiaddr | Multiaddr[], options: { signal?: AbortSignal }): Promise<Connection>
}

/**
 * Connects to a peer at the addresses that are known of it.
 * @throws what libp2p throws, or the signal's reason
 */
export async function dialPeer(
  deps: { readonly node: DialingNode; readonly clock: Clock },
  id: PeerId,
  signal: AbortSignal | undefined,
): Promise<Connection> {
  const { node, clock } = deps
  const options = signal === undefined ? {} : { signal }
  const known = (await knownAddresses(node, id)).map((address) => withPeer(address, id))
  const relayed = known.filter((address) => relayOf(address) !== undefined)
  const direct = known.filter((address) => relayOf(address) === undefined)
  if (relayed.length === 0 || direct.length === 0) return node.dial(id, options)
  const deadline = startDeadline(clock, DIRECT_FIRST_MS, signal)
  try {
    return await node.dial(direct, { signal: deadline.signal })
  } catch {
    // Whatever kept it from being reached directly: the relay may lead there.
    signal?.throwIfAborted()
  } finally {
    deadline.clear()
  }
  return node.dial(relayed, options)
}

async function knownAddresses(node: DialingNode, id: PeerId): Promise<readonly Multiaddr[]> {
  try {
    return (await node.peerStore.get(id)).addresses.map(({ multiaddr }) => multiaddr)
  } catch {
    // Nothing is known: libp2p asks others.
    return []
  }
}

function withPeer(address: Multiaddr, id: PeerId): Multiaddr {
  return peerOfAddress(address) === undefined ? address.encapsulate(`/p2p/${id}`) : address
}
