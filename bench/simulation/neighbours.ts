/**
 * Keeps a bounded number of connections in a fleet of any size: each node is joined to a few others that
 * it picked at random, and all nodes together form a random graph of that degree.
 * @module
 */
import type { Clock } from "../../src/core/clock.ts"
import { messageOf } from "../../src/core/errors.ts"
import type { Logger } from "../../src/core/log.ts"
import type { PeerId, PeerNetwork } from "../../src/net/net.ts"

/** A node with fewer neighbours looks for more. */
export const NEIGHBOURS_MIN = 10
/** A node with more lets those go that it has no use for. */
export const NEIGHBOURS_MAX = 14
/** Neighbours beyond its zone that a node wants, so that zones never come apart. */
export const FAR_NEIGHBOURS_MIN = 2
const LOOK_MS = 1_000
const DIALS_MAX = 4
const DIAL_MS_MAX = 10_000
/** Who could not be reached is not tried again for this time. */
const FAILED_MS = 30_000
/** Peers that could not be reached and are remembered; the oldest gives way. */
const FAILED_MAX = 1024

/** What the keeper needs of its node. */
export interface NeighboursDeps {
  readonly net: Pick<PeerNetwork, "id" | "peers" | "peer" | "dial" | "disconnect">
  readonly clock: Clock
  readonly log: Logger
  /** Peers that could be dialled, connected or not, in any order. */
  readonly known: () => readonly PeerId[]
  /** Whether a connected peer stands beyond this node's zone. */
  readonly isFar?: (peer: PeerId) => boolean
  /** Whether a connected peer may be let go: nothing runs over it and nobody asked for it. */
  readonly isSpare?: (peer: PeerId) => boolean
  /** Numbers from 0 to below 1. */
  readonly random?: () => number
}

/** One per node; it looks every second until it is stopped. */
export class Neighbours {
  readonly #deps: NeighboursDeps
  readonly #random: () => number
  readonly #stopping = new AbortController()
  readonly #dialling = new Set<PeerId>()
  /** Until when peers are not tried again, by the monotonic clock. */
  readonly #failedMs = new Map<PeerId, number>()
  #cancelLook: () => void = () => {}

  constructor(deps: NeighboursDeps) {
    this.#deps = deps
    this.#random = deps.random ?? Math.random
    this.#look()
  }

  stop(): void {
    this.#stopping.abort(new Error("the network is stopping"))
    this.#cancelLook()
  }

  #look(): void {
    if (this.#stopping.signal.aborted) return
    this.#cancelLook = this.#deps.clock.after(LOOK_MS, () => this.#look())
    const peers = this.#deps.net.peers().map(({ id }) => id)
    const far = this.#far(peers)
    // Whether a peer is far is known once it is connected: a node without far ones tries some more.
    const isFarWanted = far !== undefined && far.length < FAR_NEIGHBOURS_MIN
    const isMoreWanted = isFarWanted && peers.length < NEIGHBOURS_MAX
    const missing = isMoreWanted ? 1 : NEIGHBOURS_MIN - peers.length
    if (missing > this.#dialling.size) this.#dialSome(missing - this.#dialling.size)
    if (peers.length > NEIGHBOURS_MAX) this.#letGo(peers, far ?? [])
  }

  #far(peers: readonly PeerId[]): readonly PeerId[] | undefined {
    const { isFar } = this.#deps
    return isFar === undefined ? undefined : peers.filter((peer) => isFar(peer))
  }

  #dialSome(countMax: number): void {
    const { net, known, clock } = this.#deps
    const nowMs = clock.monotonicMs()
    const isUntried = (peer: PeerId) =>
      peer !== net.id &&
      net.peer(peer) === undefined &&
      !this.#dialling.has(peer) &&
      (this.#failedMs.get(peer) ?? 0) <= nowMs
    const candidates = known().filter(isUntried)
    const count = Math.min(countMax, DIALS_MAX - this.#dialling.size, candidates.length)
    for (let place = 0; place < count; place++) void this.#dial(this.#takeAny(candidates))
  }

  async #dial(peer: PeerId): Promise<void> {
    const { net, clock, log } = this.#deps
    this.#dialling.add(peer)
    const timeout = new AbortController()
    const cancel = clock.after(DIAL_MS_MAX, () => timeout.abort())
    try {
      await net.dial(peer, { signal: AbortSignal.any([this.#stopping.signal, timeout.signal]) })
    } catch (error) {
      log.debug({ peer, error: messageOf(error) }, "a neighbour was not reached")
      this.#onFailure(peer)
    } finally {
      cancel()
      this.#dialling.delete(peer)
    }
  }

  #onFailure(peer: PeerId): void {
    this.#failedMs.delete(peer)
    this.#failedMs.set(peer, this.#deps.clock.monotonicMs() + FAILED_MS)
    const [oldest] = this.#failedMs.keys()
    if (this.#failedMs.size > FAILED_MAX && oldest !== undefined) this.#failedMs.delete(oldest)
  }

  /** Cuts one connection that is not needed; the next look may cut the next one. */
  #letGo(peers: readonly PeerId[], far: readonly PeerId[]): void {
    const { net, log, isSpare } = this.#deps
    if (isSpare === undefined) return
    const isKept = (peer: PeerId) => far.length <= FAR_NEIGHBOURS_MIN && far.includes(peer)
    const spare = peers.filter((peer) => !isKept(peer) && isSpare(peer))
    if (spare.length === 0) return
    const peer = this.#takeAny(spare)
    log.debug({ peer, neighbours: peers.length }, "a spare neighbour is let go")
    net.disconnect(peer).catch((error: unknown) => {
      log.debug({ peer, error: messageOf(error) }, "a spare neighbour could not be let go")
    })
  }

  /** Takes one out of a list that is not empty. */
  #takeAny(peers: PeerId[]): PeerId {
    const place = Math.floor(this.#random() * peers.length)
    const [peer] = peers.splice(place, 1)
    return peer!
  }
}
