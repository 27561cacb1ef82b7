/**
 * One plan with what its controller has decided, and who is in which wave: read once, followed in order,
 * kept on the disk (protocol/rollout.md §5, following decisions).
 * @module
 */
import { type Digest, digestOf, digestOfRaw } from "../core/digest.ts"
import type { Signed } from "../release/signed.ts"
import type { WitnessList } from "../trust/witness-list.ts"
import { type Decision, readDecision } from "./decision.ts"
import { decisionLogOf, unwitnessed, verifyWitnessed } from "./decision-log.ts"
import { RolloutError } from "./errors.ts"
import type { Plan } from "./plan.ts"
import { isSamePlan, type NamedPlan } from "./plan-subject.ts"
import type { RolloutFiles } from "./rollout-files.ts"
import { follow, type RolloutView, UNDECIDED } from "./rollout-view.ts"
import { parseRoster, type Roster, rosterRoot, rosterSize } from "./roster.ts"

/** A plan that this node has accepted. */
export interface KnownPlan {
  readonly plan: Signed<Plan>
  readonly named: NamedPlan
  readonly envelope: Uint8Array
}

/** A decision that was taken in. */
export interface TakenDecision {
  readonly known: KnownPlan
  readonly decision: Signed<Decision>
  readonly envelope: Uint8Array
}

/** A decision that its controller, this node, is about to make. */
interface HeldDecision {
  readonly decision: Signed<Decision>
  readonly envelope: Uint8Array
}

/** How many decisions are cosigned, as long as all that it was found by is the same. */
interface Witnessed {
  readonly list: WitnessList
  readonly cosigned: Uint8Array
  readonly known: number
  readonly count: number
}

/** A decision that follows, and what is so after it. */
interface Next {
  readonly decision: Signed<Decision>
  readonly envelope: Uint8Array
  readonly view: RolloutView
}

export interface PlanRecordDeps {
  readonly files: RolloutFiles
  /** The witnesses that the newest list names; undefined: none. */
  readonly witnesses?: (() => WitnessList | undefined) | undefined
  /** Told of each decision, and of each statement of a controller that does not follow. */
  readonly onDecision?: ((taken: TakenDecision) => void) | undefined
  readonly onConflict?: ((known: KnownPlan, reason: string) => void) | undefined
}

/** All that is known of one plan. Whoever changes it lets one change end before the next begins. */
export class PlanRecord implements KnownPlan {
  readonly plan: Signed<Plan>
  readonly named: NamedPlan
  readonly envelope: Uint8Array
  /** Digest of the envelope. */
  readonly file: Digest
  /** Whether the fleet lists it now. */
  isListed = false
  readonly #deps: PlanRecordDeps
  readonly #decisions: Uint8Array[] = []
  /** Of the decisions' statements. */
  readonly #digests: Digest[] = []
  #view: RolloutView = UNDECIDED
  #cosigned: Uint8Array | undefined
  #witnessed: Witnessed | undefined
  #pending: HeldDecision | undefined
  #roster: Roster | undefined
  #rosterBytes: Uint8Array | undefined
  #proposed: Uint8Array | undefined
  #isForked = false

  constructor(deps: PlanRecordDeps, plan: Signed<Plan>, envelope: Uint8Array) {
    this.#deps = deps
    this.plan = plan
    const { name, version } = plan.said
    this.named = { name, version, digest: plan.digest }
    this.envelope = envelope
    this.file = digestOf(envelope)
  }

