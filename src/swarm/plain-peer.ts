/**
 * Names of standard clients among the peers: their address, marked so that it is no peer id.
 * @module
 */
import type { PeerId } from "../net/net.ts"

const PREFIX = "plain:"

/** Gives the name of a client. @param address - `HOST:PORT` */
export function plainPeer(address: string): PeerId {
  return `${PREFIX}${address}`
}

/** Tells whether a peer id names a standard client. */
export function isPlainPeer(peer: PeerId): boolean {
  return peer.startsWith(PREFIX)
}

/** Gives the IP address of a standard client, undefined for any other peer. */
export function hostOfPlainPeer(peer: PeerId): string | undefined {
  if (!isPlainPeer(peer)) return undefined
  return peer.slice(PREFIX.length, peer.lastIndexOf(":")).replace(/^\[|\]$/g, "")
}
