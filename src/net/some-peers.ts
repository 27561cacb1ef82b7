/**
 * Some of many peers, where each round is for others.
 * @module
 */
import { randomInt } from "node:crypto"
import type { PeerId, PeerNetwork } from "./net.ts"

/** Gives some of those that are connected: a run of the list that begins anywhere in it. */
export function somePeers(net: Pick<PeerNetwork, "peers">, countMax: number): readonly PeerId[] {
  const peers = net.peers().map(({ id }) => id)
  const start = peers.length === 0 ? 0 : randomInt(peers.length)
  return [...peers.slice(start), ...peers.slice(0, start)].slice(0, countMax)
}
