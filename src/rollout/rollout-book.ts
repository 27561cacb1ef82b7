/**
 * The plans that a node has accepted, and what their controllers decided: read from the fleet's files
 * and from peers, kept on the disk (protocol/rollout.md §5, accepting a plan, following decisions).
 * @module
 */
import { type Digest, digestOf, digestOfRaw } from "../core/digest.ts"
import { codeOf, messageOf } from "../core/errors.ts"
import type { Logger } from "../core/log.ts"
import { Serial } from "../core/serial.ts"
import type { Membership, RoleHolders } from "../fleet/fleet.ts"
import { keysInside } from "../release/evidence.ts"
import type { Signed } from "../release/signed.ts"
import { PLAN_ROLE } from "../trust/tuf/fleet-role.ts"
import type { AcceptedTarget, SignedTarget } from "../trust/tuf/tuf-client.ts"
import type { WitnessList } from "../trust/witness-list.ts"
import { type Decision, readDecision } from "./decision.ts"
import { decisionLogOf, unwitnessed, verifyWitnessed } from "./decision-log.ts"
import { RolloutError } from "./errors.ts"
import type { Plan } from "./plan.ts"
import { planOfPath } from "./plan-path.ts"
import { readPlan } from "./plan-statement.ts"
import { isSamePlan, type NamedPlan } from "./plan-subject.ts"
import type { RolloutFiles } from "./rollout-files.ts"
import { follow, type RolloutView, UNDECIDED } from "./rollout-view.ts"
import { parseRoster, type Roster, rosterRoot, rosterSize } from "./roster.ts"

/** Plans of a node that are kept; those that are over go first. */
export const PLANS_KEPT_MAX = 64
/** Listed files that are not read again; of more all are. */
const REFUSED_MAX = 256

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

/** One plan with all that is known of it. */
interface Entry extends KnownPlan {
  /** Digest of the envelope. */
  readonly file: Digest
  readonly decisions: Uint8Array[]
  /** Of their statements. */
  readonly digests: Digest[]
  /** The newest checkpoint of them that enough witnesses have cosigned. */
  cosigned: Uint8Array | undefined
  witnessed: Witnessed | undefined
  /** What its controller, this node, is about to decide. */
  pending: HeldDecision | undefined
  view: RolloutView
  roster: Roster | undefined
  /** As others are given it. */
  rosterBytes: Uint8Array | undefined
  /** The roster that a start is about to name, at its controller. */
  proposed: Uint8Array | undefined
  /** Whether the fleet lists it now. */
  isListed: boolean
  /** Whether its controller has decided two things as one number: one of them was a copy's. */
  isForked: boolean
}

/** What a node is about to decide by its plan. */
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

export interface RolloutBookDeps {
  readonly membership: Membership
  readonly files: RolloutFiles
  readonly log: Logger
  /** The witnesses that the newest list names; undefined: none. */
  readonly witnesses?: (() => WitnessList | undefined) | undefined
  /** Told of each decision, and of each statement of a controller that does not follow. */
  readonly onDecision?: ((taken: TakenDecision) => void) | undefined
  readonly onConflict?: ((known: KnownPlan, reason: string) => void) | undefined
  /** Ends what is done by a plan that is forgotten; its files are removed when it resolves. */
  readonly onDropped?: ((known: KnownPlan) => Promise<void>) | undefined
}

export class RolloutBook {
  readonly #deps: RolloutBookDeps
  readonly #entries = new Map<Digest, Entry>()
  readonly #turns = new Serial<"book">()
  readonly #listeners = new Set<() => void>()
  /** Listed files that were read and do not count, by all that it was judged by. */
  readonly #refused = new Set<string>()

  /** Opens what is kept; a plan whose files are broken is left out, and told. */
  static async open(deps: RolloutBookDeps): Promise<RolloutBook> {
    const book = new RolloutBook(deps)
    for (const digest of await deps.files.plans()) await book.#load(digest)
    // What counted before the node was stopped goes on without a look at anybody else's files.
    const { membership } = deps
    for (const target of membership.targets()) {
      const entry = book.#keptAs(target)
      if (entry !== undefined) entry.isListed = true
    }
    return book
  }

