/**
 * Tells connected peers what this node has, and keeps what they tell (protocol/holdings.md).
 * @module
 */
import type { Clock } from "../core/clock.ts"
import type { Digest } from "../core/digest.ts"
import { messageOf } from "../core/errors.ts"
import type { Logger } from "../core/log.ts"
import type { PeerId, PeerNetwork } from "../net/net.ts"
import type { BlobStat, BlobStore } from "../store/store.ts"
import { HOLDINGS_PER_PEER_MAX, HoldingsIndex } from "./holdings-index.ts"
import {
  encodeHoldings,
  HOLDINGS_ENTRIES_MAX,
  type Holding,
  type HoldingState,
  type HoldingsMessage,
  parseHoldings,
} from "./holdings-message.ts"

export const HOLDINGS_PROTOCOL = "/sealift/holdings/1"
/** Changes gather for this time. */
const DELTA_MS = 15
/** When they go on and on they gather longer, … */
const DELTA_BUSY_MS = 60
/** … from this push on that comes so soon after another. */
const DELTA_BUSY_PUSHES = 4
/** A push that is not answered within this time is given up; the next connection begins anew. */
const PUSH_MS_MAX = 30_000
/** Blobs that are looked at per tick, for changes of which the store says nothing. */
const LOOK_BLOBS_MAX = 500
/** Digests that one question, or offer, may name. */
export const ASK_DIGESTS_MAX = 256
/** Connected peers that are asked one question. */
const ASK_PEERS_MAX = 64
/** Connected peers answer at once, or are not waited for. */
const ASK_MS_MAX = 1_000

const EMPTY = new Uint8Array(0)

export interface HoldingsDeps {
  readonly net: PeerNetwork
  readonly store: BlobStore
  readonly clock: Clock
  readonly log: Logger
  /** Whether a peer may know that a blob is here; never so of one that it would not get. */
  readonly mayFind: (peer: PeerId, digest: Digest) => boolean
  /** A peer asks this node to keep a copy; none is kept when left out. @returns what comes of it */
  readonly onOffer?: (peer: PeerId, offer: Holding) => HoldingState
}

/** What waits to be told to one peer. */
interface Outbox {
  readonly peer: PeerId
  readonly closing: AbortController
  /** Digests whose state changed since the last push. */
  readonly changed: Set<Digest>
  /** What the peer was told, so that a blob it never heard of is not told as gone. */
  readonly told: Set<Digest>
  isRunning: boolean
}

export class Holdings {
  readonly index: HoldingsIndex
  readonly #deps: HoldingsDeps
  readonly #outboxes = new Map<PeerId, Outbox>()
  readonly #stops: (() => void)[]
  #cancelFlush: (() => void) | undefined
  #flushedMs = Number.NEGATIVE_INFINITY
  /** Pushes that began to gather soon after the one before. */
  #closeCount = 0
  readonly #changed = new Set<Digest>()
  /** Whether each blob was shared when it was last looked at. */
  readonly #shared = new Map<Digest, boolean>()
  #looking: Iterator<BlobStat> | undefined

