/**
 * Finds out the class of the traffic with a peer, from where it is connected and what is configured.
 * @module
 */
import { AddressRanges, LOCAL_RANGES } from "../net/address-range.ts"
import type { PeerId, PeerNetwork } from "../net/net.ts"
import { hostOfPlainPeer } from "./plain-peer.ts"
import type { TrafficClass } from "./traffic-class.ts"

/** Peers whose class is remembered. */
const REMEMBERED_MAX = 4096

/** Ranges in CIDR notation that are of a class whatever else would follow; metered wins, then WAN. */
export interface ClassRanges {
  readonly lan?: readonly string[] | undefined
  readonly wan?: readonly string[] | undefined
  readonly metered?: readonly string[] | undefined
}

export interface PeerClassOptions {
  readonly ranges?: ClassRanges | undefined
  /** Whether the way out is paid by the byte now: then all that would be WAN is metered. */
  readonly isMetered?: boolean | undefined
}

export class PeerClasses {
  readonly #net: Pick<PeerNetwork, "peer" | "onConnect" | "onDisconnect">
  readonly #isSameZone: (peer: PeerId) => boolean
  readonly #ranges: Readonly<Record<TrafficClass, AddressRanges>>
  readonly #local = new AddressRanges(LOCAL_RANGES)
  readonly #known = new Map<PeerId, TrafficClass>()
  readonly #stops: (() => void)[]
  #isMetered: boolean

  /** @param deps.isSameZone - whether a peer says that it stands in this node's zone */
  constructor(
    deps: {
      net: Pick<PeerNetwork, "peer" | "onConnect" | "onDisconnect">
      isSameZone: (peer: PeerId) => boolean
    },
    options: PeerClassOptions = {},
  ) {
    this.#net = deps.net
    this.#isSameZone = deps.isSameZone
    const { lan = [], wan = [], metered = [] } = options.ranges ?? {}
    this.#ranges = {
      lan: new AddressRanges(lan),
      wan: new AddressRanges(wan),
      metered: new AddressRanges(metered),
    }
    this.#isMetered = options.isMetered ?? false
    // Another connection may come from somewhere else.
    this.#stops = [
      deps.net.onConnect((peer) => this.forget(peer.id)),
      deps.net.onDisconnect((peer) => this.forget(peer)),
    ]
  }

  get isMetered(): boolean {
    return this.#isMetered
  }

  setMetered(isMetered: boolean): void {
    if (isMetered === this.#isMetered) return
    this.#isMetered = isMetered
    this.#known.clear()
  }

  of(peer: PeerId): TrafficClass {
    const known = this.#known.get(peer)
    if (known !== undefined) return known
    const host = hostOfPlainPeer(peer) ?? this.#net.peer(peer)?.host
    const found = this.#isSameZone(peer) ? this.#ofZone(host) : this.ofHost(host)
    // Of a peer that is not connected nothing is known yet.
    if (host !== undefined) this.#remember(peer, found)
    return found
  }

  /** @param host - an IP address; undefined, or a name: unknown, so not of the LAN */
  ofHost(host: string | undefined): TrafficClass {
    const configured = this.#configured(host)
    if (configured !== undefined) return configured
    return this.ofPlace(host !== undefined && this.#local.has(host) ? "lan" : "wan")
  }

  /** The class of what is known to stand somewhere: while the way out is metered, so is the WAN. */
  ofPlace(place: TrafficClass): TrafficClass {
    return place === "wan" && this.#isMetered ? "metered" : place
  }

  /** What was known of a peer may have changed. */
  forget(peer: PeerId): void {
    this.#known.delete(peer)
  }

  stop(): void {
    for (const stop of this.#stops) stop()
  }

  #remember(peer: PeerId, found: TrafficClass): void {
    const [oldest] = this.#known.keys()
    if (this.#known.size >= REMEMBERED_MAX && oldest !== undefined) this.#known.delete(oldest)
    this.#known.set(peer, found)
  }

  #ofZone(host: string | undefined): TrafficClass {
    return this.#configured(host) ?? "lan"
  }

  #configured(host: string | undefined): TrafficClass | undefined {
    if (host === undefined) return undefined
    if (this.#ranges.metered.has(host)) return "metered"
    if (this.#ranges.wan.has(host)) return this.ofPlace("wan")
    return this.#ranges.lan.has(host) ? "lan" : undefined
  }
}