  /** Reads what is kept. @throws whatever is wrong with it; what was read before that stands */
  async recall(): Promise<void> {
    const { files } = this.#deps
    const { digest } = this.named
    const { said: plan } = this.plan
    for (const kept of await files.decisions(digest)) {
      const decision = readDecision(kept, plan)
      this.#view = follow(this.#view, decision, { plan, named: this.named })
      this.#decisions.push(kept)
      this.#digests.push(decision.digest)
    }
    this.#cosigned = await files.cosigned(digest)
    await this.#recallPending()
    const bytes = await files.roster(digest)
    if (bytes === undefined || this.#view.roster === undefined) return
    const roster = parseRoster(bytes, plan.waves.length)
    verifyRoster(roster, this.#view)
    this.#roster = roster
    this.#rosterBytes = bytes
  }

  async #recallPending(): Promise<void> {
    const held = await this.#deps.files.pending(this.named.digest)
    if (held === undefined) return
    const { envelope, roster } = held
    const decision = readDecision(envelope, this.plan.said)
    const { index, act } = decision.said
    if (index !== this.#view.count) return
    this.#pending = { decision, envelope }
    if (act.kind === "start") this.#proposed = roster
  }

  get view(): RolloutView {
    return this.#view
  }

  /** Envelopes, in order. */
  get decisions(): readonly Uint8Array[] {
    return this.#decisions
  }

  /** Of the decisions' statements, in order. */
  get digests(): readonly Digest[] {
    return this.#digests
  }

  /** Whether its controller has decided two things as one number: one of them was a copy's. */
  get isForked(): boolean {
    return this.#isForked
  }

  /** The newest checkpoint of its decisions that enough witnesses have cosigned. */
  get cosigned(): Uint8Array | undefined {
    return this.#cosigned
  }

  /** What its controller, this node, is about to decide; it stays that until it is decided. */
  get pending(): HeldDecision | undefined {
    return this.#pending
  }

  /** Who is in which wave; undefined before it is known here. */
  get roster(): Roster | undefined {
    return this.#roster
  }

  /** The same, as others are given it. */
  get rosterBytes(): Uint8Array | undefined {
    return this.#rosterBytes
  }

  /** How many of the decisions are cosigned by enough of the witnesses of now. */
  get witnessedCount(): number {
    const list = this.#deps.witnesses?.()
    const cosigned = this.#cosigned
    if (cosigned === undefined || list === undefined) return 0
    const { length: known } = this.#digests
    const found = this.#witnessed
    const isSame = found?.list === list && found.cosigned === cosigned && found.known === known
    if (isSame) return found.count
    // None where the list names others than those who have.
    const count = this.#coveredBy(cosigned, list) ?? 0
    this.#witnessed = { list, cosigned, known, count }
    return count
  }

  /** @returns how many of the decisions are cosigned; undefined when it does not count */
  #coveredBy(cosigned: Uint8Array, list: WitnessList): number | undefined {
    try {
      return verifyWitnessed(cosigned, { log: decisionLogOf(this), list, digests: this.#digests })
    } catch {
      return undefined
    }
  }

  /**
   * Holds what this node is about to decide, durably, with the roster that was proposed for it: after a
   * crash the same goes on, and never another decision by its number.
   */
  async hold(envelope: Uint8Array): Promise<void> {
    const decision = readDecision(envelope, this.plan.said)
    await this.#deps.files.writePending(this.named.digest, { envelope, roster: this.#proposed })
    this.#pending = { decision, envelope }
  }

  /** Holds the roster that the next decision, a start, will name. */
  propose(roster: Uint8Array): void {
    this.#proposed = roster
  }

  /**
   * Keeps a roster that is the one which the start names.
   * @returns false when it is known already
   * @throws {@link RolloutError} `ROSTER_INVALID`
   */
  async takeRoster(bytes: Uint8Array): Promise<boolean> {
    if (this.#roster !== undefined) return false
    await this.#keepRoster(bytes, this.#view)
    return true
  }

  async #keepRoster(bytes: Uint8Array, view: RolloutView): Promise<void> {
    const roster = parseRoster(bytes, this.plan.said.waves.length)
    verifyRoster(roster, view)
    await this.#deps.files.writeRoster(this.named.digest, bytes)
    this.#roster = roster
    this.#rosterBytes = bytes
    this.#proposed = undefined
  }

  /**
   * Takes in decisions, in their order: as many as follow, and as enough witnesses have cosigned where the
   * newest list names any.
   * @param cosigned - the checkpoint that covers them
   * @returns how many were new
   * @throws {@link RolloutError} `DECISION_INVALID`, `DECISION_CONFLICT`, `DECISION_UNWITNESSED`;
   * TrustError as `readDecision`; after those before it were taken in
   */
  async takeDecisions(envelopes: readonly Uint8Array[], cosigned?: Uint8Array): Promise<number> {
    const { next, fault } = this.#following(envelopes)
    const size = this.#witnessedSize(next, cosigned)
    const count = size === undefined ? next.length : size - this.#digests.length
    for (const one of next.slice(0, count)) await this.#take(one)
    await this.#keepCosigned(cosigned, size)
    if (fault !== undefined) throw fault.error
    return count
  }

  /** Reads decisions up to the first that does not follow. */
  #following(envelopes: readonly Uint8Array[]): {
    readonly next: readonly Next[]
    readonly fault?: { readonly error: unknown }
  } {
    const next: Next[] = []
    try {
      for (const envelope of envelopes) {
        const one = this.#nextOf(next.at(-1)?.view ?? this.#view, envelope)
        if (one !== undefined) next.push(one)
      }
      return { next }
    } catch (error) {
      return { next, fault: { error } }
    }
  }

  /** @returns undefined when it is known already */
  #nextOf(view: RolloutView, envelope: Uint8Array): Next | undefined {
    // Most that comes is here, and a signature costs milliseconds: a controller is told its own last word
    // by everybody who connects.
    if (this.#decisions.some((one) => isEqual(one, envelope))) return undefined
    const { named } = this
    const { said: plan } = this.plan
    const decision = readDecision(envelope, plan)
    const { index } = decision.said
    const kept = this.#digests[index]
    if (kept !== undefined) {
      if (kept === decision.digest) return undefined
      throw this.#conflict(index)
    }
    // Another one than ours came before it.
    const isNext = isSamePlan(decision.said.plan, named) && index === view.count
    if (isNext && decision.said.previous !== view.last) throw this.#conflict(index - 1)
    return { decision, envelope, view: follow(view, decision, { plan, named }) }
  }

  /**
   * Gives how many decisions are cosigned, with those that come next.
   * @returns undefined when that is not asked for
   * @throws {@link RolloutError} when none of those that come next is
   */
  #witnessedSize(next: readonly Next[], cosigned: Uint8Array | undefined): number | undefined {
    const list = this.#deps.witnesses?.()
    // What was followed stays followed: the list of now is asked of what is new.
    if (list === undefined || next.length === 0) return undefined
    const digests = [...this.#digests, ...next.map(({ decision }) => decision.digest)]
    const size = verifyWitnessed(cosigned, { log: decisionLogOf(this), list, digests })
    if (size > this.#digests.length) return size
    throw unwitnessed(`${size} decisions are cosigned, and it comes after them`)
  }

  async #take({ decision, envelope, view }: Next): Promise<void> {
    const proposed = this.#proposed
    // Who knows that a rollout is started can be asked who is in which wave.
    if (proposed !== undefined && decision.said.act.kind === "start") {
      await this.#keepRoster(proposed, view)
    }
    await this.#deps.files.writeDecision(this.named.digest, decision.said.index, envelope)
    this.#view = view
    this.#decisions.push(envelope)
    this.#digests.push(decision.digest)
    // What was held is of this number: it was decided, or is not any more.
    this.#pending = undefined
    this.#deps.onDecision?.({ known: this, decision, envelope })
  }

  /**
   * Keeps a checkpoint that covers more, or counts where the one that is kept does not.
   * @param found - how many decisions it covers, where that is known
   */
  async #keepCosigned(cosigned: Uint8Array | undefined, found: number | undefined): Promise<void> {
    const list = this.#deps.witnesses?.()
    const isSame = this.#cosigned !== undefined && isEqual(this.#cosigned, cosigned)
    if (list === undefined || cosigned === undefined || isSame) return
    const size = found ?? this.#coveredBy(cosigned, list)
    // By one that does not count nothing was taken in: it is of no use to others either.
    if (size === undefined || size <= this.witnessedCount) return
    await this.#deps.files.writeCosigned(this.named.digest, cosigned)
    this.#cosigned = cosigned
  }

  #conflict(index: number): RolloutError {
    const reason = `the controller decided two things as number ${index}`
    this.#isForked = true
    this.#deps.onConflict?.(this, reason)
    return new RolloutError("DECISION_CONFLICT", reason)
  }
}

function isEqual(one: Uint8Array, other: Uint8Array | undefined): boolean {
  return other !== undefined && Buffer.compare(one, other) === 0
}

function verifyRoster(roster: Roster, { roster: named }: RolloutView): void {
  const isNamed =
    named !== undefined &&
    rosterSize(roster) === named.size &&
    digestOfRaw(rosterRoot(roster)) === named.root
  if (!isNamed) throw new RolloutError("ROSTER_INVALID", "it is not the roster that was frozen")
}
