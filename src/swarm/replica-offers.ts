/**
 * Asks other nodes to keep copies of what is pinned for replicas here, while too few have it: those of
 * the highest rank first, a few at a time (protocol/holdings.md, Offers).
 * @module
 */
import type { Clock } from "../core/clock.ts"
import type { Digest } from "../core/digest.ts"
import { messageOf } from "../core/errors.ts"
import type { Logger } from "../core/log.ts"
import type { PeerId, PeerNetwork } from "../net/net.ts"
import type { BlobStore } from "../store/store.ts"
import { ASK_DIGESTS_MAX } from "./holdings.ts"
import type { Holding } from "./holdings-message.ts"
import { byReplicaRank } from "./replica-rank.ts"
import type { Holder } from "./swarm.ts"

/** A node that starts, or lost a peer for a moment, waits so long before it asks anybody. */
const GRACE_MS = 30_000
/** Whoever took an offer has this time to have the copy, before another is asked. */
const TAKING_MS_MAX: number = 10 * 60_000
/** Whoever did not take it, or did not bring it about, is not asked again for this time. */
const PAUSE_MS: number = 10 * 60_000
/** Those who are charged with a copy are told so again, well before they forget it. */
const RENEW_MS: number = 10 * 60_000
const ANSWER_MS_MAX = 10_000
/** Copies on their way at one time for this node, in number and in bytes; always one. */
const COPIES_MAX = 16
const COPIES_BYTES_MAX: number = 256 * 1024 * 1024

export interface ReplicaOffersDeps {
  readonly store: Pick<BlobStore, "stat">
  readonly net: Pick<PeerNetwork, "peers">
  readonly clock: Clock
  readonly log: Logger
  /** Whether the way to a peer costs nothing by the byte. */
  isUnmetered(peer: PeerId): boolean
  /** Asks one peer; gives what comes of each offer. */
  offer(
    peer: PeerId,
    offers: readonly Holding[],
    options: { signal: AbortSignal },
  ): Promise<readonly Holding[]>
}

/** A blob of which there are to be copies elsewhere. */
export interface WantedCopies {
  readonly digest: Digest
  readonly minReplicas: number
  /** Others that have all of it. */
  readonly holders: readonly Holder[]
}

interface Asked {
  /** So long it counts as bringing the copy. */
  readonly takesUntilMs: number
  readonly pausedUntilMs: number
}

/** A blob of which there are too few. */
interface Shortage {
  readonly sinceMs: number
  readonly sizeBytes: number
  readonly asked: Map<PeerId, Asked>
}

/** What is to be sent after one look at all. */
interface Round {
  readonly nowMs: number
  readonly batches: Map<PeerId, Holding[]>
  copyCount: number
  copyBytes: number
}

export class ReplicaOffers {
  readonly #deps: ReplicaOffersDeps
  readonly #shortages = new Map<Digest, Shortage>()
  readonly #closing = new AbortController()
  #renewAtMs: number

  constructor(deps: ReplicaOffersDeps) {
    this.#deps = deps
    this.#renewAtMs = deps.clock.monotonicMs() + RENEW_MS
  }

  /** Looks at all that is wanted, and asks for what is missing. */
  run(wanted: readonly WantedCopies[], nowMs: number): void {
    const digests = new Set(wanted.map(({ digest }) => digest))
    for (const digest of this.#shortages.keys()) {
      if (!digests.has(digest)) this.#shortages.delete(digest)
    }
    const round = this.#beginRound(nowMs)
    const isRenewal = nowMs >= this.#renewAtMs
    if (isRenewal) this.#renewAtMs = nowMs + RENEW_MS
    for (const one of wanted) {
      if (one.holders.length < one.minReplicas) this.#ask(one, round)
      else this.#shortages.delete(one.digest)
      if (isRenewal) this.#renew(one, round)
    }
    for (const [peer, offers] of round.batches) void this.#send(peer, offers)
  }

  stop(): void {
    this.#closing.abort()
  }

