/**
 * Carries approvals and withdrawals between nodes: asked for when peers meet, when somebody tells that
 * there is something new, and now and then (protocol/release.md §4, exchanges).
 * @module
 */
import type { Clock } from "../core/clock.ts"
import type { Digest } from "../core/digest.ts"
import { codeOf } from "../core/errors.ts"
import type { Logger } from "../core/log.ts"
import type { PeerId, PeerNetwork } from "../net/net.ts"
import {
  type EvidenceNotice,
  encodeEvidenceQuery,
  encodeNotice,
  encodeStatements,
  parseEvidenceQuery,
  parseNotice,
  parseStatements,
} from "./evidence-message.ts"

export const EVIDENCE_PROTOCOL = "/sealift/evidence/1"
export const EVIDENCE_TOPIC = "sealift/evidence/1"
/** A peer that has not answered by then has nothing to tell. */
const ANSWER_MS_MAX = 5_000
/** Connected peers that are asked at once. */
const PEERS_ASKED_MAX = 16
/** Answers of one peer to one question; each brings something new. */
const ROUNDS_MAX = 8
/** A release of which something was told is asked for after these times, until it has come. */
const GATHER_DELAYS_MS: readonly number[] = [50, 1_000, 5_000, 30_000]
/** Releases that wait to be asked for. */
const PENDING_MAX = 256
/** Newest releases that a peer is asked about when it connects, and now and then. */
const LIVE_ASKED_MAX = 64
const PERIOD_MS = 60_000

/** What the exchange asks of the one who keeps the evidence. */
export interface EvidenceKeeper {
  /** The releases that are still of interest, the newest first. */
  live(): readonly Digest[]
  /** What is here of a release by the digests of the statements; none when it is unknown. */
  statements(release: Digest): ReadonlyMap<Digest, Uint8Array>
  /** Takes in what a peer gave. @returns whether it was new */
  take(statement: Uint8Array, release: Digest, from: PeerId): Promise<boolean>
}

/** A release that will be asked for. */
interface Pending {
  /** How many statements there shall be. */
  readonly count: number
  /** Whether a peer said so; else it is merely hoped. */
  readonly isTold: boolean
  readonly cancel: () => void
}

export interface EvidenceExchangeDeps {
  readonly net: PeerNetwork
  readonly clock: Clock
  readonly log: Logger
  readonly keeper: EvidenceKeeper
}

/** The exchange of one node, in one fleet. */
export class EvidenceExchange {
  readonly #deps: EvidenceExchangeDeps
  readonly #fleet: string
  readonly #closing = new AbortController()
  readonly #pending = new Map<Digest, Pending>()
  #stops: (() => void)[] = []

  constructor(deps: EvidenceExchangeDeps, options: { readonly fleet: string }) {
    this.#deps = deps
    this.#fleet = options.fleet
  }

