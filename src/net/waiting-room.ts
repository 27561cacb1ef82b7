/**
 * A bounded number of sockets that have proved nothing yet, shared among the hosts that they come from:
 * one host that opens as many as it can keeps no other one out.
 * @module
 */
import { isIPv6 } from "node:net"

/** Of an IPv6 address, 16 bits each; and of its network. */
const GROUPS = 8
const NETWORK_GROUPS = 4

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

  /** Ends all of them. */
  endAll(): void {
    for (const guest of [...this.#guests]) guest.end()
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
  if (!isIPv6(host)) return host
  const [before = [], after] = host.split("::").map(groupsOf)
  const zeros = after === undefined ? [] : new Array<number>(GROUPS).fill(0)
  const missing = Math.max(0, GROUPS - before.length - (after?.length ?? 0))
  const groups = [...before, ...zeros.slice(0, missing), ...(after ?? [])]
  return groups.slice(0, NETWORK_GROUPS).join(":")
}

function groupsOf(part: string): number[] {
  return part === "" ? [] : part.split(":").map((group) => Number.parseInt(group, 16))
}
