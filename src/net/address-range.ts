/**
 * Ranges of IP addresses in CIDR notation, and which addresses are of the local site.
 * @module
 */
import { BlockList, isIP } from "node:net"
import { plainHost } from "./address.ts"

/** Loopback, private and link-local addresses (RFC 1918, 3927, 4193, 4291, 6598). */
export const LOCAL_RANGES: readonly string[] = [
  "10.0.0.0/8",
  "100.64.0.0/10",
  "127.0.0.0/8",
  "169.254.0.0/16",
  "172.16.0.0/12",
  "192.168.0.0/16",
  "::1/128",
  "fc00::/7",
  "fe80::/10",
]

/** Tells whether a text is a range such as `192.0.2.0/24`, or one address. */
export function isAddressRange(text: string): boolean {
  const [address, bits, ...rest] = text.split("/")
  const version = isIP(address!)
  if (version === 0 || rest.length > 0 || address!.includes("%")) return false
  if (bits === undefined) return true
  return /^\d{1,3}$/.test(bits) && Number(bits) <= (version === 4 ? 32 : 128)
}

/** A set of ranges. */
export class AddressRanges {
  readonly #list = new BlockList()
  readonly #isEmpty: boolean

  /** @param ranges - each as {@link isAddressRange} allows */
  constructor(ranges: readonly string[]) {
    this.#isEmpty = ranges.length === 0
    for (const range of ranges) {
      const [address, bits] = range.split("/") as [string, string?]
      const family = isIP(address) === 4 ? "ipv4" : "ipv6"
      this.#list.addSubnet(address, Number(bits ?? (family === "ipv4" ? 32 : 128)), family)
    }
  }

  /** @param host - an IP address; the name of an interface after it (`fe80::1%eth0`) is ignored */
  has(host: string): boolean {
    // Asked for each peer again and again, and most nodes configure none.
    if (this.#isEmpty) return false
    const bare = plainHost(host.replace(/%.*$/, ""))
    const version = isIP(bare)
    if (version === 0) return false
    return this.#list.check(bare, version === 4 ? "ipv4" : "ipv6")
  }
}
