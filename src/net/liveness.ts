/**
 * Notices peers that went without a word: who was silent for a while is asked whether it is there
 * (protocol/request.md, Alive).
 * @module
 */
import type { Clock } from "../core/clock.ts"
import { codeOf, messageOf } from "../core/errors.ts"
import type { Logger } from "../core/log.ts"
import { startDeadline } from "./deadline.ts"
import type { PeerId } from "./net.ts"

export const ALIVE_PROTOCOL = "/sealift/alive/1"
/** A peer that was not heard for this time is asked … */
const SILENT_MS = 15_000
/** … or up to this much later, so that the questions of a large fleet are spread over time. */
const SPREAD_MS = 7_500
/** Who does not answer within this time is gone; long, since a busy machine is not a lost one. */
const ANSWER_MS_MAX = 10_000
const LOOK_MS = 1_000
const EMPTY = new Uint8Array(0)

/** What it needs of the network. */
export interface LivenessDeps {
  readonly clock: Clock
  readonly log: Logger
  readonly random: () => number
  /** @throws NetError `REQUEST_REFUSED` when the peer answers that it will not */
  ask(peer: PeerId, body: Uint8Array, signal: AbortSignal): Promise<unknown>
  /** Cuts all connections to a peer. */
  cut(peer: PeerId, error: Error): void
}

interface Watched {
  /** When it is asked unless it is heard before, by the monotonic clock. */
  dueMs: number
  isAsked: boolean
}

/**
 * Watches the connected peers. libp2p's own monitor opens a stream for each question and asks whoever is
 * connected, both ways: with 31 peers that was most of what an idle node did.
 */
export class Liveness {
  readonly #deps: LivenessDeps
  readonly #watched = new Map<PeerId, Watched>()
  #cancel: () => void = () => {}

  constructor(deps: LivenessDeps) {
    this.#deps = deps
  }

  start(): void {
    this.#cancel = this.#deps.clock.after(LOOK_MS, () => {
      this.#look()
      this.start()
    })
  }

  stop(): void {
    this.#cancel()
    this.#watched.clear()
  }

  add(peer: PeerId): void {
    this.#watched.set(peer, { dueMs: this.#nextMs(), isAsked: false })
  }

  delete(peer: PeerId): void {
    this.#watched.delete(peer)
  }

  /** Something came from a peer: it is there. */
  heard(peer: PeerId): void {
    const watched = this.#watched.get(peer)
    if (watched !== undefined) watched.dueMs = this.#nextMs()
  }

  #nextMs(): number {
    return this.#deps.clock.monotonicMs() + SILENT_MS + this.#deps.random() * SPREAD_MS
  }

  #look(): void {
    const nowMs = this.#deps.clock.monotonicMs()
    for (const [peer, watched] of this.#watched) {
      if (watched.dueMs <= nowMs && !watched.isAsked) void this.#ask(peer, watched)
    }
  }

  async #ask(peer: PeerId, watched: Watched): Promise<void> {
    const { clock, log, ask, cut } = this.#deps
    const deadline = startDeadline(clock, ANSWER_MS_MAX)
    watched.isAsked = true
    try {
      await ask(peer, EMPTY, deadline.signal)
      this.heard(peer)
    } catch (error) {
      if (this.#watched.get(peer) !== watched) return
      // A refusal is an answer too: of somebody who does not know the question.
      if (codeOf(error) === "REQUEST_REFUSED") this.heard(peer)
      else {
        log.debug({ peer, error: messageOf(error) }, "a peer is gone without a word")
        cut(peer, new Error("the peer does not answer any more", { cause: error }))
      }
    } finally {
      deadline.clear()
      watched.isAsked = false
    }
  }
}
