/**
 * How reads from origins keep the limits of this node: each answer takes its turn, and over a metered
 * way nothing is read at all.
 * @module
 */
import type { PeerId } from "../net/net.ts"
import type { Flow } from "../swarm/shaper.ts"
import type { Shaping } from "../swarm/shaping.ts"
import type { Origin, OriginRef } from "./origin.ts"

/** About what one read of a socket gives; a turn of an answer is so long. */
const TURN_BYTES = 64 * 1024

/** Lets one answer's chunks pass as the limits allow. */
export interface Throttle {
  /** Waits for a turn. @throws the signal's reason */
  ready(signal: AbortSignal): Promise<void>
  /** A chunk came. */
  came(bytes: number): void
  end(): void
}

/** The origins' part of a node's traffic. */
export interface OriginTraffic {
  /** Whether this node must not read there now, because the way is paid by the byte. */
  isMetered(ref: OriginRef): boolean
  /** The same for a peer: what it brought would come over a metered way. */
  isMeteredPeer(peer: PeerId): boolean
  throttle(ref: OriginRef): Throttle | undefined
}

/** @param shaping - left out: nothing is limited */
export function createOriginTraffic(origin: Origin, shaping: Shaping | undefined): OriginTraffic {
  if (shaping === undefined) {
    return { isMetered: () => false, isMeteredPeer: () => false, throttle: () => undefined }
  }
  const classOf = (ref: OriginRef) => {
    const { host, trafficClass } = origin.placeOf?.(ref) ?? {}
    const { classes } = shaping
    return trafficClass === undefined ? classes.ofHost(host) : classes.ofPlace(trafficClass)
  }
  return {
    isMetered: (ref) => classOf(ref) === "metered",
    isMeteredPeer: (peer) => shaping.classes.of(peer) === "metered",
    throttle: (ref) =>
      new AnswerThrottle((wake) => shaping.down.flow({ classOf: () => classOf(ref), wake })),
  }
}

class AnswerThrottle implements Throttle {
  readonly #flow: Flow
  #turn = Promise.withResolvers<void>()
  #isReserved = false

  constructor(flowOf: (wake: () => void) => Flow) {
    this.#flow = flowOf(() => this.#take())
  }

  async ready(signal: AbortSignal): Promise<void> {
    if (this.#isReserved) return
    if (this.#flow.allowance() > 0) {
      this.#take()
      return
    }
    const onAbort = () => this.#turn.resolve()
    signal.addEventListener("abort", onAbort, { once: true })
    await this.#turn.promise
    signal.removeEventListener("abort", onAbort)
    signal.throwIfAborted()
  }

  came(bytes: number): void {
    this.#isReserved = false
    this.#flow.release(TURN_BYTES)
    this.#flow.spend(bytes)
  }

  end(): void {
    this.#flow.close()
  }

  /** What comes next is taken at once, so that others who wait see that it is gone. */
  #take(): void {
    this.#isReserved = true
    this.#flow.reserve(TURN_BYTES)
    this.#turn.resolve()
    this.#turn = Promise.withResolvers<void>()
  }
}