  constructor(deps: HoldingsDeps) {
    this.#deps = deps
    this.index = new HoldingsIndex(deps)
    const { net, store } = deps
    net.onRequest(HOLDINGS_PROTOCOL, async (body, { peer }) => this.#onMessage(peer, body))
    this.#stops = [
      net.onConnect((peer) => this.#onConnect(peer.id)),
      net.onDisconnect((peer) => this.#onDisconnect(peer)),
      store.onChange((change) => {
        if (change.kind !== "piece") this.touch(change.digest)
        if (change.kind === "removed") this.#shared.delete(change.digest)
      }),
    ]
    for (const peer of net.peers()) this.#onConnect(peer.id)
  }

  /** What this node has of a blob, or who may have it, changed. */
  touch(digest: Digest): void {
    this.#changed.add(digest)
    if (this.#cancelFlush !== undefined) return
    const { clock } = this.#deps
    const nowMs = clock.monotonicMs()
    this.#closeCount = nowMs - this.#flushedMs < DELTA_BUSY_MS ? this.#closeCount + 1 : 0
    const isBusy = this.#closeCount >= DELTA_BUSY_PUSHES
    this.#cancelFlush = clock.after(isBusy ? DELTA_BUSY_MS : DELTA_MS, () => this.#flush())
  }

  /** Who may know what changed: each peer is told what is new for it, and what is gone. */
  recheck(): void {
    for (const { peer, told, changed } of this.#outboxes.values()) {
      for (const digest of told) {
        if (this.#stateFor(peer, digest).state === "gone") changed.add(digest)
      }
      for (const stat of this.#deps.store.list()) {
        if (!told.has(stat.digest) && this.#isFor(peer, stat)) changed.add(stat.digest)
      }
    }
    this.#flush()
  }

  /** Looks through the store, a few blobs at a time: what is shared may change without a word. */
  tick(): void {
    this.#looking ??= this.#deps.store.list()[Symbol.iterator]()
    for (let count = 0; count < LOOK_BLOBS_MAX; count++) {
      const { done, value } = this.#looking.next()
      if (done === true) {
        this.#looking = undefined
        return
      }
      const { digest, isShared } = value
      const wasShared = this.#shared.get(digest)
      this.#shared.set(digest, isShared)
      if (wasShared !== undefined && wasShared !== isShared) this.touch(digest)
    }
  }

  /** Asks a connected peer what it has of blobs; its answers enter the index. */
  async ask(
    peer: PeerId,
    digests: readonly Digest[],
    options: { signal: AbortSignal },
  ): Promise<void> {
    for (let at = 0; at < digests.length; at += ASK_DIGESTS_MAX) {
      const holdings = digests
        .slice(at, at + ASK_DIGESTS_MAX)
        .map((digest) => ({ digest, sizeBytes: 0, state: "gone" }) as const)
      const body = encodeHoldings({ kind: "ask", holdings })
      const answer = await this.#deps.net.request(peer, HOLDINGS_PROTOCOL, body, options)
      this.index.take(peer, parseHoldings(answer).holdings)
    }
  }

  /**
   * Asks all connected peers for blobs of which nobody told to have the whole: what they tell lags behind
   * by a moment. Ends when each has a holder, when all have answered, or after a second.
   */
  async askAll(digests: readonly Digest[], { signal }: { signal: AbortSignal }): Promise<void> {
    const { net, clock, log } = this.#deps
    const wanted = () => digests.filter((digest) => !this.index.hasWhole(digest))
    const asked = wanted()
    const peers = net.peers().slice(0, ASK_PEERS_MAX)
    if (asked.length === 0 || peers.length === 0) return
    const done = new AbortController()
    const cancel = clock.after(ASK_MS_MAX, () => done.abort())
    const inner = AbortSignal.any([signal, done.signal])
    const askOne = async ({ id }: { id: PeerId }) => {
      try {
        await this.ask(id, asked, { signal: inner })
        if (wanted().length === 0) done.abort()
      } catch (error) {
        // It is late, gone, or not needed any more.
        log.debug({ peer: id, error: messageOf(error) }, "a peer did not tell what it has")
      }
    }
    await Promise.all(peers.map(askOne))
    cancel()
    signal.throwIfAborted()
  }

  /**
   * Asks a connected peer to keep copies; of what it does not have only what it may find here is named.
   * @param offers - complete blobs, at most {@link ASK_DIGESTS_MAX}
   * @returns what comes of each that was named
   */
  async offer(
    peer: PeerId,
    offers: readonly Holding[],
    options: { signal: AbortSignal },
  ): Promise<readonly Holding[]> {
    const named = offers.filter(({ digest }) => {
      return this.index.has(peer, digest) || this.#stateFor(peer, digest).state === "complete"
    })
    if (named.length === 0) return []
    const body = encodeHoldings({ kind: "offer", holdings: named })
    const answer = await this.#deps.net.request(peer, HOLDINGS_PROTOCOL, body, options)
    return parseHoldings(answer).holdings
  }

  stop(): void {
    for (const stop of this.#stops) stop()
    this.#cancelFlush?.()
    for (const outbox of this.#outboxes.values()) outbox.closing.abort()
    this.#outboxes.clear()
  }

  #onMessage(peer: PeerId, body: Uint8Array): Uint8Array {
    const message = parseHoldings(body)
    if (message.kind === "ask") return encodeHoldings(this.#answer(peer, message))
    if (message.kind === "offer") return encodeHoldings(this.#answerOffer(peer, message))
    if (message.kind === "summary") this.index.forget(peer)
    this.index.take(peer, message.holdings)
    return EMPTY
  }

  #answer(peer: PeerId, message: HoldingsMessage): HoldingsMessage {
    const asked = message.holdings.slice(0, ASK_DIGESTS_MAX)
    const holdings = asked.map(({ digest }) => this.#stateFor(peer, digest))
    // Whoever learns of a blob by asking is told when it goes, as others are.
    const told = this.#outboxes.get(peer)?.told
    for (const { digest, state } of holdings) if (state !== "gone") told?.add(digest)
    return { kind: "delta", holdings }
  }

  #answerOffer(peer: PeerId, message: HoldingsMessage): HoldingsMessage {
    const offered = message.holdings.slice(0, ASK_DIGESTS_MAX)
    const holdings = offered.map((offer): Holding => {
      return { ...offer, state: this.#deps.onOffer?.(peer, offer) ?? "gone" }
    })
    return { kind: "delta", holdings }
  }

  #onConnect(peer: PeerId): void {
    this.#onDisconnect(peer)
    const outbox: Outbox = {
      peer,
      closing: new AbortController(),
      changed: new Set(),
      told: new Set(),
      isRunning: true,
    }
    this.#outboxes.set(peer, outbox)
    void this.#run(outbox, true)
  }

  #onDisconnect(peer: PeerId): void {
    this.#outboxes.get(peer)?.closing.abort()
    this.#outboxes.delete(peer)
    this.index.forget(peer)
  }

  #flush(): void {
    this.#cancelFlush?.()
    this.#cancelFlush = undefined
    this.#flushedMs = this.#deps.clock.monotonicMs()
    for (const outbox of this.#outboxes.values()) {
      for (const digest of this.#changed) outbox.changed.add(digest)
      if (outbox.isRunning || outbox.changed.size === 0) continue
      outbox.isRunning = true
      void this.#run(outbox, false)
    }
    this.#changed.clear()
  }

  /** Sends what waits, one message after the other. */
  async #run(outbox: Outbox, isNew: boolean): Promise<void> {
    try {
      if (isNew) await this.#pushSummary(outbox)
      while (outbox.changed.size > 0) await this.#push(outbox, this.#takeDelta(outbox))
    } catch (error) {
      // The connection is gone or the peer does not speak this; the next connection begins anew.
      const { peer } = outbox
      this.#deps.log.debug({ peer, error: messageOf(error) }, "holdings were not pushed")
    }
    outbox.isRunning = false
  }

  async #pushSummary(outbox: Outbox): Promise<void> {
    const holdings: Holding[] = []
    for (const stat of this.#deps.store.list()) {
      if (holdings.length >= HOLDINGS_PER_PEER_MAX) break
      if (this.#isFor(outbox.peer, stat)) holdings.push(holdingOf(stat))
    }
    for (const { digest } of holdings) outbox.told.add(digest)
    const first = holdings.slice(0, HOLDINGS_ENTRIES_MAX)
    await this.#push(outbox, { kind: "summary", holdings: first })
    for (let at = HOLDINGS_ENTRIES_MAX; at < holdings.length; at += HOLDINGS_ENTRIES_MAX) {
      const part = holdings.slice(at, at + HOLDINGS_ENTRIES_MAX)
      await this.#push(outbox, { kind: "delta", holdings: part })
    }
  }

  #takeDelta(outbox: Outbox): HoldingsMessage {
    const holdings: Holding[] = []
    for (const digest of outbox.changed) {
      if (holdings.length === HOLDINGS_ENTRIES_MAX) break
      outbox.changed.delete(digest)
      const holding = this.#stateFor(outbox.peer, digest)
      const wasTold = outbox.told.has(digest)
      if (holding.state === "gone") outbox.told.delete(digest)
      else outbox.told.add(digest)
      if (holding.state !== "gone" || wasTold) holdings.push(holding)
    }
    return { kind: "delta", holdings }
  }

  async #push(outbox: Outbox, message: HoldingsMessage): Promise<void> {
    if (message.kind === "delta" && message.holdings.length === 0) return
    const timeout = new AbortController()
    const cancel = this.#deps.clock.after(PUSH_MS_MAX, () => timeout.abort())
    const signal = AbortSignal.any([outbox.closing.signal, timeout.signal])
    const { peer } = outbox
    try {
      await this.#deps.net.request(peer, HOLDINGS_PROTOCOL, encodeHoldings(message), { signal })
    } finally {
      cancel()
    }
  }

  #stateFor(peer: PeerId, digest: Digest): Holding {
    const stat = this.#deps.store.stat(digest)
    if (stat === undefined || !this.#isFor(peer, stat))
      return { digest, sizeBytes: 0, state: "gone" }
    return holdingOf(stat)
  }

  #isFor(peer: PeerId, stat: BlobStat): boolean {
    return this.#deps.mayFind(peer, stat.digest)
  }
}

function holdingOf(stat: BlobStat): Holding {
  const state = stat.isComplete ? "complete" : "partial"
  return { digest: stat.digest, sizeBytes: stat.layout.sizeBytes, state }
}
