/**
 * How much each peer may ask of this node in a time, so that one of them cannot keep it busy.
 * @module
 */
import type { Clock } from "../core/clock.ts"
import { type BucketRate, TokenBucket } from "../core/token-bucket.ts"
import type { PeerId } from "../net/net.ts"
import { NODES_MAX } from "./access-list.ts"

/** What a peer may ask: `rateBytes` and `burstBytes` count what the protocol counts, not bytes. */
export class PeerRate {
  readonly #clock: Clock
  readonly #rate: BucketRate
  readonly #buckets = new Map<PeerId, TokenBucket>()

  constructor(clock: Clock, rate: BucketRate) {
    this.#clock = clock
    this.#rate = rate
  }

  /** Takes this many from a peer's. @returns false when it has none left; then nothing is taken */
  take(peer: PeerId, count: number): boolean {
    const bucket = this.#buckets.get(peer) ?? new TokenBucket(this.#clock, this.#rate)
    this.#hold(peer, bucket)
    if (bucket.level < count) return false
    bucket.take(count)
    return true
  }

  /** Whoever has asked for longest not gives way: its bucket is full again or nearly so. */
  #hold(peer: PeerId, bucket: TokenBucket): void {
    this.#buckets.delete(peer)
    const [oldest] = this.#buckets.keys()
    if (this.#buckets.size >= NODES_MAX && oldest !== undefined) this.#buckets.delete(oldest)
    this.#buckets.set(peer, bucket)
  }
}
