/**
 * Which addresses an upstream's name may lead to. A name that strangers choose (an image's registry, a
 * redirect) must not reach into this machine or its private networks.
 * @module
 */
import type { LookupAddress, LookupOptions } from "node:dns"
import { BlockList, isIP, type LookupFunction } from "node:net"
import { OriginError } from "../../delivery/errors.ts"

/** Resolves a host name to all its addresses. */
export type Resolve = (
  hostname: string,
  options: LookupOptions & { all: true },
  callback: (error: Error | null, addresses: LookupAddress[]) => void,
) => void

// IANA special-purpose registries (RFC 6890): all that is not globally reachable unicast.
const PRIVATE_IPV4: readonly (readonly [string, number])[] = [
  ["0.0.0.0", 8],
  ["10.0.0.0", 8],
  ["100.64.0.0", 10],
  ["127.0.0.0", 8],
  ["169.254.0.0", 16],
  ["172.16.0.0", 12],
  ["192.0.0.0", 24],
  ["192.0.2.0", 24],
  ["192.168.0.0", 16],
  ["198.18.0.0", 15],
  ["198.51.100.0", 24],
  ["203.0.113.0", 24],
  ["224.0.0.0", 4],
  ["240.0.0.0", 4],
]
// Of IPv6 only 2000::/3 is global unicast; inside it these are not.
const PRIVATE_IPV6: readonly (readonly [string, number])[] = [
  ["2001:db8::", 32],
  ["2001::", 32],
  ["2002::", 16],
]
/** NAT64 (RFC 6052): the last 32 bits are the IPv4 address that is really reached. */
const NAT64_PREFIX = "64:ff9b::"

const blocked = new BlockList()
for (const [address, bits] of PRIVATE_IPV4) blocked.addSubnet(address, bits, "ipv4")
for (const [address, bits] of PRIVATE_IPV6) blocked.addSubnet(address, bits, "ipv6")
const globalUnicast = new BlockList()
globalUnicast.addSubnet("2000::", 3, "ipv6")
const mapped = new BlockList()
mapped.addSubnet("::ffff:0:0", 96, "ipv6")
const nat64 = new BlockList()
nat64.addSubnet(NAT64_PREFIX, 96, "ipv6")

/** Tells whether an IP address is private, loopback, link-local, or otherwise not on the Internet. */
export function isPrivateAddress(address: string): boolean {
  const bare = address.replace(/^\[|\]$/g, "").replace(/%.*$/, "")
  if (isIP(bare) === 4) return blocked.check(bare, "ipv4")
  if (isIP(bare) !== 6) return true
  if (mapped.check(bare, "ipv6") || nat64.check(bare, "ipv6")) {
    return blocked.check(lastIpv4(bare), "ipv4")
  }
  return !globalUnicast.check(bare, "ipv6") || blocked.check(bare, "ipv6")
}

/** Gives the last 32 bits of an IPv6 address as IPv4. */
function lastIpv4(address: string): string {
  // The URL parser writes every IPv6 address in one hexadecimal form.
  const groups = new URL(`http://[${address}]`).hostname.slice(1, -1).split(":")
  const [high, low] = groups.slice(-2).map((group) => Number.parseInt(group || "0", 16))
  return [high! >> 8, high! & 255, low! >> 8, low! & 255].join(".")
}

/** Tells whether a URL's host is an IP address (brackets or not). */
export function isAddress(host: string): boolean {
  return isIP(host.replace(/^\[|\]$/g, "")) !== 0
}

/** Tells whether a host is on this machine or a private network: all that it resolves to is. */
export async function isPrivateHost(host: string, resolve: Resolve): Promise<boolean> {
  if (isAddress(host)) return isPrivateAddress(host)
  if (host === "localhost" || host.endsWith(".localhost")) return true
  return new Promise((settle) => {
    resolve(host, { all: true }, (error, addresses) => {
      const isKnown = error === null && addresses.length > 0
      settle(isKnown && addresses.every(({ address }) => isPrivateAddress(address)))
    })
  })
}

/**
 * A `lookup` for sockets. Unless private addresses are allowed it gives only public ones; and as it runs
 * for the very connection that is made, a name that changes its address between a check and the
 * connection (DNS rebinding) gains nothing.
 */
export function socketLookup(resolve: Resolve, options: { mayBePrivate: boolean }): LookupFunction {
  return (hostname, asked, callback) => {
    resolve(hostname, { ...asked, all: true }, (error, addresses) => {
      if (error !== null) return callback(error, [])
      const open = addresses.filter(
        ({ address }) => options.mayBePrivate || !isPrivateAddress(address),
      )
      const first = open[0]
      if (first === undefined) return callback(forbiddenAddress(hostname), [])
      if (asked.all === true) callback(null, open)
      else callback(null, first.address, first.family)
    })
  }
}

/** Says that a host may not be contacted. */
export function forbiddenAddress(host: string): OriginError {
  return new OriginError(
    "ORIGIN_FORBIDDEN",
    `${host} is a private address that the configuration does not name`,
  )
}
