/**
 * The plans that a node has accepted, and what their controllers decided: read from the fleet's files
 * and from peers, kept on the disk (protocol/rollout.md §5, accepting a plan, following decisions).
 * @module
 */
import type { Digest } from "../core/digest.ts"
import { codeOf, messageOf } from "../core/errors.ts"
import type { Logger } from "../core/log.ts"
import { Serial } from "../core/serial.ts"
import type { Membership, RoleHolders } from "../fleet/fleet.ts"
import { keysInside } from "../release/evidence.ts"
import type { Signed } from "../release/signed.ts"
import { PLAN_ROLE } from "../trust/tuf/fleet-role.ts"
import type { AcceptedTarget, SignedTarget } from "../trust/tuf/tuf-client.ts"
import type { WitnessList } from "../trust/witness-list.ts"
import type { Decision } from "./decision.ts"
import { decisionLogOf } from "./decision-log.ts"
import { RolloutError } from "./errors.ts"
import type { Plan } from "./plan.ts"
import { planOfPath } from "./plan-path.ts"
import { type KnownPlan, PlanRecord, type PlanRecordDeps } from "./plan-record.ts"
import { readPlan } from "./plan-statement.ts"
import { type RolloutView, UNDECIDED } from "./rollout-view.ts"
import type { Roster } from "./roster.ts"

/** Plans of a node that are kept; those that are over go first. */
export const PLANS_KEPT_MAX = 64
/** Listed files that are not read again; of more all are. */
const REFUSED_MAX = 256

export interface RolloutBookDeps extends PlanRecordDeps {
  readonly membership: Membership
  readonly log: Logger
  /** Ends what is done by a plan that is forgotten; its files are removed when it resolves. */
  readonly onDropped?: ((known: KnownPlan) => Promise<void>) | undefined
}

