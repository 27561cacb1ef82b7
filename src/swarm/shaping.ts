/**
 * The limits of one node's traffic, both directions, and the way in which each connection keeps them.
 * @module
 */
import type { Clock } from "../core/clock.ts"
import type { PeerId } from "../net/net.ts"
import type { PeerClasses } from "./peer-class.ts"
import { type DirectionLimits, type Flow, Shaper } from "./shaper.ts"
import type { RateLimits, TrafficClass } from "./traffic-class.ts"
import { TrafficMeter } from "./traffic-meter.ts"

/** The traffic with one peer. */
export interface LinkTraffic {
  readonly trafficClass: TrafficClass
  /** A flow of what is sent. @param wake - called when its turn has come */
  uploads(wake: () => void): Flow
  /** A flow of what is asked for. */
  downloads(wake: () => void): Flow
  /** Bytes went out that no flow sent. */
  onSent(bytes: number): void
  /** Bytes came in, of whatever kind. */
  onReceived(bytes: number): void
}

export class Shaping {
  readonly up: Shaper
  readonly down: Shaper
  readonly classes: PeerClasses
  readonly meter: TrafficMeter = new TrafficMeter()
  #limits: RateLimits = {}

  constructor(deps: { clock: Clock; classes: PeerClasses }, limits: RateLimits = {}) {
    this.up = new Shaper(deps)
    this.down = new Shaper(deps)
    this.classes = deps.classes
    this.setLimits(limits)
  }

  /** The limits in force. */
  get limits(): RateLimits {
    return this.#limits
  }

  setLimits(limits: RateLimits): void {
    this.#limits = limits
    this.up.setLimits(limitsOf(limits, "up"))
    this.down.setLimits(limitsOf(limits, "down"))
  }

  link(peer: PeerId): LinkTraffic {
    const { up, down, classes, meter } = this
    const classOf = () => classes.of(peer)
    return {
      get trafficClass() {
        return classOf()
      },
      uploads: (wake) => {
        return up.flow({ classOf, wake, onPassed: (bytes) => meter.onSent(peer, bytes) })
      },
      downloads: (wake) => down.flow({ classOf, wake }),
      onSent: (bytes) => {
        up.spend(classOf(), bytes)
        meter.onSent(peer, bytes)
      },
      onReceived: (bytes) => {
        down.spend(classOf(), bytes)
        meter.onReceived(peer, bytes)
      },
    }
  }
}

function limitsOf(limits: RateLimits, direction: "up" | "down"): DirectionLimits {
  const rates = {
    total: limits[direction],
    lan: limits.lan?.[direction],
    wan: limits.wan?.[direction],
  }
  return Object.fromEntries(Object.entries(rates).filter(([, bytes]) => bytes !== undefined))
}