  private constructor(deps: RolloutBookDeps) {
    this.#deps = deps
  }

  /** Every plan, the one that was made last first. */
  plans(): readonly KnownPlan[] {
    return [...this.#entries.values()].toSorted(byAge)
  }

  /**
   * The plans that count: of each channel the one that was made last, while the fleet lists it. When it
   * is listed no more none of before comes back: what is active never falls.
   */
  active(): readonly KnownPlan[] {
    const channels = new Map<string, Entry>()
    for (const entry of this.#entries.values()) {
      const { channel } = entry.plan.said
      const other = channels.get(channel)
      if (other === undefined || byAge(entry, other) < 0) channels.set(channel, entry)
    }
    return [...channels.values()].filter(({ isListed }) => isListed).toSorted(byAge)
  }

  /** Whether a plan is one of those that count. */
  isActive({ named }: KnownPlan): boolean {
    return this.active().some((known) => known.named.digest === named.digest)
  }

  /** @param version - undefined: the newest */
  find(name: string, version?: number): KnownPlan | undefined {
    const isIt = ({ said }: Signed<Plan>) =>
      said.name === name && (version === undefined || said.version === version)
    return [...this.#entries.values()]
      .filter(({ plan }) => isIt(plan))
      .toSorted((one, other) => other.plan.said.version - one.plan.said.version)[0]
  }

  get(digest: Digest): KnownPlan | undefined {
    return this.#entries.get(digest)
  }

  view({ named }: KnownPlan): RolloutView {
    return this.#entries.get(named.digest)?.view ?? UNDECIDED
  }

  /** Whether its controller was found to have decided two things as one number. */
  isForked({ named }: KnownPlan): boolean {
    return this.#entries.get(named.digest)?.isForked ?? false
  }

  /** Envelopes of decisions, from one on. */
  decisions(digest: Digest, from = 0): readonly Uint8Array[] {
    return this.#entries.get(digest)?.decisions.slice(from) ?? []
  }

  /** The newest checkpoint of a plan's decisions that enough witnesses have cosigned. */
  cosigned(digest: Digest): Uint8Array | undefined {
    return this.#entries.get(digest)?.cosigned
  }

  /** The witnesses that decisions must be cosigned by now; undefined: the fleet names none. */
  witnesses(): WitnessList | undefined {
    return this.#deps.witnesses?.()
  }

  /** Gives the plan whose decisions are in the log of this name. */
  logged(origin: string): KnownPlan | undefined {
    return [...this.#entries.values()].find((known) => decisionLogOf(known).origin === origin)
  }

  /** How many of a plan's decisions are cosigned by enough of the witnesses of now. */
  witnessedCount({ named }: KnownPlan): number {
    const entry = this.#entries.get(named.digest)
    const list = this.witnesses()
    if (entry?.cosigned === undefined || list === undefined) return 0
    const { cosigned, digests, witnessed } = entry
    const isSame =
      witnessed?.list === list &&
      witnessed.cosigned === cosigned &&
      witnessed.known === digests.length
    if (isSame) return witnessed.count
    // None where the list names others than those who have.
    const count = this.#coveredBy(entry, cosigned, list) ?? 0
    entry.witnessed = { list, cosigned, known: digests.length, count }
    return count
  }

  /** @returns how many of the decisions are cosigned; undefined when it does not count */
  #coveredBy(entry: Entry, cosigned: Uint8Array, list: WitnessList): number | undefined {
    try {
      return verifyWitnessed(cosigned, {
        log: decisionLogOf(entry),
        list,
        digests: entry.digests,
      })
    } catch {
      return undefined
    }
  }

  /** The decision that this node, the controller, is about to make; it stays that until it is made. */
  pending({ named }: KnownPlan): Signed<Decision> | undefined {
    return this.#entries.get(named.digest)?.pending?.decision
  }

  /** Digests of the statements of a plan's decisions, in order. */
  digests({ named }: KnownPlan): readonly Digest[] {
    return this.#entries.get(named.digest)?.digests ?? []
  }

  /**
   * Holds what this node is about to decide, durably, with the roster that was proposed for it: after a
   * crash the same goes on, and never another decision by its number.
   */
  async hold(digest: Digest, envelope: Uint8Array): Promise<void> {
    await this.#turns.run("book", async () => {
      const entry = this.#known(digest)
      const decision = readDecision(envelope, entry.plan.said)
      await this.#deps.files.writePending(digest, { envelope, roster: entry.proposed })
      entry.pending = { decision, envelope }
    })
  }

