/**
 * The controller of one plan: gathers reports, judges the waves, and says what is next
 * (protocol/rollout.md §5, deciding). What it decided lies in the book; a controller that starts again
 * goes on from there.
 * @module
 */

import type { WitnessedLog } from "../audit/witness-asking.ts"
import type { Clock } from "../core/clock.ts"
import { type Digest, digestOfRaw } from "../core/digest.ts"
import { codeOf, messageOf } from "../core/errors.ts"
import type { Logger } from "../core/log.ts"
import { Serial } from "../core/serial.ts"
import type { Membership } from "../fleet/fleet.ts"
import type { SelfStanding } from "../fleet/self-standing.ts"
import type { PeerId } from "../net/net.ts"
import { signDraft } from "../release/signing.ts"
import type { Signer } from "../trust/signing-key.ts"
import type { WitnessList } from "../trust/witness-list.ts"
import { type Act, encodeDecision, shortLine } from "./decision.ts"
import { decisionLogOf, signDecisionLog } from "./decision-log.ts"
import { RolloutError } from "./errors.ts"
import type { Plan } from "./plan.ts"
import type { KnownPlan } from "./plan-record.ts"
import { isSamePlan } from "./plan-subject.ts"
import { type HealthReport, readReport } from "./report.ts"
import { REPORTS_MAX, type ReportShelf } from "./report-shelf.ts"
import type { RolloutBook } from "./rollout-book.ts"
import { mayAct } from "./rollout-view.ts"
import { encodeRoster, placeOf, type Roster, rosterRoot, rosterSize } from "./roster.ts"
import { rosterOf } from "./wave-choosing.ts"
import { type Findings, judge, type ReceivedReport } from "./wave-judging.ts"

/** A decision that could not be made is tried again after this time. */
const RETRY_MS = 2_000
/**
 * Reports that come within this time of one are judged with it: each judgement looks at every node of the
 * released waves, and of a large fleet thousands report within seconds.
 */
const GATHER_MS = 50
/** No window is closed for longer: sixteen days (`window.ts`), and one for clocks that differ. */
const OPENS_IN_MS_MAX: number = 17 * 86_400_000

/** What is decided by hand waits for witnesses so often, as long as `RETRY_MS` each time. */
const PATIENCE_COUNT = 10
/** What was followed and newer witnesses have not cosigned is shown to them again after this time. */
const WITNESS_AGAIN_MS = 60_000

/**
 * Has the log of a plan's decisions cosigned before anybody acts on the last one.
 * @returns the cosigned checkpoint
 * @throws AuditError `COSIGNATURES_MISSING`, `LOG_BEHIND_WITNESS` when too few have signed
 */
export type Witnessing = (log: WitnessedLog, list: WitnessList) => Promise<Uint8Array>

/** What is decided by hand; a start freezes the waves by itself. */
export type ActByHand =
  | { readonly kind: "start" | "pause" | "resume" | "abort" }
  | { readonly kind: "rollback"; readonly wave: number }

export interface ControllerDeps {
  readonly book: RolloutBook
  readonly membership: Membership
  readonly signer: Signer
  /** While something is known against this node it decides nothing. */
  readonly self?: Pick<SelfStanding, "verify"> | undefined
  readonly shelf: ReportShelf
  readonly clock: Clock
  readonly log: Logger
  /** Learns what others have of a plan's decisions. @returns how many nodes have answered */
  readonly compare: (known: KnownPlan) => Promise<number>
  /** Tells the fleet. */
  readonly announce: (known: KnownPlan, envelope: Uint8Array) => Promise<void>
  /** Whether a node may open what the plan rolls out. */
  readonly audience: (known: KnownPlan) => (peer: PeerId) => boolean
  /** Asked where the fleet names witnesses. */
  readonly witness?: Witnessing | undefined
  /** Told of each report that counts, and of each that does not. */
  readonly onReport?: ((known: KnownPlan, report: HealthReport) => void) | undefined
  readonly onRefused?: ((known: KnownPlan, node: PeerId, code: string) => void) | undefined
}

