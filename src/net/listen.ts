/**
 * Checks what a node is told to listen on and to connect to, before anything starts.
 * @module
 */
import type { Logger } from "../core/log.ts"
import {
  endpointOf,
  firstHopOf,
  isLoopback,
  parseAddress,
  peerOfAddress,
  probeListen,
  relayOf,
} from "./address.ts"
import { NetError } from "./errors.ts"
import { publicKeyOf } from "./identity.ts"

/**
 * Drops IPv6 addresses that this machine does not have; refuses what is not usable.
 * @throws NetError `ADDRESS_IN_USE`, `ADDRESS_INVALID`
 */
export async function usableListen(
  deps: { log: Logger },
  options: { listen: readonly string[]; isLan: boolean },
): Promise<readonly string[]> {
  const usable: string[] = []
  for (const text of new Set(options.listen)) {
    const endpoint = endpointOf(parseAddress(text))
    if (endpoint === undefined) {
      throw new NetError("ADDRESS_INVALID", `cannot listen on "${text}": not an IP and TCP port`)
    }
    if (!options.isLan && !isLoopback(endpoint.host)) {
      throw new NetError("ADDRESS_INVALID", `"${text}" is not loopback: that needs --lan`)
    }
    if (await probeListen(endpoint)) usable.push(text)
    else if (endpoint.host.includes(":")) deps.log.warn({ address: text }, "no such IPv6 address")
    else throw new NetError("ADDRESS_INVALID", `this machine does not have ${endpoint.host}`)
  }
  if (usable.length > 0 || options.listen.length === 0) return usable
  throw new NetError("ADDRESS_INVALID", "none of the addresses can be listened on")
}

/** Checks the multiaddr of a peer. @throws NetError `ADDRESS_INVALID` */
export function checkPeerAddress(text: string): void {
  const address = parseAddress(text)
  const peer = peerOfAddress(address)
  if (peer !== undefined) publicKeyOf(peer)
  if (firstHopOf(address) === undefined || (relayOf(address) !== undefined && peer === undefined)) {
    throw new NetError("ADDRESS_INVALID", `the peer "${text}" has no host and TCP port`)
  }
}

/** Checks the multiaddr of a relay, which must say who it is. @throws NetError `ADDRESS_INVALID` */
export function checkRelayAddress(text: string): void {
  checkPeerAddress(text)
  const address = parseAddress(text)
  if (relayOf(address) === undefined && peerOfAddress(address) !== undefined) return
  throw new NetError("ADDRESS_INVALID", `the relay "${text}" must be /…/tcp/PORT/p2p/ID`)
}
