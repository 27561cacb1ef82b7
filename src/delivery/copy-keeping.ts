/**
 * Keeps copies for peers that have too few of what they pinned: takes what is offered if there is room,
 * and has it swept last. It is no pin: this node owes nobody the bytes (protocol/holdings.md, Offers).
 * @module
 */
import type { Digest } from "../core/digest.ts"
import { codeOf } from "../core/errors.ts"
import type { PeerId } from "../net/net.ts"
import type { BlobStat } from "../store/store.ts"
import { OPEN_ACCESS } from "../swarm/access.ts"
import type { CopyOffer, OfferAnswer } from "../swarm/swarm.ts"
import type { BlobRequest } from "./delivery.ts"
import type { DeliveryDeps } from "./limit.ts"

/** Copies on their way in at one time. */
const TAKEN_MAX = 16
/** A copy that takes longer is given up. */
const TAKING_MS_MAX: number = 30 * 60_000
/** So long after the last offer a copy is swept last; offers are repeated every ten minutes. */
const KEPT_MS: number = 60 * 60_000
/** Copies that are kept, in number and as a part of the quota. */
const KEPT_MAX = 20_000
const KEPT_SHARE_MAX = 0.5
/** This part of the quota stays free for what the node's own clients want. */
const FREE_SHARE_MIN = 0.1

export interface CopyKeepingDeps
  extends Pick<
    DeliveryDeps,
    "store" | "swarm" | "net" | "clock" | "log" | "metrics" | "access" | "places"
  > {
  ensure(request: BlobRequest, options: { signal: AbortSignal }): Promise<BlobStat>
}

/** A copy that a peer asked for. */
interface Copy {
  readonly sizeBytes: number
  readonly untilMs: number
}

export class CopyKeeping {
  readonly #deps: CopyKeepingDeps
  /** In the order of the last offers. */
  readonly #kept = new Map<Digest, Copy>()
  /** Bytes of what is on its way. */
  readonly #taken = new Map<Digest, number>()
  readonly #stopping = new AbortController()
  readonly #stopStore: () => void
  #keptBytes = 0

  constructor(deps: CopyKeepingDeps) {
    this.#deps = deps
    deps.store.useLast((digest) => this.#isKept(digest))
    deps.swarm.useOffers((peer, offer) => this.#answer(peer, offer))
    this.#stopStore = deps.store.onChange(({ kind, digest }) => {
      if (kind === "removed") this.#forget(digest)
    })
    deps.metrics.gauge(
      "sealift_replicas_kept_blobs",
      "Blobs that are swept last because peers asked for copies.",
      () => this.#kept.size,
    )
  }

  /** Gives up what is on its way, and takes nothing more. */
  stop(): void {
    this.#stopping.abort()
    this.#stopStore()
  }

  #isKept(digest: Digest): boolean {
    const copy = this.#kept.get(digest)
    return copy !== undefined && copy.untilMs > this.#deps.clock.monotonicMs()
  }

  #answer(peer: PeerId, offer: CopyOffer): OfferAnswer {
    const { digest, sizeBytes } = offer
    if (this.#stopping.signal.aborted || !this.#isWelcome(peer, digest)) return "gone"
    if (this.#taken.has(digest)) return "partial"
    const stat = this.#deps.store.stat(digest)
    if (stat?.isShared === false) return "gone"
    if (stat?.isComplete === true) {
      this.#keep(digest, stat.layout.sizeBytes)
      return "complete"
    }
    if (!this.#hasRoom(sizeBytes) || this.#deps.swarm.isWithheld(digest)) return "gone"
    void this.#take(peer, offer)
    return "partial"
  }

  /**
   * Whether a peer may have this node keep something. Without a fleet: one that this node was told of by
   * its operator. In a fleet the word of a peer puts no blob at a place: this node must know of one
   * already, where the peer may seed, and this node fetch and seed.
   */
  #isWelcome(peer: PeerId, digest: Digest): boolean {
    const { net, access = OPEN_ACCESS, places } = this.#deps
    if (!access.isFleet()) return net.peer(peer)?.sources.has("configured") === true
    const known = places?.placesOf(digest) ?? []
    return known.some((place) => {
      const isMine = access.may(net.id, "fetch", place) && access.may(net.id, "seed", place)
      return isMine && access.may(peer, "seed", place)
    })
  }

  /** Nothing that is here goes for a copy. */
  #hasRoom(sizeBytes: number): boolean {
    if (this.#taken.size >= TAKEN_MAX) return false
    this.#forgetOld()
    const { usedBytes, quotaBytes } = this.#deps.store.usage()
    const takenBytes = sum(this.#taken.values())
    const isFree = usedBytes + takenBytes + sizeBytes <= quotaBytes * (1 - FREE_SHARE_MIN)
    return isFree && this.#keptBytes + takenBytes + sizeBytes <= quotaBytes * KEPT_SHARE_MAX
  }

  async #take(peer: PeerId, { digest, sizeBytes }: CopyOffer): Promise<void> {
    const { clock, log } = this.#deps
    this.#taken.set(digest, sizeBytes)
    const timeout = new AbortController()
    const cancel = clock.after(TAKING_MS_MAX, () => timeout.abort())
    try {
      const signal = AbortSignal.any([this.#stopping.signal, timeout.signal])
      const { layout } = await this.#deps.ensure({ digest, sizeBytes }, { signal })
      this.#keep(digest, layout.sizeBytes)
      log.info({ digest, peer, sizeBytes: layout.sizeBytes }, "a copy is kept for a peer")
    } catch (error) {
      log.debug({ digest, peer, code: codeOf(error) }, "a copy for a peer did not come")
    } finally {
      cancel()
      this.#taken.delete(digest)
    }
  }

  #keep(digest: Digest, sizeBytes: number): void {
    this.#forget(digest)
    this.#kept.set(digest, { sizeBytes, untilMs: this.#deps.clock.monotonicMs() + KEPT_MS })
    this.#keptBytes += sizeBytes
    this.#forgetOld()
  }

  #forgetOld(): void {
    const nowMs = this.#deps.clock.monotonicMs()
    for (const [oldest, { untilMs }] of this.#kept) {
      if (untilMs > nowMs && this.#kept.size <= KEPT_MAX) break
      this.#forget(oldest)
    }
  }

  #forget(digest: Digest): void {
    this.#keptBytes -= this.#kept.get(digest)?.sizeBytes ?? 0
    this.#kept.delete(digest)
  }
}

function sum(counts: Iterable<number>): number {
  let total = 0
  for (const count of counts) total += count
  return total
}
