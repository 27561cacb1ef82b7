/**
 * All rollouts of one node: which plans run on it, what they share, and what it reports
 * (protocol/rollout.md §5, on a node).
 * @module
 */
import type { Clock } from "../core/clock.ts"
import type { Digest } from "../core/digest.ts"
import { codeOf, messageOf } from "../core/errors.ts"
import type { Logger } from "../core/log.ts"
import { Serial } from "../core/serial.ts"
import { blockedBy } from "../fleet/blocked.ts"
import type { Membership } from "../fleet/fleet.ts"
import type { SelfStanding } from "../fleet/self-standing.ts"
import type { PeerId, PeerNetwork } from "../net/net.ts"
import { signDraft } from "../release/signing.ts"
import type { Signer } from "../trust/signing-key.ts"
import type { Activator, Prober } from "./activation.ts"
import type { RolloutContent } from "./content.ts"
import { refusal } from "./errors.ts"
import { type ActiveRelease, BEGIN, type NodeState, type Scene } from "./node-machine.ts"
import {
  encodeKept,
  encodeMemory,
  type KeptRollout,
  NO_MEMORY,
  type NodeMemory,
  parseKept,
  parseMemory,
  withChannel,
} from "./node-state.ts"
import type { KnownPlan } from "./plan-record.ts"
import { PlanRun, type RunReport } from "./plan-run.ts"
import { encodeReport } from "./report.ts"
import { ReportSending } from "./report-sending.ts"
import type { RolloutBook } from "./rollout-book.ts"
import type { RolloutFiles } from "./rollout-files.ts"
import { encodeRoster } from "./roster.ts"
import { mayBeIn, placeOrLate, rosterOf } from "./wave-choosing.ts"
import { isOpen, nextOpening } from "./window.ts"

/** What nobody has answered is asked again after this time: who is in a roster, what was decided. */
const ASK_AGAIN_MS = 2_000

export interface NodeRolloutsDeps {
  readonly book: RolloutBook
  readonly files: RolloutFiles
  readonly membership: Membership
  /** This node's own. */
  readonly signer: Signer
  readonly net: Pick<PeerNetwork, "onConnect" | "peers">
  /** While something is known against this node it begins nothing. */
  readonly self?: SelfStanding | undefined
  readonly content: RolloutContent
  readonly activator: Activator
  readonly prober: Prober
  readonly clock: Clock
  readonly log: Logger
  /** Takes a report to the controller. @returns whether it has it */
  readonly send: (known: KnownPlan, envelope: Uint8Array) => Promise<boolean>
  /** Learns what others have of a plan's decisions. @returns how many nodes have answered */
  readonly compare: (known: KnownPlan) => Promise<number>
  /** Asks for a roster that cannot be made here. */
  readonly askRoster: (known: KnownPlan) => Promise<Uint8Array | undefined>
  /** Told of each step of each plan, for the log of the node. @returns once it is in there */
  readonly onStep?: ((known: KnownPlan, state: NodeState) => Promise<void>) | undefined
}

export interface NodeRolloutsOptions {
  /** IANA name, such as `Europe/Berlin`. */
  readonly timeZone: string
  /** This node stages, and opens nothing by a plan. */
  readonly isStageOnly: boolean
  /** 32 hex digits, new at each start. */
  readonly boot: string
}

const broken = refusal("REPORT_INVALID")

export class NodeRollouts {
  readonly #deps: NodeRolloutsDeps
  readonly #options: NodeRolloutsOptions
  readonly #runs = new Map<Digest, PlanRun>()
  readonly #reports: ReportSending
  readonly #turns = new Serial<"memory" | "runs">()
  /** The plan that is changing what runs on a channel. */
  readonly #changing = new Map<string, Digest>()
  readonly #rosterRetries = new Map<Digest, () => void>()
  #memory: NodeMemory = NO_MEMORY
  /** Whether it is not known which opened releases run. */
  #hasForgotten = false
  #isStopped = false
  /** When it was first seen since the start that this node was put back; all plans are told the same. */
  #putBackAtMs: number | undefined
  /** Plans whose decisions were compared with what others have, since the start. */
  readonly #compared = new Set<Digest>()
  /** Those that nobody has answered of, until they are asked for again. */
  readonly #asked = new Set<Digest>()
  #isMeeting = false
  #askAgain: (() => void) | undefined
  #stops: (() => void)[] = []