  /** Takes the decision in that was held. @throws as {@link takeDecision} */
  async takePending(digest: Digest, cosigned?: Uint8Array): Promise<Uint8Array | undefined> {
    const envelope = this.#known(digest).pending?.envelope
    if (envelope !== undefined) await this.takeDecision(digest, envelope, cosigned)
    return envelope
  }

  /** Who is in which wave; undefined before it is known here. */
  roster({ named }: KnownPlan): Roster | undefined {
    return this.#entries.get(named.digest)?.roster
  }

  /** The same, as bytes. */
  rosterBytes(digest: Digest): Uint8Array | undefined {
    return this.#entries.get(digest)?.rosterBytes
  }

  /** Called after whatever has changed. @returns the way to hear no more */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** Reads what the fleet lists now. What cannot be read now is tried again the next time. */
  async refresh(): Promise<void> {
    await this.#turns.run("book", async () => {
      const targets = this.#deps.membership.targets()
      const listed = targets.filter(({ path }) => planOfPath(path) !== undefined)
      const digests = new Set<Digest>()
      for (const target of listed) {
        const digest = await this.#accept(target)
        if (digest !== undefined) digests.add(digest)
      }
      let isChanged = false
      for (const [digest, entry] of this.#entries) {
        if (entry.isListed !== digests.has(digest)) isChanged = true
        entry.isListed = digests.has(digest)
      }
      await this.#dropSurplus()
      if (isChanged) this.#tell()
    })
  }

  /**
   * Takes in a decision of a plan, from whomever it came.
   * @param cosigned - the checkpoint that witnesses have cosigned
   * @returns false when it is known already, or is one that later ones follow
   * @throws as {@link takeDecisions}
   */
  async takeDecision(
    digest: Digest,
    envelope: Uint8Array,
    cosigned?: Uint8Array,
  ): Promise<boolean> {
    return (await this.takeDecisions(digest, [envelope], cosigned)) > 0
  }

  /**
   * Takes in decisions of a plan, in their order: as many as follow, and as enough witnesses have cosigned
   * where the newest list names any.
   * @param cosigned - the checkpoint that covers them
   * @returns how many were new
   * @throws {@link RolloutError} `PLAN_NOT_FOUND`, `DECISION_INVALID`, `DECISION_CONFLICT`,
   * `DECISION_UNWITNESSED`; TrustError as `readDecision`; after those before it were taken in
   */
  async takeDecisions(
    digest: Digest,
    envelopes: readonly Uint8Array[],
    cosigned?: Uint8Array,
  ): Promise<number> {
    return await this.#turns.run("book", async () => {
      const entry = this.#known(digest)
      const { next, fault } = this.#following(entry, envelopes)
      const size = this.#witnessedSize(entry, next, cosigned)
      const count = size === undefined ? next.length : size - entry.digests.length
      const { length: before } = entry.digests
      try {
        for (const one of next.slice(0, count)) await this.#take(entry, one)
        await this.#keepCosigned(entry, cosigned, size)
      } finally {
        // What was taken in stands, whatever could not be written after it.
        if (entry.digests.length > before) this.#tell()
      }
      if (fault !== undefined) throw fault.error
      return count
    })
  }

  /** Reads decisions up to the first that does not follow. */
  #following(
    entry: Entry,
    envelopes: readonly Uint8Array[],
  ): { readonly next: readonly Next[]; readonly fault?: { readonly error: unknown } } {
    const next: Next[] = []
    try {
      for (const envelope of envelopes) {
        const one = this.#nextOf(entry, next.at(-1)?.view ?? entry.view, envelope)
        if (one !== undefined) next.push(one)
      }
      return { next }
    } catch (error) {
      return { next, fault: { error } }
    }
  }

  /** @returns undefined when it is known already */
  #nextOf(entry: Entry, view: RolloutView, envelope: Uint8Array): Next | undefined {
    // Most that comes is here, and a signature costs milliseconds: a controller is told its own last word
    // by everybody who connects.
    if (entry.decisions.some((one) => isEqual(one, envelope))) return undefined
    const { controller, fleet } = entry.plan.said
    const decision = readDecision(envelope, { controller, fleet })
    const { index } = decision.said
    const kept = entry.digests[index]
    if (kept !== undefined) {
      if (kept === decision.digest) return undefined
      throw this.#conflict(entry, index)
    }
    // Another one than ours came before it.
    const isNext = isSamePlan(decision.said.plan, entry.named) && index === view.count
    if (isNext && decision.said.previous !== view.last) throw this.#conflict(entry, index - 1)
    const { plan, named } = entry
    return { decision, envelope, view: follow(view, decision, { plan: plan.said, named }) }
  }

  /**
   * Gives how many decisions are cosigned, with those that come next.
   * @returns undefined when that is not asked for
   * @throws {@link RolloutError} when none of those that come next is
   */
  #witnessedSize(
    entry: Entry,
    next: readonly Next[],
    cosigned: Uint8Array | undefined,
  ): number | undefined {
    const list = this.witnesses()
    // What was followed stays followed: the list of now is asked of what is new.
    if (list === undefined || next.length === 0) return undefined
    const digests = [...entry.digests, ...next.map(({ decision }) => decision.digest)]
    const size = verifyWitnessed(cosigned, { log: decisionLogOf(entry), list, digests })
    if (size > entry.digests.length) return size
    throw unwitnessed(`${size} decisions are cosigned, and it comes after them`)
  }

  async #take(entry: Entry, { decision, envelope, view }: Next): Promise<void> {
    const { proposed } = entry
    // Who knows that a rollout is started can be asked who is in which wave.
    if (proposed !== undefined && decision.said.act.kind === "start") {
      await this.#keepRoster(entry, proposed, view)
    }
    const { digest } = entry.named
    await this.#deps.files.writeDecision(digest, decision.said.index, envelope)
    entry.view = view
    entry.decisions.push(envelope)
    entry.digests.push(decision.digest)
    // What was held is of this number: it was decided, or is not any more.
    entry.pending = undefined
    this.#deps.onDecision?.({ known: entry, decision, envelope })
  }

  /**
   * Keeps a checkpoint that covers more, or counts where the one that is kept does not.
   * @param found - how many decisions it covers, where that is known
   */
  async #keepCosigned(
    entry: Entry,
    cosigned: Uint8Array | undefined,
    found: number | undefined,
  ): Promise<void> {
    const list = this.witnesses()
    const isSame = entry.cosigned !== undefined && isEqual(entry.cosigned, cosigned)
    if (list === undefined || cosigned === undefined || isSame) return
    const size = found ?? this.#coveredBy(entry, cosigned, list)
    // By one that does not count nothing was taken in: it is of no use to others either.
    if (size === undefined || size <= this.witnessedCount(entry)) return
    await this.#deps.files.writeCosigned(entry.named.digest, cosigned)
    entry.cosigned = cosigned
  }

  /** Keeps a roster that is the one which the start names. @throws {@link RolloutError} `ROSTER_INVALID` */
  async takeRoster(digest: Digest, bytes: Uint8Array): Promise<void> {
    await this.#turns.run("book", async () => {
      const entry = this.#known(digest)
      if (entry.roster !== undefined) return
      await this.#keepRoster(entry, bytes, entry.view)
      this.#tell()
    })
  }

  /** Holds the roster that the next decision, a start, will name. */
  proposeRoster(digest: Digest, bytes: Uint8Array): void {
    this.#known(digest).proposed = bytes
  }

  async #keepRoster(entry: Entry, bytes: Uint8Array, view: RolloutView): Promise<void> {
    const roster = parseRoster(bytes, entry.plan.said.waves.length)
    verifyRoster(roster, view)
    await this.#deps.files.writeRoster(entry.named.digest, bytes)
    entry.roster = roster
    entry.rosterBytes = bytes
    entry.proposed = undefined
  }

  #known(digest: Digest): Entry {
    const entry = this.#entries.get(digest)
    if (entry !== undefined) return entry
    throw new RolloutError("PLAN_NOT_FOUND", "no such plan was accepted here")
  }

  #conflict(entry: Entry, index: number): RolloutError {
    const reason = `the controller decided two things as number ${index}`
    entry.isForked = true
    this.#deps.onConflict?.(entry, reason)
    return new RolloutError("DECISION_CONFLICT", reason)
  }

  /** Gives the plan that is kept of a listed file. */
  #keptAs({ path, sha256 }: SignedTarget): Entry | undefined {
    const listed = planOfPath(path)
    if (listed === undefined || sha256 === undefined) return undefined
    return [...this.#entries.values()].find(
      ({ named: { name, version }, file }) =>
        name === listed.name && version === listed.version && file === `sha256:${sha256}`,
    )
  }

  /** Accepts a listed plan. @returns its digest; undefined when it cannot count */
  async #accept(target: SignedTarget): Promise<Digest | undefined> {
    // It was read once: that it cannot be read now changes nothing.
    return this.#keptAs(target)?.named.digest ?? (await this.#acceptNew(target))
  }

  async #acceptNew({ path, sha256 }: SignedTarget): Promise<Digest | undefined> {
    const { membership, files, log } = this.#deps
    const holders = membership.roleHolders(PLAN_ROLE)
    if (holders === undefined) return undefined
    const judged = [path, sha256, holders.threshold, ...[...holders.keys].toSorted()].join(" ")
    if (this.#refused.has(judged)) return undefined
    try {
      const target = await membership.readTarget(path)
      if (target === undefined) return undefined
      const plan = this.#readListed(target, holders, judged)
      if (this.#entries.has(plan.digest)) return plan.digest
      await files.writePlan(plan.digest, target.bytes)
      this.#add(plan, target.bytes)
      return plan.digest
    } catch (error) {
      log.warn({ path, code: codeOf(error), error: messageOf(error) }, "a plan does not count")
      return undefined
    }
  }

  #readListed(
    { path, bytes }: AcceptedTarget,
    { keys, threshold }: RoleHolders,
    judged: string,
  ): Signed<Plan> {
    try {
      const plan = readPlan(bytes, { keys, fleet: this.#deps.membership.fleet })
      verifyListed(plan, path, threshold)
      if (!this.#entries.has(plan.digest)) this.#verifyNewest(plan)
      return plan
    } catch (error) {
      if (this.#refused.size >= REFUSED_MAX) this.#refused.clear()
      this.#refused.add(judged)
      throw error
    }
  }

  #verifyNewest({ said }: Signed<Plan>): void {
    const newest = this.find(said.name)?.named.version ?? 0
    if (said.version > newest) return
    const message = `version ${said.version} of ${said.name}: version ${newest} was accepted before`
    throw new RolloutError("PLAN_ROLLBACK", message)
  }

  async #load(digest: Digest): Promise<void> {
    const { files, membership, log } = this.#deps
    try {
      const envelope = await files.plan(digest)
      if (envelope === undefined) return
      // Who might sign was looked at when it came in; the role may have other keys by now.
      const plan = readPlan(envelope, { keys: keysInside(envelope), fleet: membership.fleet })
      const entry = this.#add(plan, envelope)
      const { controller, fleet } = plan.said
      for (const kept of await files.decisions(digest)) {
        const decision = readDecision(kept, { controller, fleet })
        entry.view = follow(entry.view, decision, { plan: plan.said, named: entry.named })
        entry.decisions.push(kept)
        entry.digests.push(decision.digest)
      }
      entry.cosigned = await files.cosigned(digest)
      await this.#loadPending(entry)
      const bytes = await files.roster(digest)
      if (bytes === undefined || entry.view.roster === undefined) return
      const roster = parseRoster(bytes, plan.said.waves.length)
      verifyRoster(roster, entry.view)
      entry.roster = roster
      entry.rosterBytes = bytes
    } catch (error) {
      const fields = { plan: digest, code: codeOf(error), error: messageOf(error) }
      log.error(fields, "what is kept of a rollout is broken: it is asked for again")
    }
  }

  async #loadPending(entry: Entry): Promise<void> {
    const held = await this.#deps.files.pending(entry.named.digest)
    if (held === undefined) return
    const { envelope, roster } = held
    const decision = readDecision(envelope, entry.plan.said)
    const { index, act } = decision.said
    if (index !== entry.view.count) return
    entry.pending = { decision, envelope }
    if (act.kind === "start") entry.proposed = roster
  }

  #add(plan: Signed<Plan>, envelope: Uint8Array): Entry {
    const { name, version } = plan.said
    const entry: Entry = {
      plan,
      named: { name, version, digest: plan.digest },
      envelope,
      decisions: [],
      digests: [],
      cosigned: undefined,
      witnessed: undefined,
      pending: undefined,
      view: UNDECIDED,
      roster: undefined,
      rosterBytes: undefined,
      proposed: undefined,
      isListed: false,
      isForked: false,
      file: digestOf(envelope),
    }
    this.#entries.set(plan.digest, entry)
    return entry
  }

  async #dropSurplus(): Promise<void> {
    const old = [...this.#entries.values()].filter(({ isListed }) => !isListed).toSorted(byAge)
    const surplus = this.#entries.size - PLANS_KEPT_MAX
    if (surplus <= 0) return
    for (const entry of old.slice(-surplus)) {
      const { digest } = entry.named
      this.#entries.delete(digest)
      await this.#deps.onDropped?.(entry)
      await this.#deps.files.removePlan(digest)
    }
  }

  #tell(): void {
    for (const listener of [...this.#listeners]) listener()
  }
}

function isEqual(one: Uint8Array, other: Uint8Array | undefined): boolean {
  return other !== undefined && Buffer.compare(one, other) === 0
}

/** The one that was made last first; of two at one moment every node takes the same. */
function byAge({ plan: one }: KnownPlan, { plan: other }: KnownPlan): number {
  const age = other.said.createdAtMs - one.said.createdAtMs
  if (age !== 0) return age
  return one.digest < other.digest ? -1 : 1
}

function verifyListed({ said, signers }: Signed<Plan>, path: string, threshold: number): void {
  const listed = planOfPath(path)
  if (listed?.name !== said.name || listed.version !== said.version) {
    throw new RolloutError("PLAN_INVALID", `the plan is listed as ${path} and is another one`)
  }
  if (signers.size >= threshold) return
  const message = `${signers.size} keys of the plan role have signed it, ${threshold} must`
  throw new RolloutError("PLAN_INVALID", message)
}

function verifyRoster(roster: Roster, { roster: named }: RolloutView): void {
  const isNamed =
    named !== undefined &&
    rosterSize(roster) === named.size &&
    digestOfRaw(rosterRoot(roster)) === named.root
  if (!isNamed) throw new RolloutError("ROSTER_INVALID", "it is not the roster that was frozen")
}