  #beginRound(nowMs: number): Round {
    const round: Round = { nowMs, batches: new Map(), copyCount: 0, copyBytes: 0 }
    for (const { asked, sizeBytes } of this.#shortages.values()) {
      for (const { takesUntilMs } of asked.values()) {
        if (takesUntilMs > nowMs) addCopy(round, sizeBytes)
      }
    }
    return round
  }

  #ask({ digest, minReplicas, holders }: WantedCopies, round: Round): void {
    const { nowMs } = round
    const stat = this.#deps.store.stat(digest)
    if (stat?.isComplete !== true || !stat.isShared) return
    const { sizeBytes } = stat.layout
    const known = this.#shortages.get(digest)
    const { sinceMs, asked } = known ?? { sinceMs: nowMs, asked: new Map<PeerId, Asked>() }
    if (known === undefined) this.#shortages.set(digest, { sinceMs, sizeBytes, asked })
    if (nowMs - sinceMs < GRACE_MS) return
    const whole = new Set(holders.map(({ peer }) => peer))
    const takers = [...asked].filter(([peer, { takesUntilMs }]) => {
      return takesUntilMs > nowMs && !whole.has(peer)
    })
    const isFree = (peer: PeerId) => {
      return !whole.has(peer) && (asked.get(peer)?.pausedUntilMs ?? 0) <= nowMs
    }
    const missing = minReplicas - whole.size - takers.length
    for (const peer of this.#ranked(digest, isFree).slice(0, Math.max(0, missing))) {
      if (!addCopy(round, sizeBytes)) return
      asked.set(peer, { takesUntilMs: nowMs + ANSWER_MS_MAX, pausedUntilMs: nowMs + PAUSE_MS })
      put(round, peer, { digest, sizeBytes, state: "complete" })
    }
  }

  #ranked(digest: Digest, isFree: (peer: PeerId) => boolean): PeerId[] {
    const { net, isUnmetered } = this.#deps
    const free = net.peers().filter(({ id }) => isFree(id) && isUnmetered(id))
    return byReplicaRank(
      free.map(({ id }) => id),
      digest,
    )
  }

  /** Also of what this node let go itself: it was pinned so that others keep it. */
  #renew({ digest, minReplicas, holders }: WantedCopies, round: Round): void {
    const sizes = new Map(holders.map(({ peer, sizeBytes }) => [peer, sizeBytes]))
    for (const peer of byReplicaRank([...sizes.keys()], digest).slice(0, minReplicas)) {
      put(round, peer, { digest, sizeBytes: sizes.get(peer)!, state: "complete" })
    }
  }

  async #send(peer: PeerId, offers: readonly Holding[]): Promise<void> {
    const { clock, log } = this.#deps
    try {
      for (let at = 0; at < offers.length; at += ASK_DIGESTS_MAX) {
        const timeout = new AbortController()
        const cancel = clock.after(ANSWER_MS_MAX, () => timeout.abort())
        const signal = AbortSignal.any([this.#closing.signal, timeout.signal])
        const part = offers.slice(at, at + ASK_DIGESTS_MAX)
        const answers = await this.#deps.offer(peer, part, { signal }).finally(cancel)
        for (const answer of answers) this.#note(peer, answer)
      }
    } catch (error) {
      // It is gone, silent, or of a version that knows no offers: others are asked.
      log.debug({ peer, error: messageOf(error) }, "a peer did not answer an offer")
    }
  }

  #note(peer: PeerId, { digest, state }: Holding): void {
    const asked = this.#shortages.get(digest)?.asked
    if (asked?.has(peer) !== true) return
    const nowMs = this.#deps.clock.monotonicMs()
    const isTaken = state !== "gone"
    const takesUntilMs = isTaken ? nowMs + TAKING_MS_MAX : nowMs
    asked.set(peer, { takesUntilMs, pausedUntilMs: takesUntilMs + PAUSE_MS })
    this.#deps.log.debug({ peer, digest, isTaken }, "a copy was offered")
  }
}

/** @returns whether there may be one copy more on its way */
function addCopy(round: Round, sizeBytes: number): boolean {
  const isFree = round.copyCount < COPIES_MAX && round.copyBytes + sizeBytes <= COPIES_BYTES_MAX
  if (round.copyCount > 0 && !isFree) return false
  round.copyCount++
  round.copyBytes += sizeBytes
  return true
}

function put(round: Round, peer: PeerId, offer: Holding): void {
  const batch = round.batches.get(peer) ?? []
  round.batches.set(peer, batch)
  batch.push(offer)
}
