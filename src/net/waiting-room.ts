/**
 * A bounded number of sockets that have proved nothing yet, shared among the hosts that they come from:
 * one host that opens as many as it can keeps no other one out.
 * @module
 */
import { isIPv6 } from "node:net"

interface Guest {
  readonly from: string
  readonly end: () => void
}

/** The sockets that wait at one door. */
export class WaitingRoom {
  readonly #guestsMax: number
  /** In the order in which they came. */
  readonly #guests = new Set<Guest>()

  constructor(guestsMax: number) {
    this.#guestsMax = guestsMax
  }

  get size(): number {
    return this.#guests.size
  }

  /**
   * Takes a socket in; when there is no room the oldest one of the host that has most is ended for it.
   * @param host - its IP address
   * @param end - ends it, when its place is given to another
   * @returns the way to leave; undefined: no host has more than this one
   */
  enter(host: string, end: () => void): (() => void) | undefined {
    const guest = { from: networkOf(host), end }
    if (this.#guests.size >= this.#guestsMax && !this.#makeRoom(guest.from)) return undefined
    this.#guests.add(guest)
    return () => void this.#guests.delete(guest)
  }

  #makeRoom(from: string): boolean {
    const crowds = [...Map.groupBy(this.#guests, (guest) => guest.from)]
    const own = crowds.find(([network]) => network === from)?.[1].length ?? 0
    const [largest] = crowds.map(([, guests]) => guests).sort((a, b) => b.length - a.length)
    const [oldest] = largest ?? []
    if (oldest === undefined || largest!.length <= own + 1) return false
    this.#guests.delete(oldest)
    oldest.end()
    return true
  }
}

/** One machine has as many IPv6 addresses as it likes of its network, /64. */
function networkOf(host: string): string {
  return isIPv6(host) ? host.split(":").slice(0, 4).join(":") : host
}