  constructor(deps: NodeRolloutsDeps, options: NodeRolloutsOptions) {
    this.#deps = deps
    this.#options = options
    this.#reports = new ReportSending(deps)
  }

  /** Goes on from what is kept. */
  async start(): Promise<void> {
    const { book, content, net } = this.#deps
    await this.#recall()
    this.#stops = [
      book.onChange(() => this.look()),
      content.onChange(() => this.wake()),
      net.onConnect(({ id }) => this.#onConnect(id)),
    ]
    await this.#lookNow()
  }

  /** What ran cannot be asked of anybody: a node that has forgotten it goes back to nothing. */
  async #recall(): Promise<void> {
    const { files, log } = this.#deps
    try {
      const section = await files.memory(broken)
      if (section !== undefined) this.#memory = parseMemory(section)
    } catch (error) {
      const fields = { code: codeOf(error), error: messageOf(error) }
      log.error(fields, "what this node kept of what runs is broken: nothing of it is removed")
      this.#hasForgotten = true
    }
  }

  async stop(): Promise<void> {
    this.#isStopped = true
    for (const stop of this.#stops.splice(0)) stop()
    for (const cancel of this.#rosterRetries.values()) cancel()
    this.#askAgain?.()
    this.#reports.stop()
    await Promise.all([...this.#runs.values()].map((run) => run.stop()))
  }

  /** Ends a plan that is forgotten; nothing of it is written any more when it resolves. */
  async drop({ named: { digest } }: KnownPlan): Promise<void> {
    await this.#turns.run("runs", async () => {
      const run = this.#runs.get(digest)
      this.#runs.delete(digest)
      await run?.stop()
    })
    this.#reports.drop(digest)
    this.#rosterRetries.get(digest)?.()
    this.#rosterRetries.delete(digest)
    this.#compared.delete(digest)
    this.#asked.delete(digest)
  }

  /** How far a plan is on this node. */
  state(digest: Digest): NodeState | undefined {
    return this.#runs.get(digest)?.state
  }

  /** What runs well, by channel. */
  get active(): ReadonlyMap<string, readonly ActiveRelease[]> {
    return this.#memory.channels
  }

  /** Reads the book anew: plans may be new, or decisions. */
  look(): void {
    void this.#lookNow().catch((error: unknown) => {
      const fields = { code: codeOf(error), error: messageOf(error) }
      this.#deps.log.error(fields, "the rollouts of this node could not be looked at")
    })
  }

  /** Something may open now that did not, or somebody may have come who can be asked. */
  wake(): void {
    this.#notePutBack()
    for (const run of this.#runs.values()) run.wake()
    void this.#meet()
  }

  /** A peer may know that this node was put back, and what was decided since. */
  #onConnect(peer: PeerId): void {
    this.#reports.again(peer)
    this.#asked.clear()
    this.wake()
  }

  /**
   * Compares what was decided of each plan with what others have, once since the start: whoever was put
   * back from an older copy has forgotten decisions, and has its link again before it hears of them.
   */
  async #meet(): Promise<void> {
    if (this.#isMeeting) return
    this.#isMeeting = true
    while (!this.#isStopped) {
      const known = this.#uncompared().find(({ named }) => !this.#asked.has(named.digest))
      if (known === undefined) break
      const { digest } = known.named
      this.#asked.add(digest)
      if ((await this.#deps.compare(known).catch(() => 0)) > 0) this.#compared.add(digest)
      if (this.#compared.has(digest)) this.#runs.get(digest)?.wake()
    }
    this.#isMeeting = false
    if (this.#isStopped || this.#askAgain !== undefined || this.#uncompared().length === 0) return
    this.#askAgain = this.#deps.clock.after(ASK_AGAIN_MS, () => {
      this.#askAgain = undefined
      this.#asked.clear()
      void this.#meet()
    })
  }

  /** Plans by which something may be begun: those that count, and what a crash has cut off. */
  #uncompared(): readonly KnownPlan[] {
    if (this.#isAlone()) return []
    const active = this.#deps.book.active()
    const cutOff = [...this.#runs.values()].flatMap((run) => (run.isCutOff ? [run.known] : []))
    return [...new Set([...active, ...cutOff])].filter(
      ({ named }) => !this.#compared.has(named.digest),
    )
  }

  async #lookNow(): Promise<void> {
    await this.#turns.run("runs", async () => {
      const { book } = this.#deps
      const added: PlanRun[] = []
      for (const known of book.plans()) {
        const run = await this.#made(known)
        if (run !== undefined) added.push(run)
      }
      if (this.#isStopped) return
      // What was cut off on a channel is brought to its end before another plan changes the channel.
      added.sort((one, other) => Number(other.isCutOff) - Number(one.isCutOff))
      for (const run of added) {
        this.#runs.set(run.known.named.digest, run)
        run.start()
      }
    })
    for (const known of this.#deps.book.active()) void this.#bringRoster(known)
    this.wake()
  }

  /** Makes the run of a plan that counts, or of one that was begun here. */
  async #made(known: KnownPlan): Promise<PlanRun | undefined> {
    const { digest } = known.named
    if (this.#runs.has(digest)) return undefined
    const { book, files, membership, log } = this.#deps
    let kept: KeptRollout | undefined
    try {
      const section = await files.state(digest, broken)
      kept = section && parseKept(section)
    } catch (error) {
      const fields = { plan: known.named.name, error: messageOf(error) }
      log.error(fields, "what this node kept of a rollout is broken: it asks what runs")
      kept = { state: { ...BEGIN, unsureAtMs: membership.nowMs() }, before: [] }
    }
    if (kept === undefined && !book.isActive(known)) return undefined
    return new PlanRun(this.#depsOf(known), known, kept)
  }

  #depsOf(known: KnownPlan): ConstructorParameters<typeof PlanRun>[0] {
    const { channel } = known.plan.said
    const { digest } = known.named
    return {
      ...this.#deps,
      scene: (before) => this.#scene(known, before),
      opensAtMs: () => this.#opensAtMs(known),
      active: () => this.#memory.channels.get(channel) ?? [],
      keep: (kept, active) => this.#keep(known, kept, active),
      report: (report) => this.#report(known, report),
      onStep: async (state) => await this.#deps.onStep?.(known, state),
      tell: async () => await this.#deps.self?.tell(),
      hasMet: () => this.#compared.has(digest) || this.#isAlone(),
      isBlocked: () => this.#isBlocked(),
      enter: () => {
        const other = this.#changing.get(channel)
        if (other !== undefined && other !== digest) return false
        this.#changing.set(channel, digest)
        return true
      },
      leave: () => {
        if (this.#changing.get(channel) === digest) this.#changing.delete(channel)
        this.wake()
      },
    }
  }

  #notePutBack(): number | undefined {
    const { self, membership } = this.#deps
    if (self?.wasPutBack() === true) this.#putBackAtMs ??= membership.nowMs()
    return this.#putBackAtMs
  }

  async #scene(known: KnownPlan, before: readonly ActiveRelease[]): Promise<Scene> {
    const { book, content, membership, self } = this.#deps
    const { said: plan } = known.plan
    // Peers that were just met are waited for: what they know against this node is said below.
    await self?.verify().catch(() => {})
    const objections = await Promise.all(
      before.map(({ release }, index) => {
        const ahead = before.slice(0, index).map((one) => one.release.digest)
        return content.objection(release, new Set(ahead))
      }),
    )
    const { window } = plan
    return {
      plan,
      view: book.view(known),
      place: this.#isBlocked() ? undefined : this.#place(known),
      isController: plan.controller === membership.peer,
      isConcerned: this.#isConcerned(known),
      isWindowOpen:
        window === undefined || isOpen(window, membership.nowMs(), this.#options.timeZone),
      isStageOnly: this.#options.isStageOnly,
      isReplaced: !book.isActive(known),
      // By a clock that is not to be trusted nothing ends for good.
      isExpired: membership.clockFault() === undefined && membership.nowMs() > plan.expiresAtMs,
      putBackAtMs: this.#notePutBack(),
      before: objections.every((objection) => objection === undefined) ? before : [],
    }
  }

  /**
   * Whether something is known against this node, or against its clock (windows and ends are times), or
   * that it lacks what is newest.
   */
  #isBlocked(): boolean {
    const { self, membership } = this.#deps
    return blockedBy({ self, membership }).length > 0
  }

  #isAlone(): boolean {
    return (this.#deps.membership.access()?.list.members.size ?? 0) <= 1
  }

  #opensAtMs({ plan }: KnownPlan): number | undefined {
    const { window } = plan.said
    const nowMs = this.#deps.membership.nowMs()
    return window === undefined ? undefined : nextOpening(window, nowMs, this.#options.timeZone)
  }

  #place(known: KnownPlan): number | undefined {
    const { book, membership, content } = this.#deps
    const { said: plan } = known.plan
    const here = { roster: book.roster(known), list: membership.access()?.list }
    const isFor = (peer: PeerId) => content.isFor(plan.releases, peer)
    return placeOrLate(plan, here, membership.peer, isFor)
  }

  /** Before it is known who is in which wave it is for whom a wave may take. */
  #isConcerned(known: KnownPlan): boolean {
    const { book, membership, content } = this.#deps
    if (book.roster(known) !== undefined) return this.#place(known) !== undefined
    const list = membership.access()?.list
    const { peer } = membership
    const { said: plan } = known.plan
    return list !== undefined && mayBeIn(plan, list, peer) && content.isFor(plan.releases, peer)
  }

  /** Everybody can choose the waves anew as long as the list is the one by which they were frozen. */
  async #bringRoster(known: KnownPlan): Promise<void> {
    const { book, membership, content, askRoster, clock } = this.#deps
    const { digest } = known.named
    if (book.view(known).roster === undefined || book.roster(known) !== undefined) return
    if (this.#isStopped || this.#rosterRetries.has(digest)) return
    this.#rosterRetries.set(digest, () => {})
    const list = membership.access()?.list
    const { releases } = known.plan.said
    const own = () =>
      list && encodeRoster(rosterOf(known.plan.said, list, (peer) => content.isFor(releases, peer)))
    for (const make of [async () => own(), () => askRoster(known)]) {
      try {
        const bytes = await make()
        if (bytes !== undefined) await book.takeRoster(digest, bytes)
        if (book.roster(known) !== undefined) break
      } catch (error) {
        this.#deps.log.debug({ code: codeOf(error) }, "not the roster of the start")
      }
    }
    this.#rosterRetries.delete(digest)
    if (this.#isStopped || book.roster(known) !== undefined) return
    const again = () => {
      this.#rosterRetries.delete(digest)
      void this.#bringRoster(known)
    }
    this.#rosterRetries.set(digest, clock.after(ASK_AGAIN_MS, again))
  }

  async #keep(
    known: KnownPlan,
    kept: KeptRollout,
    active: readonly ActiveRelease[] | undefined,
  ): Promise<void> {
    const { files } = this.#deps
    if (active !== undefined) {
      const { channel } = known.plan.said
      await this.#remember((memory) => withChannel(memory, channel, active))
    }
    await files.writeState(known.named.digest, encodeKept(kept))
    if (active !== undefined) void this.#tidy()
  }

  /** Opened releases that nothing runs and nothing goes back to are removed. */
  async #tidy(): Promise<void> {
    if (this.#hasForgotten) return
    const paths = new Set<string>()
    for (const list of this.#memory.channels.values()) for (const { path } of list) paths.add(path)
    for (const run of this.#runs.values()) for (const path of run.paths) paths.add(path)
    try {
      await this.#deps.content.keepOnly(paths)
    } catch (error) {
      this.#deps.log.warn({ error: messageOf(error) }, "an opened release could not be removed")
    }
  }

  async #report(known: KnownPlan, report: RunReport): Promise<void> {
    const { membership, signer } = this.#deps
    const place = this.#place(known)
    if (place === undefined) return
    const memory = await this.#remember((one) => ({
      ...one,
      counter: Math.max(one.counter + 1, membership.nowMs()),
    }))
    const draft = encodeReport({
      ...report,
      fleet: membership.fleet,
      plan: known.named,
      node: membership.peer,
      wave: place,
      counter: memory.counter,
      boot: this.#options.boot,
      atMs: membership.nowMs(),
      slots: membership.access()?.list.members.get(membership.peer)?.labels ?? {},
    })
    this.#reports.put(known, (await signDraft(draft, [signer])).envelope)
  }

  #remember(change: (memory: NodeMemory) => NodeMemory): Promise<NodeMemory> {
    return this.#turns.run("memory", async () => {
      const next = change(this.#memory)
      await this.#deps.files.writeMemory(encodeMemory(next))
      this.#memory = next
      return next
    })
  }
}