export class RolloutBook {
  readonly #deps: RolloutBookDeps
  readonly #records = new Map<Digest, PlanRecord>()
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
      const record = book.#keptAs(target)
      if (record !== undefined) record.isListed = true
    }
    return book
  }

  private constructor(deps: RolloutBookDeps) {
    this.#deps = deps
  }

  /** Every plan, the one that was made last first. */
  plans(): readonly KnownPlan[] {
    return [...this.#records.values()].toSorted(byAge)
  }

  /**
   * The plans that count: of each channel the one that was made last, while the fleet lists it. When it
   * is listed no more none of before comes back: what is active never falls.
   */
  active(): readonly KnownPlan[] {
    const channels = new Map<string, PlanRecord>()
    for (const record of this.#records.values()) {
      const { channel } = record.plan.said
      const other = channels.get(channel)
      if (other === undefined || byAge(record, other) < 0) channels.set(channel, record)
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
    return [...this.#records.values()]
      .filter(({ plan }) => isIt(plan))
      .toSorted((one, other) => other.plan.said.version - one.plan.said.version)[0]
  }

  get(digest: Digest): KnownPlan | undefined {
    return this.#records.get(digest)
  }

  view({ named }: KnownPlan): RolloutView {
    return this.#records.get(named.digest)?.view ?? UNDECIDED
  }

  /** Whether its controller was found to have decided two things as one number. */
  isForked({ named }: KnownPlan): boolean {
    return this.#records.get(named.digest)?.isForked ?? false
  }

  /** Envelopes of decisions, from one on. */
  decisions(digest: Digest, from = 0): readonly Uint8Array[] {
    return this.#records.get(digest)?.decisions.slice(from) ?? []
  }

  /** The newest checkpoint of a plan's decisions that enough witnesses have cosigned. */
  cosigned(digest: Digest): Uint8Array | undefined {
    return this.#records.get(digest)?.cosigned
  }

  /** The witnesses that decisions must be cosigned by now; undefined: the fleet names none. */
  witnesses(): WitnessList | undefined {
    return this.#deps.witnesses?.()
  }

  /** Gives the plan whose decisions are in the log of this name. */
  logged(origin: string): KnownPlan | undefined {
    return [...this.#records.values()].find((known) => decisionLogOf(known).origin === origin)
  }

  /** How many of a plan's decisions are cosigned by enough of the witnesses of now. */
  witnessedCount({ named }: KnownPlan): number {
    return this.#records.get(named.digest)?.witnessedCount ?? 0
  }

  /** The decision that this node, the controller, is about to make; it stays that until it is made. */
  pending({ named }: KnownPlan): Signed<Decision> | undefined {
    return this.#records.get(named.digest)?.pending?.decision
  }

  /** Digests of the statements of a plan's decisions, in order. */
  digests({ named }: KnownPlan): readonly Digest[] {
    return this.#records.get(named.digest)?.digests ?? []
  }

  /**
   * Holds what this node is about to decide, durably, with the roster that was proposed for it: after a
   * crash the same goes on, and never another decision by its number.
   */
  async hold(digest: Digest, envelope: Uint8Array): Promise<void> {
    await this.#turns.run("book", () => this.#known(digest).hold(envelope))
  }

  /** Takes the decision in that was held. @throws as {@link takeDecision} */
  async takePending(digest: Digest, cosigned?: Uint8Array): Promise<Uint8Array | undefined> {
    const envelope = this.#known(digest).pending?.envelope
    if (envelope !== undefined) await this.takeDecision(digest, envelope, cosigned)
    return envelope
  }

  /** Who is in which wave; undefined before it is known here. */
  roster({ named }: KnownPlan): Roster | undefined {
    return this.#records.get(named.digest)?.roster
  }

  /** The same, as bytes. */
  rosterBytes(digest: Digest): Uint8Array | undefined {
    return this.#records.get(digest)?.rosterBytes
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
      for (const [digest, record] of this.#records) {
        if (record.isListed !== digests.has(digest)) isChanged = true
        record.isListed = digests.has(digest)
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
      const record = this.#known(digest)
      const { count: before } = record.view
      try {
        return await record.takeDecisions(envelopes, cosigned)
      } finally {
        // What was taken in stands, whatever could not be read or written after it.
        if (record.view.count > before) this.#tell()
      }
    })
  }

  /** Keeps a roster that is the one which the start names. @throws {@link RolloutError} `ROSTER_INVALID` */
  async takeRoster(digest: Digest, bytes: Uint8Array): Promise<void> {
    await this.#turns.run("book", async () => {
      if (await this.#known(digest).takeRoster(bytes)) this.#tell()
    })
  }

  /** Holds the roster that the next decision, a start, will name. */
  proposeRoster(digest: Digest, bytes: Uint8Array): void {
    this.#known(digest).propose(bytes)
  }

  #known(digest: Digest): PlanRecord {
    const record = this.#records.get(digest)
    if (record !== undefined) return record
    throw new RolloutError("PLAN_NOT_FOUND", "no such plan was accepted here")
  }

  /** Gives the plan that is kept of a listed file. */
  #keptAs({ path, sha256 }: SignedTarget): PlanRecord | undefined {
    const listed = planOfPath(path)
    if (listed === undefined || sha256 === undefined) return undefined
    return [...this.#records.values()].find(
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
      if (this.#records.has(plan.digest)) return plan.digest
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
      if (!this.#records.has(plan.digest)) this.#verifyNewest(plan)
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
      await this.#add(plan, envelope).recall()
    } catch (error) {
      const fields = { plan: digest, code: codeOf(error), error: messageOf(error) }
      log.error(fields, "what is kept of a rollout is broken: it is asked for again")
    }
  }

  #add(plan: Signed<Plan>, envelope: Uint8Array): PlanRecord {
    const record = new PlanRecord(this.#deps, plan, envelope)
    this.#records.set(plan.digest, record)
    return record
  }

  async #dropSurplus(): Promise<void> {
    const old = [...this.#records.values()].filter(({ isListed }) => !isListed).toSorted(byAge)
    const surplus = this.#records.size - PLANS_KEPT_MAX
    if (surplus <= 0) return
    for (const record of old.slice(-surplus)) {
      const { digest } = record.named
      this.#records.delete(digest)
      await this.#deps.onDropped?.(record)
      await this.#deps.files.removePlan(digest)
    }
  }

  #tell(): void {
    for (const listener of [...this.#listeners]) listener()
  }
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
