/**
 * Which IP addresses are of the public Internet. A host that a stranger chose (a registry in an image's
 * name, a redirect, a tracker, a client) must not reach into this machine or its private networks.
 * @module
 */
import { BlockList, isIP } from "node:net"

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

/** Tells whether a text is an IP address of the public Internet; brackets and a zone do not matter. */
export function isPublicAddress(address: string): boolean {
  const bare = address.replace(/^\[|\]$/g, "").replace(/%.*$/, "")
  if (isIP(bare) === 4) return !blocked.check(bare, "ipv4")
  if (isIP(bare) !== 6) return false
  if (mapped.check(bare, "ipv6") || nat64.check(bare, "ipv6")) {
    return !blocked.check(lastIpv4(bare), "ipv4")
  }
  return globalUnicast.check(bare, "ipv6") && !blocked.check(bare, "ipv6")
}

/** Gives the last 32 bits of an IPv6 address as IPv4. */
function lastIpv4(address: string): string {
  // The URL parser writes every IPv6 address in one hexadecimal form.
  const groups = new URL(`http://[${address}]`).hostname.slice(1, -1).split(":")
  const [high, low] = groups.slice(-2).map((group) => Number.parseInt(group || "0", 16))
  return [high! >> 8, high! & 255, low! >> 8, low! & 255].join(".")
}
