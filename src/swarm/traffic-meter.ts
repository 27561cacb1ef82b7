/**
 * How much went to each peer and came from it, for records of use.
 * @module
 */
import type { PeerId } from "../net/net.ts"

/** Peers that are counted one by one; all beyond them are counted together. */
const PEERS_MAX = 1_024

/** Bytes with all heads of messages, without those of TLS and TCP. */
export interface PeerTraffic {
  /** Undefined: all beyond those that are counted one by one. */
  readonly peer: PeerId | undefined
  readonly upBytes: number
  readonly downBytes: number
}

interface Count {
  upBytes: number
  downBytes: number
}

export class TrafficMeter {
  readonly #counts = new Map<PeerId | undefined, Count>()

  /** @param bytes - below zero: they did not go out after all */
  onSent(peer: PeerId, bytes: number): void {
    this.#countOf(peer).upBytes += bytes
  }

  onReceived(peer: PeerId, bytes: number): void {
    this.#countOf(peer).downBytes += bytes
  }

  /** What passed since it was last taken, the most first. */
  get traffic(): readonly PeerTraffic[] {
    return [...this.#counts]
      .map(([peer, { upBytes, downBytes }]) => {
        return { peer, upBytes: Math.max(0, upBytes), downBytes: Math.max(0, downBytes) }
      })
      .filter((one) => one.upBytes + one.downBytes > 0)
      .toSorted((a, b) => b.upBytes + b.downBytes - a.upBytes - a.downBytes)
  }

  /** Gives what passed, and begins anew. */
  take(): readonly PeerTraffic[] {
    const { traffic } = this
    this.#counts.clear()
    return traffic
  }

  #countOf(peer: PeerId): Count {
    const known = this.#counts.get(peer)
    if (known !== undefined) return known
    const place = this.#counts.size < PEERS_MAX ? peer : undefined
    const count = this.#counts.get(place) ?? { upBytes: 0, downBytes: 0 }
    this.#counts.set(place, count)
    return count
  }
}
