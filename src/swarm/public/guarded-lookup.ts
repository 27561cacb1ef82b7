/**
 * Looks host names up that a stranger may have chosen: an address of this machine or of a private
 * network is no answer, so that a link cannot make this node talk to what stands beside it.
 * @module
 */
import { type LookupAddress, type LookupOptions, lookup } from "node:dns"
import { isIP } from "node:net"
import { isPublicAddress } from "../../net/public-address.ts"
import { SwarmError } from "../errors.ts"

type LookupCallback = (
  error: NodeJS.ErrnoException | null,
  address: string | LookupAddress[],
  family?: number,
) => void

/** A look-up in the form in which Node's sockets take one. */
export type Lookup = (host: string, options: LookupOptions, callback: LookupCallback) => void

/** Gives the look-up for a host. @param mayBePrivate - whether any address will do */
export function lookupFor(mayBePrivate: boolean): Lookup {
  return (host, options, callback) => {
    lookup(host, { ...options, all: true }, (error, addresses) => {
      if (error !== null) return callback(error, [])
      const good = addresses.filter(({ address }) => mayBePrivate || isPublicAddress(address))
      const [first] = good
      if (first === undefined) return callback(refusal(host), [])
      if (options.all === true) callback(null, good)
      else callback(null, first.address, first.family)
    })
  }
}

/** Checks a host that is an address already: sockets do not look those up. @throws SwarmError */
export function checkHost(host: string, mayBePrivate: boolean): void {
  const bare = host.replace(/^\[|\]$/g, "")
  if (!mayBePrivate && isIP(bare) !== 0 && !isPublicAddress(bare)) throw refusal(host)
}

function refusal(host: string): SwarmError {
  const message = `${host} is an address inside a network; public.lan allows those`
  return new SwarmError("TRACKER_FAILED", message)
}
