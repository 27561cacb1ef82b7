/**
 * Carries decisions to every node and reports to the controller: told as they are made, asked for when
 * peers meet and now and then (protocol/rollout.md §5, exchanges).
 * @module
 */
import type { Clock } from "../core/clock.ts"
import type { Digest } from "../core/digest.ts"
import { codeOf } from "../core/errors.ts"
import type { Logger } from "../core/log.ts"
import { PeerRate } from "../fleet/peer-rate.ts"
import { startDeadline } from "../net/deadline.ts"
import { NetError } from "../net/errors.ts"
import type { PeerId, PeerNetwork } from "../net/net.ts"
import { TrustError } from "../trust/errors.ts"
import { DECISIONS_MAX } from "./decision.ts"
import type { KnownPlan } from "./plan-record.ts"
import type { RolloutBook } from "./rollout-book.ts"
import {
  encodeAsk,
  encodeDecisions,
  encodeNotice,
  encodeTaken,
  parseAsk,
  parseDecisions,
  parseNotice,
  parseTaken,
  type RolloutAsk,
} from "./rollout-message.ts"
import { ROSTER_BYTES_MAX } from "./roster.ts"

export const ROLLOUT_PROTOCOL = "/sealift/rollout/1"
export const ROLLOUT_TOPIC = "sealift/rollout/1"
const ANSWER_MS_MAX = 5_000
/** A random peer is asked so often whether there is anything new. */
const PERIOD_MS = 15_000
/** Peers that are asked for one thing, one after the other. */
const PEERS_ASKED_MAX = 8
/** Answers of one peer to one question: each brings something new. */
const ROUNDS_MAX = 16
/** Questions of one peer, in a second and at once: of each plan, when it connects and as plans are new. */
const ASK_RATE = { rateBytes: 16, burstBytes: 512 } as const
/** What a notice ends with where more is to be known than it says. */
const MAY_BE_BEHIND: readonly string[] = ["DECISION_CONFLICT", "DECISION_UNWITNESSED"]

export interface RolloutExchangeDeps {
  readonly net: PeerNetwork
  readonly clock: Clock
  readonly log: Logger
  readonly book: RolloutBook
  /** Takes a report to this node's own controller. @returns false when it does not count */
  readonly takeReport: (known: KnownPlan, node: PeerId, envelope: Uint8Array) => Promise<boolean>
  /** Told of a decision that counts for nothing, and of who sent it. */
  readonly onRefused?: ((known: KnownPlan, peer: PeerId, code: string) => void) | undefined
}

/** The exchange of one node, in one fleet. */
export class RolloutExchange {
  readonly #deps: RolloutExchangeDeps
  readonly #fleet: string
  readonly #rate: PeerRate
  readonly #closing = new AbortController()
  /** Plans of which every peer is asked, or was. */
  readonly #met = new Set<Digest>()
  #stops: (() => void)[] = []

  constructor(deps: RolloutExchangeDeps, options: { readonly fleet: string }) {
    this.#deps = deps
    this.#fleet = options.fleet
    this.#rate = new PeerRate(deps.clock, ASK_RATE)
  }

