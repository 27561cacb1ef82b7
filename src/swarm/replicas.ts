/**
 * Keeps enough copies of what is pinned for replicas: decides which nodes may let go of theirs, has
 * others asked for more, and tells when there are too few.
 * @module
 */
import type { Digest } from "../core/digest.ts"
import type { Logger } from "../core/log.ts"
import type { Metrics } from "../core/metrics.ts"
import type { PeerId } from "../net/net.ts"
import type { BlobStore } from "../store/store.ts"
import type { WantedCopies } from "./replica-offers.ts"
import { replicaScore } from "./replica-rank.ts"
import type { Holder } from "./swarm.ts"

/** How often the copies are counted. */
const COUNT_MS = 5_000
/** A node that starts, or lost a peer, gets this time to hear of others before it is a warning. */
const MISSING_MS = 30_000

export interface ReplicasDeps {
  readonly store: BlobStore
  readonly selfId: PeerId
  readonly log: Logger
  readonly metrics: Metrics
  /** All connected peers that say they have a blob, whatever the way to them costs. */
  holders(digest: Digest): readonly Holder[]
  /** Told of all that is wanted, each time it was counted. */
  onCounted?(wanted: readonly WantedCopies[], nowMs: number): void
}

export class Replicas {
  readonly #deps: ReplicasDeps
  /** Digests of which there are too few copies, since when, and whether that was told. */
  readonly #short = new Map<Digest, { readonly sinceMs: number; isTold: boolean }>()
  #countedMs = Number.NEGATIVE_INFINITY

  constructor(deps: ReplicasDeps) {
    this.#deps = deps
    deps.store.useReplicas((digest, minReplicas) => this.isSpare(digest, minReplicas))
    deps.metrics.gauge(
      "sealift_replicas_missing_blobs",
      "Blobs that are pinned for more replicas than are known.",
      () => this.#short.size,
    )
  }

  /**
   * Tells whether this node may let go of its copy: others have enough, and are the ones to keep it. Of
   * all who have it, those with the highest scores keep it (rendezvous hashing), so that nodes with the
   * same view do not all let go at once; one that knows of fewer keeps it rather too long.
   */
  isSpare(digest: Digest, minReplicas: number): boolean {
    const others = this.#complete(digest)
    if (others.length < minReplicas) return false
    const own = replicaScore(this.#deps.selfId, digest)
    const above = others.filter(({ peer }) => replicaScore(peer, digest) > own)
    return above.length >= minReplicas
  }

  /** Counts, now and then. */
  tick(nowMs: number): void {
    if (nowMs - this.#countedMs < COUNT_MS) return
    this.#countedMs = nowMs
    const wanted = this.#wanted()
    for (const digest of this.#short.keys()) if (!wanted.has(digest)) this.#short.delete(digest)
    const counted = [...wanted].map(([digest, minReplicas]): WantedCopies => {
      return { digest, minReplicas, holders: this.#complete(digest) }
    })
    for (const one of counted) this.#look(one, nowMs)
    this.#deps.onCounted?.(counted, nowMs)
  }

  #look({ digest, minReplicas, holders }: WantedCopies, nowMs: number): void {
    const isHere = this.#deps.store.stat(digest)?.isComplete === true
    const count = holders.length + (isHere ? 1 : 0)
    const known = this.#short.get(digest)
    if (count >= minReplicas) {
      if (known?.isTold === true) this.#deps.log.info({ digest, count }, "enough replicas again")
      this.#short.delete(digest)
    } else if (known === undefined) this.#short.set(digest, { sinceMs: nowMs, isTold: false })
    else if (!known.isTold && nowMs - known.sinceMs >= MISSING_MS) {
      known.isTold = true
      this.#deps.log.warn({ digest, count, minReplicas }, "fewer replicas than are pinned")
    }
  }

  /** The highest number that a pin wants of each digest. */
  #wanted(): Map<Digest, number> {
    const wanted = new Map<Digest, number>()
    for (const { digests, minReplicas } of this.#deps.store.pins()) {
      if (minReplicas === undefined) continue
      for (const digest of digests) {
        wanted.set(digest, Math.max(minReplicas, wanted.get(digest) ?? 0))
      }
    }
    return wanted
  }

  #complete(digest: Digest): Holder[] {
    return this.#deps.holders(digest).filter(({ isComplete }) => isComplete)
  }
}
