/**
 * Peers that did not let this node in, and how long they are left alone. What libp2p dials by itself has
 * no pause of its own: a node that was revoked dialled the others fifty times a second.
 * @module
 */
import type { Clock } from "../core/clock.ts"
import type { PeerId } from "./net.ts"

const FIRST_PAUSE_MS = 1_000
const PAUSE_MS_MAX = 60_000
/** Peers that are remembered; the oldest refusal is forgotten first. */
const PEERS_MAX = 1_024

interface Refusal {
  readonly pauseMs: number
  readonly untilMs: number
}

/** The refusals that one node met. */
export class RefusalPause {
  readonly #clock: Clock
  readonly #refusals = new Map<PeerId, Refusal>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Whether a peer is left alone now. */
  has(peer: PeerId): boolean {
    const refusal = this.#refusals.get(peer)
    return refusal !== undefined && this.#clock.monotonicMs() < refusal.untilMs
  }

  /** Leaves a peer alone, each time twice as long. */
  add(peer: PeerId): void {
    const before = this.#refusals.get(peer)?.pauseMs ?? FIRST_PAUSE_MS / 2
    const pauseMs = Math.min(PAUSE_MS_MAX, 2 * before)
    this.#refusals.delete(peer)
    this.#refusals.set(peer, { pauseMs, untilMs: this.#clock.monotonicMs() + pauseMs })
    const [oldest] = this.#refusals.keys()
    if (this.#refusals.size > PEERS_MAX && oldest !== undefined) this.#refusals.delete(oldest)
  }

  /** Somebody wants the peer now, or waits by a pause of its own; the next pause is longer all the same. */
  end(peer: PeerId): void {
    const refusal = this.#refusals.get(peer)
    if (refusal !== undefined) this.#refusals.set(peer, { ...refusal, untilMs: 0 })
  }

  /** It let this node in. */
  delete(peer: PeerId): void {
    this.#refusals.delete(peer)
  }
}
