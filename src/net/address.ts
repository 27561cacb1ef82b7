/**
 * Multiaddrs: reading them, what they reach, and whether a port is free.
 * @module
 */
import net from "node:net"
import { type Multiaddr, multiaddr } from "@multiformats/multiaddr"
import { codeOf } from "../core/errors.ts"
import { NetError } from "./errors.ts"
import type { PeerId } from "./net.ts"

/** Longest multiaddr text that is read. */
const ADDRESS_CHARS_MAX = 512

/** Where a TCP socket goes: a numeric IP address or a host name, and a port. */
export interface Endpoint {
  readonly host: string
  readonly port: number
}

/**
 * Reads a multiaddr.
 * @throws NetError `ADDRESS_INVALID`
 */
export function parseAddress(text: string): Multiaddr {
  try {
    if (text.length <= ADDRESS_CHARS_MAX) return multiaddr(text)
  } catch (cause) {
    throw addressInvalid(text, { cause })
  }
  throw addressInvalid(text)
}

/** Gives the TCP end of a multiaddr, or undefined when it has none or goes through a relay. */
export function endpointOf(address: Multiaddr): Endpoint | undefined {
  const [first, second, ...rest] = address.getComponents()
  return rest.some((part) => part.name !== "p2p") ? undefined : tcpEnd(first, second)
}

type Component = ReturnType<Multiaddr["getComponents"]>[number]

function tcpEnd(first: Component | undefined, second: Component | undefined): Endpoint | undefined {
  if (first?.value === undefined || second?.name !== "tcp") return undefined
  if (!["ip4", "ip6", "dns", "dns4", "dns6"].includes(first.name)) return undefined
  return { host: first.value, port: Number(second.value) }
}

/** The relay that a circuit address goes through: where it is, and who. */
export interface RelayHop {
  readonly endpoint: Endpoint
  readonly peer: PeerId
}

/** Gives the relay of `/…/tcp/PORT/p2p/RELAY/p2p-circuit/…`; undefined for every other address. */
export function relayOf(address: Multiaddr): RelayHop | undefined {
  const parts = address.getComponents()
  const [first, second, third, circuit, ...rest] = parts
  if (third?.name !== "p2p" || third.value === undefined) return undefined
  if (circuit?.name !== "p2p-circuit" || rest.length > 1) return undefined
  if (rest.some((part) => part.name !== "p2p")) return undefined
  const endpoint = tcpEnd(first, second)
  return endpoint === undefined ? undefined : { endpoint, peer: third.value }
}

/** Gives the end that a socket to this address is opened to: its own, or that of its relay. */
export function firstHopOf(address: Multiaddr): Endpoint | undefined {
  return endpointOf(address) ?? relayOf(address)?.endpoint
}

/** Gives the peer id at the end of a multiaddr; a relay's own id is not what is at its end. */
export function peerOfAddress(address: Multiaddr): PeerId | undefined {
  const parts = address.getComponents()
  const circuit = parts.findLastIndex((part) => part.name === "p2p-circuit")
  return parts.slice(circuit + 1).findLast((part) => part.name === "p2p")?.value
}

/** Writes an end as a multiaddr, without a peer id. */
export function addressOf(endpoint: Endpoint): string {
  return `/ip${net.isIPv6(endpoint.host) ? 6 : 4}/${endpoint.host}/tcp/${endpoint.port}`
}

/** Writes an IPv4 address that a dual-stack socket shows as IPv6 in its own form. */
export function plainHost(host: string): string {
  return host.startsWith("::ffff:") && net.isIPv4(host.slice(7)) ? host.slice(7) : host
}

export function isLoopback(host: string): boolean {
  const plain = plainHost(host)
  return plain === "::1" || (net.isIPv4(plain) && plain.startsWith("127."))
}

/** True for IPv6 addresses that mean nothing without the name of an interface (RFC 4291 §2.5.6). */
export function isLinkLocal(host: string): boolean {
  return /^fe[89ab]/i.test(host)
}

/**
 * Finds out whether an address can be listened on. (libp2p fails on a taken port without a code.)
 * @returns false when this machine does not have the address at all
 * @throws NetError `ADDRESS_IN_USE`, or `ADDRESS_INVALID` when it may not be used
 */
export async function probeListen(endpoint: Endpoint): Promise<boolean> {
  const server = net.createServer()
  const { host, port } = endpoint
  try {
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject)
      server.listen({ host, port, ipv6Only: net.isIPv6(host) }, resolve)
    })
    return true
  } catch (cause) {
    const code = codeOf(cause) ?? "unknown"
    if (code === "EADDRNOTAVAIL" || code === "EAFNOSUPPORT") return false
    if (code === "EADDRINUSE") throw addressInUse(endpoint, cause)
    throw new NetError("ADDRESS_INVALID", `cannot listen on ${host} port ${port}: ${code}`, {
      cause,
    })
  } finally {
    await new Promise<void>((resolve) => server.close(() => resolve()))
  }
}

function addressInUse({ host, port }: Endpoint, cause: unknown): NetError {
  const cure = "stop what listens there, or choose another port with --p2p (0 picks a free one)"
  return new NetError("ADDRESS_IN_USE", `${host} port ${port} is taken: ${cure}`, {
    cause,
    details: { host, port },
  })
}

function addressInvalid(text: string, options?: { cause: unknown }): NetError {
  return new NetError("ADDRESS_INVALID", `"${text.slice(0, 80)}" is not a multiaddr`, options)
}