export class RolloutController {
  readonly #deps: ControllerDeps
  readonly #known: KnownPlan
  readonly #turns = new Serial<"decide">()
  readonly #reports = new Map<PeerId, ReceivedReport>()
  #cancelLook: () => void = () => {}
  #cancelAgain: () => void = () => {}
  /** Of the judgement that is due for reports; undefined: none is. */
  #cancelSoon: (() => void) | undefined
  #isLookQueued = false
  #isStopped = false
  /** Whether what this node knows was compared with what others know, since it was started. */
  #isMet = false

  constructor(deps: ControllerDeps, known: KnownPlan) {
    this.#deps = deps
    this.#known = known
  }

  /** Begins to judge, from where book and shelf say that it is. */
  async start(): Promise<void> {
    for (const report of await this.#deps.shelf.load(this.#known)) {
      this.#reports.set(report.said.node, report)
    }
    this.look()
  }

  stop(): void {
    this.#isStopped = true
    this.#cancelLook()
    this.#cancelAgain()
    this.#cancelSoon?.()
  }

  /** The newest report of each node. */
  get reports(): ReadonlyMap<PeerId, ReceivedReport> {
    return this.#reports
  }

  /** What it judges by; undefined before the start. */
  findings(): Findings | undefined {
    const { book, membership } = this.#deps
    const roster = book.roster(this.#known)
    if (roster === undefined) return undefined
    const { plan } = this.#known
    const view = book.view(this.#known)
    const nowMs = membership.nowMs()
    return { plan: plan.said, view, waves: roster.waves, reports: this.#reports, nowMs }
  }

  /**
   * Takes a report in.
   * @returns false when a newer one of the node is here
   * @throws {@link RolloutError} `REPORT_INVALID`; TrustError as `readStatement`
   */
  takeReport(node: PeerId, envelope: Uint8Array): boolean {
    const { book, membership, onReport, onRefused } = this.#deps
    let said: HealthReport
    try {
      // First what costs least: signatures are looked at for members alone.
      if (membership.access()?.list.members.has(node) !== true) {
        throw new RolloutError("REPORT_INVALID", `${node} is not in the fleet`)
      }
      said = readReport(envelope, { node, fleet: membership.fleet }).said
      const roster = book.roster(this.#known)
      verifyReport(said, this.#known, { roster, nowMs: membership.nowMs() })
    } catch (error) {
      onRefused?.(this.#known, node, codeOf(error) ?? "UNKNOWN")
      throw error
    }
    const before = this.#reports.get(node)?.said
    if (before !== undefined && before.counter >= said.counter)
      return before.counter === said.counter
    if (before === undefined && this.#reports.size >= REPORTS_MAX) return false
    const isSame = before?.outcome === said.outcome && before.attempt === said.attempt
    const firstMs = isSame ? this.#reports.get(node)?.receivedAtMs : undefined
    const received = { said, receivedAtMs: firstMs ?? membership.nowMs() }
    this.#reports.set(node, received)
    this.#deps.shelf.put(this.#known, { ...received, envelope })
    onReport?.(this.#known, said)
    this.#lookSoon()
    return true
  }

  /**
   * Decides by hand.
   * @throws {@link RolloutError} `ROLLOUT_STATE_WRONG`, `PLAN_INVALID` when the waves are none
   */
  async act(act: ActByHand, reason: string): Promise<void> {
    await this.#turns
      .run("decide", async () => {
        this.#verifyCounts()
        await this.#meet()
        await this.#settlePatiently()
        const view = this.#deps.book.view(this.#known)
        if (!mayAct(view, act.kind)) {
          const message = `the rollout is ${view.phase}: nothing to ${act.kind}`
          throw new RolloutError("ROLLOUT_STATE_WRONG", message)
        }
        await this.#decide(await this.#actOf(act), reason)
        await this.#settlePatiently()
      })
      .finally(() => this.look())
  }

  /** Judges what is known now, and again when time alone may change it. */
  look(): void {
    if (this.#isLookQueued) return
    this.#isLookQueued = true
    void this.#turns.run("decide", async () => {
      this.#isLookQueued = false
      this.#cancelLook()
      if (this.#isStopped) return
      try {
        await this.#judgeOn()
      } catch (error) {
        const fields = { code: codeOf(error), error: messageOf(error) }
        this.#deps.log.warn(fields, "nothing could be decided: it is tried again")
        this.#lookIn(RETRY_MS)
      }
    })
  }

  async #judgeOn(): Promise<void> {
    for (;;) {
      if (await this.#goOn()) continue
      // Silence and soaks are times: nothing follows from them while no time is to be trusted.
      if (this.#deps.membership.clockFault() !== undefined) return this.#lookIn(RETRY_MS)
      const findings = this.findings()
      if (findings === undefined || this.#isStopped) return
      if (findings.nowMs > findings.plan.expiresAtMs || !this.#isActive()) return
      const { act, reason, lookAtMs } = judge(findings)
      if (act === undefined) {
        if (lookAtMs !== undefined) this.#lookIn(Math.max(0, lookAtMs - findings.nowMs))
        await this.#witnessAgain()
        return
      }
      // What others know may lead to another judgement.
      if (await this.#meet()) continue
      await this.#decide(act, reason)
    }
  }

  #isActive(): boolean {
    return this.#deps.book.isActive(this.#known)
  }

  #verifyCounts(): void {
    if (this.#isActive()) return
    const message = "the plan does not count any more: another one has its channel"
    throw new RolloutError("ROLLOUT_STATE_WRONG", message)
  }

  /**
   * Learns from others, once in each start, what was decided before: a controller that was restored
   * from an older copy would decide another thing by a number that is taken. While nobody else is there
   * nothing is decided: nobody would hear it.
   * @returns whether it was the first time
   */
  async #meet(): Promise<boolean> {
    const { book, membership, compare } = this.#deps
    const isFirst = !this.#isMet
    const others = (membership.access()?.list.members.size ?? 0) - 1
    if (isFirst && others > 0 && (await compare(this.#known)) === 0) {
      const reason = "no other node has answered yet what was decided before"
      throw new RolloutError("ROLLOUT_STATE_WRONG", reason)
    }
    this.#isMet = true
    if (!book.isForked(this.#known)) return isFirst
    const reason = "two things were decided as one number: make the next version of the plan"
    throw new RolloutError("ROLLOUT_STATE_WRONG", reason)
  }

  async #actOf(act: ActByHand): Promise<Act> {
    if (act.kind === "rollback") return act
    return act.kind === "start" ? await this.#freeze() : { kind: act.kind }
  }

  /** The waves as they are now, kept before the decision that names them. */
  async #freeze(): Promise<Act> {
    const { membership, book, audience } = this.#deps
    const access = membership.access()
    if (access === undefined || access.isStale) {
      throw new RolloutError(
        "ROLLOUT_STATE_WRONG",
        "what is newest in the fleet is not known any more",
      )
    }
    const choice = rosterOf(this.#known.plan.said, access.list, audience(this.#known))
    const roster: Roster = { waves: choice.waves }
    if (rosterSize(roster) === 0) {
      throw new RolloutError("PLAN_INVALID", "no node of the fleet is in any wave")
    }
    const root = digestOfRaw(rosterRoot(roster))
    book.proposeRoster(this.#known.named.digest, encodeRoster(roster))
    return {
      kind: "start",
      roster: { root, size: rosterSize(roster) },
      access: access.list.version,
    }
  }

  async #decide(act: Act, reason: string): Promise<void> {
    const { book, membership, signer, self } = this.#deps
    const { plan, named } = this.#known
    await self?.verify()
    const view = book.view(this.#known)
    const nowMs = membership.nowMs()
    if (nowMs > plan.said.expiresAtMs) {
      throw new RolloutError("PLAN_EXPIRED", "the plan has ended: make its next version")
    }
    const draft = encodeDecision({
      fleet: plan.said.fleet,
      plan: named,
      index: view.count,
      previous: view.last,
      atMs: nowMs,
      act,
      reason: shortLine(reason),
    })
    const { envelope } = await signDraft(draft, [signer])
    if (book.witnesses() !== undefined) {
      await book.hold(named.digest, envelope)
      return
    }
    await this.#takeIn(envelope)
  }

  /** Goes on with what is about to be decided, also after a start. @returns whether there was any */
  async #goOn(): Promise<boolean> {
    const { book, membership } = this.#deps
    const isOver = membership.nowMs() > this.#known.plan.said.expiresAtMs || !this.#isActive()
    if (this.#isStopped || isOver || book.pending(this.#known) === undefined) return false
    await this.#meet()
    await this.#settle()
    return true
  }

  /** Has what is about to be decided witnessed; only then does anybody act on it. */
  async #settle(): Promise<void> {
    const { book, self } = this.#deps
    const pending = book.pending(this.#known)
    if (pending === undefined) return
    await self?.verify()
    const cosigned = await this.#cosigned([...book.digests(this.#known), pending.digest])
    const envelope = await book.takePending(this.#known.named.digest, cosigned)
    if (envelope !== undefined) await this.#deps.announce(this.#known, envelope)
  }

  /** Witnesses hear of a plan when their operators' nodes do: whoever decides by hand waits for that. */
  async #settlePatiently(): Promise<void> {
    const { clock } = this.#deps
    for (let tries = 1; ; tries++) {
      try {
        return await this.#settle()
      } catch (error) {
        const mayWait = codeOf(error) === "COSIGNATURES_MISSING" && tries < PATIENCE_COUNT
        if (!mayWait || this.#isStopped) throw error
        await new Promise<void>((resolve) => clock.after(RETRY_MS, () => resolve()))
      }
    }
  }

  async #takeIn(envelope: Uint8Array): Promise<void> {
    await this.#deps.book.takeDecision(this.#known.named.digest, envelope)
    await this.#deps.announce(this.#known, envelope)
  }

  /** @returns undefined where the fleet names no witness */
  async #cosigned(digests: readonly Digest[]): Promise<Uint8Array | undefined> {
    const { book, signer, witness } = this.#deps
    const list = book.witnesses()
    if (list === undefined || witness === undefined) return undefined
    return await witness(await signDecisionLog(decisionLogOf(this.#known), digests, signer), list)
  }

  /** Whoever comes later follows what counts by the list of then: it is cosigned by those as well. */
  async #witnessAgain(): Promise<void> {
    const { book, log } = this.#deps
    const digests = book.digests(this.#known)
    const isDone = book.witnesses() === undefined || digests.length === 0
    if (isDone || book.witnessedCount(this.#known) >= digests.length) return
    try {
      const cosigned = await this.#cosigned(digests)
      await book.takeDecisions(this.#known.named.digest, [], cosigned)
    } catch (error) {
      log.debug({ code: codeOf(error) }, "what was decided is not cosigned by the witnesses of now")
      this.#cancelAgain()
      this.#cancelAgain = this.#deps.clock.after(WITNESS_AGAIN_MS, () => this.look())
    }
  }

  #lookSoon(): void {
    this.#cancelSoon ??= this.#deps.clock.after(GATHER_MS, () => {
      this.#cancelSoon = undefined
      this.look()
    })
  }

  #lookIn(delayMs: number): void {
    this.#cancelLook()
    this.#cancelLook = this.#deps.clock.after(delayMs, () => this.look())
  }
}

function verifyReport(
  said: HealthReport,
  { plan, named }: KnownPlan,
  { roster, nowMs }: { readonly roster: Roster | undefined; readonly nowMs: number },
): void {
  if (!isSamePlan(said.plan, named)) throw invalid("it is about another plan")
  const place = roster && placeOf(roster, said.node)
  const expected = place ?? plan.said.waves.length
  if (said.wave !== expected) throw invalid(`its node is in wave ${expected}`)
  if (said.outcome === "waiting") verifyWaiting(said, plan.said, nowMs)
  if (said.outcome !== "healthy") return
  // Success names what runs: exactly what the plan says, in its order.
  const { releases } = plan.said
  const isRight =
    said.running.length === releases.length &&
    releases.every(({ digest }, index) => said.running[index]?.digest === digest)
  if (!isRight) throw invalid("it says that it is healthy, and runs something else")
}

/** Whoever waits is not silent: it waits for a window, and none is closed for so long. */
function verifyWaiting({ opensAtMs = 0 }: HealthReport, { window }: Plan, nowMs: number): void {
  if (window === undefined) throw invalid("it waits for a window, and the plan has none")
  if (opensAtMs > nowMs + OPENS_IN_MS_MAX) throw invalid("its window opens in more than 17 days")
}

function invalid(reason: string): RolloutError {
  return new RolloutError("REPORT_INVALID", `the report is refused: ${reason}`)
}
