/**
 * Who has what, as the connected peers tell it; answers from memory.
 * @module
 */
import type { Clock } from "../core/clock.ts"
import type { Digest } from "../core/digest.ts"
import type { PeerId } from "../net/net.ts"
import type { Holding } from "./holdings-message.ts"
import type { Holder } from "./swarm.ts"

/** Blobs that are remembered of one peer; what it tells beyond that is ignored. */
export const HOLDINGS_PER_PEER_MAX = 100_000
/** So often may what a peer tells prove false in a row. */
const FALSE_CLAIMS_MAX = 3
/** For this time a peer is then not believed. */
const DISTRUST_MS: number = 60 * 60 * 1000
/** Peers whose false claims are remembered. */
const DISTRUSTED_MAX = 10_000

type Listener = (holder: Holder) => void

export class HoldingsIndex {
  readonly #clock: Clock
  readonly #byDigest = new Map<Digest, Map<PeerId, Holder>>()
  readonly #byPeer = new Map<PeerId, Set<Digest>>()
  readonly #listeners = new Map<Digest, Set<Listener>>()
  readonly #falseClaims = new Map<PeerId, { count: number; untilMs: number }>()

  constructor(deps: { clock: Clock }) {
    this.#clock = deps.clock
  }

  holders(digest: Digest): readonly Holder[] {
    const holders = this.#byDigest.get(digest)
    return holders === undefined ? [] : [...holders.values()]
  }

  has(peer: PeerId, digest: Digest): boolean {
    return this.#byDigest.get(digest)?.has(peer) === true
  }

  /** Tells whether a peer said that it has all of a blob. */
  hasWhole(digest: Digest): boolean {
    return this.holders(digest).some(({ isComplete }) => isComplete)
  }

  onHolder(digest: Digest, listener: Listener): () => void {
    const listeners = this.#listeners.get(digest) ?? new Set()
    this.#listeners.set(digest, listeners.add(listener))
    return () => {
      listeners.delete(listener)
      if (listeners.size === 0) this.#listeners.delete(digest)
    }
  }

  /** Tells the listeners of a holder that is kept elsewhere. */
  tell(digest: Digest, holder: Holder): void {
    for (const listener of [...(this.#listeners.get(digest) ?? [])]) listener(holder)
  }

  /** Takes in what a peer tells. */
  take(peer: PeerId, holdings: readonly Holding[]): void {
    if (this.isDistrusted(peer)) return
    for (const { digest, sizeBytes, state } of holdings) {
      if (state === "gone") this.#remove(peer, digest)
      else this.#add({ peer, isComplete: state === "complete", sizeBytes }, digest)
    }
  }

  /** The peer begins anew, or is gone. */
  forget(peer: PeerId): void {
    for (const digest of [...(this.#byPeer.get(peer) ?? [])]) this.#remove(peer, digest)
  }

  /** What a peer told proved false. After three in a row it is not believed for an hour. */
  falseClaim(peer: PeerId): void {
    const before = this.#falseClaims.get(peer)
    const count = (before?.count ?? 0) + 1
    const isOver = count >= FALSE_CLAIMS_MAX
    const untilMs = isOver ? this.#clock.monotonicMs() + DISTRUST_MS : 0
    this.#falseClaims.delete(peer)
    this.#falseClaims.set(peer, { count, untilMs })
    const [oldest] = this.#falseClaims.keys()
    if (this.#falseClaims.size > DISTRUSTED_MAX && oldest !== undefined) {
      this.#falseClaims.delete(oldest)
    }
    if (isOver) this.forget(peer)
  }

  /** What a peer told proved true. */
  trueClaim(peer: PeerId): void {
    if (!this.isDistrusted(peer)) this.#falseClaims.delete(peer)
  }

  isDistrusted(peer: PeerId): boolean {
    const claims = this.#falseClaims.get(peer)
    if (claims === undefined || claims.untilMs === 0) return false
    if (this.#clock.monotonicMs() < claims.untilMs) return true
    this.#falseClaims.delete(peer)
    return false
  }

  #add(holder: Holder, digest: Digest): void {
    const { peer } = holder
    const mine = this.#byPeer.get(peer) ?? new Set()
    if (mine.size >= HOLDINGS_PER_PEER_MAX && !mine.has(digest)) return
    this.#byPeer.set(peer, mine.add(digest))
    const holders = this.#byDigest.get(digest) ?? new Map<PeerId, Holder>()
    this.#byDigest.set(digest, holders)
    const before = holders.get(peer)
    holders.set(peer, holder)
    if (before !== undefined && before.isComplete === holder.isComplete) return
    for (const listener of [...(this.#listeners.get(digest) ?? [])]) listener(holder)
  }

  #remove(peer: PeerId, digest: Digest): void {
    const mine = this.#byPeer.get(peer)
    mine?.delete(digest)
    if (mine?.size === 0) this.#byPeer.delete(peer)
    const holders = this.#byDigest.get(digest)
    holders?.delete(peer)
    if (holders?.size === 0) this.#byDigest.delete(digest)
  }
}