  start(): void {
    const { net, clock } = this.#deps
    net.onRequest(EVIDENCE_PROTOCOL, async (body) => this.#answer(body))
    const again = () => {
      void this.#askAnybody()
      this.#stops[0] = clock.after(PERIOD_MS, again)
    }
    this.#stops = [
      clock.after(PERIOD_MS, again),
      net.subscribe(EVIDENCE_TOPIC, (message, from) => this.#onNotice(message, from)),
      net.onConnect(({ id }) => void this.#askAbout(id, this.#deps.keeper.live())),
    ]
    for (const { id } of net.peers()) void this.#askAbout(id, this.#deps.keeper.live())
  }

  stop(): void {
    for (const stop of this.#stops.splice(0)) stop()
    this.#closing.abort(new Error("the exchange is stopped"))
  }

  /** Tells the fleet that something new was said of a release. */
  async announce(release: Digest): Promise<void> {
    const count = this.#deps.keeper.statements(release).size
    try {
      await this.#deps.net.publish(
        EVIDENCE_TOPIC,
        encodeNotice({ fleet: this.#fleet, release, count }),
      )
    } catch (error) {
      // Nobody is there to hear it: they ask when they connect.
      this.#deps.log.debug({ code: codeOf(error) }, "no notice of evidence")
    }
  }

  /** A release became known: what was said of it before that is asked for. */
  want(release: Digest): void {
    this.#schedule(release, { count: 1, isTold: false, attempt: 0 })
  }

  /** Asks connected peers for what is not here of a release; what a peer does wrong stays its own. */
  async gather(release: Digest, { signal }: { readonly signal: AbortSignal }): Promise<void> {
    const peers = this.#deps.net.peers().slice(0, PEERS_ASKED_MAX)
    await Promise.all(peers.map(({ id }) => this.#askOne(id, release, signal)))
    signal.throwIfAborted()
  }

  #answer(body: Uint8Array): Uint8Array {
    if (this.#closing.signal.aborted) return encodeStatements([])
    const { release, have } = parseEvidenceQuery(body)
    const known = new Set(have)
    const kept = [...this.#deps.keeper.statements(release)]
    return encodeStatements(kept.flatMap(([digest, one]) => (known.has(digest) ? [] : [one])))
  }

  #onNotice(message: Uint8Array, from: PeerId): void {
    let notice: EvidenceNotice
    try {
      notice = parseNotice(message)
    } catch (error) {
      this.#deps.log.debug({ peer: from, code: codeOf(error) }, "a notice that is none")
      return
    }
    const { fleet, release, count } = notice
    if (fleet !== this.#fleet || !this.#deps.keeper.live().includes(release)) return
    this.#schedule(release, { count, isTold: true, attempt: 0 })
  }

  /** Asks soon, and again later while there is less here than was told. */
  #schedule(
    release: Digest,
    { count, isTold, attempt }: Omit<Pending, "cancel"> & { readonly attempt: number },
  ): void {
    const delayMs = GATHER_DELAYS_MS[attempt]
    const before = this.#pending.get(release)
    const isFull = before === undefined && this.#pending.size >= PENDING_MAX
    const isIdle = this.#closing.signal.aborted || !this.#lacks(release, count)
    if (delayMs === undefined || isFull || isIdle) return
    // More was said since the last asking: that is not left until a longer pause is over.
    const isNews = isTold && (before?.isTold !== true || count > before.count)
    if (before !== undefined && !isNews) return
    before?.cancel()
    const asking = () => void this.#gatherPending(release, pending, attempt)
    const pending: Pending = { count, isTold, cancel: this.#deps.clock.after(delayMs, asking) }
    this.#pending.set(release, pending)
  }

  async #gatherPending(release: Digest, pending: Pending, attempt: number): Promise<void> {
    const { signal } = this.#closing
    try {
      if (this.#lacks(release, pending.count)) await this.gather(release, { signal })
    } catch (error) {
      this.#deps.log.debug({ code: codeOf(error) }, "nothing gathered")
    }
    // Something newer was told meanwhile, and will be asked for by itself.
    if (this.#pending.get(release) !== pending) return
    this.#pending.delete(release)
    this.#schedule(release, { ...pending, attempt: attempt + 1 })
  }

  #lacks(release: Digest, count: number): boolean {
    return this.#deps.keeper.statements(release).size < count
  }

  async #askAnybody(): Promise<void> {
    const peers = this.#deps.net.peers()
    const peer = peers[Math.floor(Math.random() * peers.length)]
    if (peer !== undefined) await this.#askAbout(peer.id, this.#deps.keeper.live())
  }

  async #askAbout(peer: PeerId, releases: readonly Digest[]): Promise<void> {
    const { signal } = this.#closing
    const asked = releases.slice(0, LIVE_ASKED_MAX)
    await Promise.all(asked.map((release) => this.#askOne(peer, release, signal)))
  }

  /** Asks one peer until it has nothing more that is new. */
  async #askOne(peer: PeerId, release: Digest, signal: AbortSignal): Promise<void> {
    const { net, clock, keeper, log } = this.#deps
    const late = new AbortController()
    const cancel = clock.after(ANSWER_MS_MAX, () => late.abort(new Error("late")))
    const both = AbortSignal.any([signal, late.signal])
    try {
      for (let round = 0; round < ROUNDS_MAX && !both.aborted; round++) {
        const have = [...keeper.statements(release).keys()]
        const body = encodeEvidenceQuery({ release, have })
        const answer = await net.request(peer, EVIDENCE_PROTOCOL, body, { signal: both })
        let newCount = 0
        for (const statement of parseStatements(answer)) {
          if (await keeper.take(statement, release, peer)) newCount++
        }
        if (newCount === 0) return
      }
    } catch (error) {
      // A peer that does not answer, or lies, is not asked again now; others may have it.
      if (!signal.aborted) log.debug({ peer, code: codeOf(error) }, "no evidence")
    } finally {
      cancel()
    }
  }
}
