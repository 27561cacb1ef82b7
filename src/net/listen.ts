/**
 * Checks what a node is told to listen on and to connect to, before anything starts.
 * @module
 */
import { networkInterfaces } from "node:os"
import type { Logger } from "../core/log.ts"
import {
  addressOf,
  type Endpoint,
  endpointOf,
  firstHopOf,
  isLinkLocal,
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

/**
 * Says where a running node can listen besides. A wildcard cannot be listened on while a single address
 * has its port: then the other addresses of this machine stand for it.
 * @param own - what the node listens on
 */
export function listenBesides(
  listen: readonly string[],
  own: readonly Endpoint[],
): readonly string[] {
  const wanted = listen.flatMap((text) => {
    const endpoint = endpointOf(parseAddress(text))
    if (endpoint === undefined || !WILDCARDS.includes(endpoint.host)) return text
    const { host, port } = endpoint
    const isTaken = own.some((other) => other.port === port && isSameFamily(other.host, host))
    return isTaken ? ownHosts(host).map((each) => addressOf({ host: each, port })) : text
  })
  const taken = new Set(own.map(addressOf))
  return wanted.filter((text) => !taken.has(text))
}

const WILDCARDS = ["0.0.0.0", "::"]

const isSameFamily = (left: string, right: string) => left.includes(":") === right.includes(":")

/** The addresses of this machine's interfaces, of the family of a host. */
function ownHosts(host: string): readonly string[] {
  const all = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? [])
  return all
    .map(({ address }) => address)
    .filter((address) => isSameFamily(address, host) && !isLinkLocal(address))
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