  start(): void {
    const { net, clock, book } = this.#deps
    net.onRequest(ROLLOUT_PROTOCOL, (body, { peer }) => this.#answer(body, peer))
    const again = () => {
      const peers = net.peers()
      const peer = peers[Math.floor(Math.random() * peers.length)]
      if (peer !== undefined) void this.#askAbout(peer.id)
      this.#stops[0] = clock.after(PERIOD_MS, again)
    }
    this.#stops = [
      clock.after(PERIOD_MS, again),
      net.subscribe(ROLLOUT_TOPIC, (message, from) => void this.#onNotice(message, from)),
      net.onConnect(({ id }) => void this.#askAbout(id)),
      book.onChange(() => this.#catchUp()),
    ]
    this.#catchUp()
  }

  stop(): void {
    for (const stop of this.#stops.splice(0)) stop()
    this.#closing.abort(new Error("the exchange is stopped"))
  }

  /** Forgets a plan. */
  drop({ named }: KnownPlan): void {
    this.#met.delete(named.digest)
  }

  /** Tells the fleet of a decision. */
  async announce(plan: Digest, envelope: Uint8Array): Promise<void> {
    const { net, log, book } = this.#deps
    try {
      const notice = { fleet: this.#fleet, plan, envelope, ...noteOf(book.cosigned(plan)) }
      await net.publish(ROLLOUT_TOPIC, encodeNotice(notice))
    } catch (error) {
      // Nobody is there to hear it: they ask when they connect.
      log.debug({ code: codeOf(error) }, "no notice of a decision")
    }
  }

  /**
   * Compares what this node decided with what its peers have of it: a controller from an older copy
   * learns what it has forgotten before it decides anything else by the same number.
   * @returns how many have answered
   */
  async compare(known: KnownPlan): Promise<number> {
    let answers = 0
    for (const peer of this.#askable(known)) {
      if (await this.#askDecisions(peer, known)) answers++
    }
    return answers
  }

  /** Asks for the roster, the controller first. @returns undefined when nobody has it */
  async roster(known: KnownPlan): Promise<Uint8Array | undefined> {
    for (const peer of this.#askable(known)) {
      const ask = { kind: "roster", plan: known.named.digest } as const
      const answer = await this.#ask(peer, ask)
      if (answer !== undefined && answer.length > 0 && answer.length <= ROSTER_BYTES_MAX)
        return answer
    }
    return undefined
  }

  /**
   * Takes a report to the controller: straight, else through peers that may reach it.
   * @returns whether the controller has it
   */
  async report(known: KnownPlan, envelope: Uint8Array): Promise<boolean> {
    const { net, takeReport } = this.#deps
    const { controller } = known.plan.said
    if (controller === net.id) return await takeReport(known, net.id, envelope)
    const base = { kind: "report", plan: known.named.digest, node: net.id, envelope } as const
    for (const peer of this.#askable(known)) {
      const answer = await this.#ask(peer, { ...base, isForwarded: false })
      if (answer !== undefined && isTaken(answer)) return true
    }
    return false
  }

  async #answer(body: Uint8Array, from: PeerId): Promise<Uint8Array> {
    const { book } = this.#deps
    // Not an empty answer: that would say that nothing was decided.
    if (!this.#rate.take(from, 1)) throw new NetError("REQUEST_REFUSED", "it asks too often")
    const ask = parseAsk(body)
    const known = book.get(ask.plan)
    if (ask.kind === "decisions") {
      const envelopes = book.decisions(ask.plan, ask.from)
      return encodeDecisions({ envelopes, ...noteOf(book.cosigned(ask.plan)) })
    }
    if (ask.kind === "report") return encodeTaken(await this.#takeOrForward(ask, known, from))
    return book.rosterBytes(ask.plan) ?? new Uint8Array()
  }

  async #takeOrForward(
    ask: Extract<RolloutAsk, { kind: "report" }>,
    known: KnownPlan | undefined,
    from: PeerId,
  ): Promise<boolean> {
    const { net, takeReport } = this.#deps
    if (known === undefined) return false
    const { controller } = known.plan.said
    if (controller === net.id) return await takeReport(known, ask.node, ask.envelope)
    // One step, of one's own: nobody is made to carry what others carry already.
    if (ask.isForwarded || ask.node !== from || net.peer(controller) === undefined) return false
    const answer = await this.#ask(controller, { ...ask, isForwarded: true })
    return answer !== undefined && isTaken(answer)
  }

  async #onNotice(message: Uint8Array, from: PeerId): Promise<void> {
    const { book, log, onRefused } = this.#deps
    let known: KnownPlan | undefined
    try {
      const { fleet, plan, envelope, cosigned } = parseNotice(message)
      known = book.get(plan)
      if (fleet !== this.#fleet) {
        throw new TrustError("FLEET_WRONG", `a notice of fleet ${fleet}`)
      }
      if (known === undefined) return
      try {
        await book.takeDecision(plan, envelope, cosigned)
      } catch (error) {
        if (!MAY_BE_BEHIND.includes(codeOf(error) ?? "")) throw error
        // One before it may not have come.
        await this.#askDecisions(from, known)
      }
    } catch (error) {
      const code = codeOf(error)
      log.warn({ peer: from, code }, "a notice of a decision that counts for nothing")
      if (known !== undefined) onRefused?.(known, from, code ?? "UNKNOWN")
    }
  }

  /** What was decided of a plan that is new here was told before, and not understood. */
  #catchUp(): void {
    for (const known of this.#deps.book.active()) {
      const { digest } = known.named
      if (this.#met.has(digest)) continue
      this.#met.add(digest)
      void this.compare(known)
    }
  }

  async #askAbout(peer: PeerId): Promise<void> {
    for (const known of this.#deps.book.active()) await this.#askDecisions(peer, known)
  }

  /** @returns whether there was an answer */
  async #askDecisions(peer: PeerId, known: KnownPlan): Promise<boolean> {
    const { net, book, log } = this.#deps
    const plan = known.named.digest
    // Of its own decisions a controller looks at the last one too: an older copy of it may have gone on.
    const again = known.plan.said.controller === net.id ? 1 : 0
    const from = Math.max(0, book.view(known).count - again)
    // All that there are, before any is followed: what witnesses have cosigned covers them together.
    const envelopes: Uint8Array[] = []
    let note: Uint8Array | undefined
    try {
      for (let round = 0; round < ROUNDS_MAX && from + envelopes.length <= DECISIONS_MAX; round++) {
        const ask = { kind: "decisions", plan, from: from + envelopes.length } as const
        const answer = await this.#ask(peer, ask)
        if (answer === undefined) return false
        const { envelopes: more, cosigned } = parseDecisions(answer)
        envelopes.push(...more)
        note = cosigned
        if (more.length === 0) break
      }
      await book.takeDecisions(plan, envelopes, note)
    } catch (error) {
      const code = codeOf(error)
      log.warn({ peer, plan, code }, "decisions that count for nothing")
      this.#deps.onRefused?.(known, peer, code ?? "UNKNOWN")
    }
    return true
  }

  /** @returns undefined when there was no answer */
  async #ask(peer: PeerId, ask: RolloutAsk): Promise<Uint8Array | undefined> {
    const { net, clock, log } = this.#deps
    if (this.#closing.signal.aborted) return undefined
    const { signal, clear } = startDeadline(clock, ANSWER_MS_MAX, this.#closing.signal)
    try {
      return await net.request(peer, ROLLOUT_PROTOCOL, encodeAsk(ask), { signal })
    } catch (error) {
      log.debug({ peer, ask: ask.kind, code: codeOf(error) }, "no answer about a rollout")
      return undefined
    } finally {
      clear()
    }
  }

  /** The controller, which may have to be dialled, then some of those that are connected. */
  #askable({ plan }: KnownPlan): readonly PeerId[] {
    const { net } = this.#deps
    const connected = net.peers().map(({ id }) => id)
    const others = connected.filter((id) => id !== plan.said.controller)
    const ahead = plan.said.controller === net.id ? [] : [plan.said.controller]
    return [...ahead, ...others.slice(0, PEERS_ASKED_MAX)]
  }
}

function noteOf(cosigned: Uint8Array | undefined): { readonly cosigned?: Uint8Array } {
  return cosigned === undefined ? {} : { cosigned }
}

function isTaken(answer: Uint8Array): boolean {
  try {
    return parseTaken(answer)
  } catch {
    return false
  }
}
