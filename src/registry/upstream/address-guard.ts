/**
 * Which addresses an upstream's name may lead to. A name that strangers choose (an image's registry, a
 * redirect) must not reach into this machine or its private networks.
 * @module
 */
import type { LookupAddress, LookupOptions } from "node:dns"
import { isIP, type LookupFunction } from "node:net"
import { OriginError } from "../../delivery/errors.ts"
import { isPublicAddress } from "../../net/public-address.ts"

/** Resolves a host name to all its addresses. */
export type Resolve = (
  hostname: string,
  options: LookupOptions & { all: true },
  callback: (error: Error | null, addresses: LookupAddress[]) => void,
) => void

/** Tells whether an IP address is private, loopback, link-local, or otherwise not on the Internet. */
export function isPrivateAddress(address: string): boolean {
  return !isPublicAddress(address)
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
