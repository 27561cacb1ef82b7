/**
 * One plan on one node: looks at the machine, keeps its state, does the work that is next
 * (protocol/rollout.md §5, on a node).
 * @module
 */
import type { Clock } from "../core/clock.ts"
import { codeOf, messageOf } from "../core/errors.ts"
import type { Logger } from "../core/log.ts"
import type { NamedRelease } from "../release/signed.ts"
import type { ActivationTarget, Activator, Prober } from "./activation.ts"
import type { RolloutContent } from "./content.ts"
import { shortLine } from "./decision.ts"
import {
  type ActiveRelease,
  advance,
  BEGIN,
  type Happening,
  isReleased,
  type NodeState,
  type Scene,
  type Step,
  type Work,
  workOf,
} from "./node-machine.ts"
import type { KeptRollout } from "./node-state.ts"
import type { Activation, Plan } from "./plan.ts"
import type { KnownPlan } from "./plan-record.ts"
import type { Outcome } from "./report.ts"

/** Pauses before work is tried again that could not be done now, milliseconds; the last one stays. */
const PAUSES_MS: readonly number[] = [100, 200, 400, 800, 1_600, 5_000, 15_000, 30_000]
/** Whether it still is blocked a node looks after this time. */
const BLOCKED_MS = 5_000
/** Steps in which something of the channel is being changed. */
const CHANGING: readonly Step[] = ["activating", "probing", "going-back"]

/** What a run says of itself. */
export interface RunReport {
  readonly outcome: Outcome
  readonly attempt: number
  readonly reason: string
  readonly running: readonly NamedRelease[]
  readonly opensAtMs: number | undefined
}

/** What a run asks of the node. */
export interface PlanRunDeps {
  readonly content: RolloutContent
  readonly activator: Activator
  readonly prober: Prober
  readonly clock: Clock
  readonly log: Logger
  /** What the node knows beside the state: of what ran before only what `before` tells. */
  readonly scene: (before: readonly ActiveRelease[]) => Promise<Scene>
  /** When the window opens next, if that is what is waited for. */
  readonly opensAtMs: () => number | undefined
  /** What runs well on the channel now. */
  readonly active: () => readonly ActiveRelease[]
  /** Durable when it resolves; `active`: what runs well on the channel from now on. */
  readonly keep: (kept: KeptRollout, active: readonly ActiveRelease[] | undefined) => Promise<void>
  readonly report: (report: RunReport) => Promise<void>
  /** Told of each step. @returns once that is kept */
  readonly onStep: (state: NodeState) => Promise<void>
  /** Has peers know how far this node has come. */
  readonly tell: () => Promise<void>
  /** One plan at a time changes what runs on a channel. @returns false: another one does */
  readonly enter: () => boolean
  readonly leave: () => void
  /**
   * Whether what was decided was compared with what somebody else has, since the node's start: who was
   * put back from an older copy knows by then that it was, and what it had forgotten.
   */
  readonly hasMet: () => boolean
  /** Whether something is known against this node or its clock: nobody tells when that ends. */
  readonly isBlocked: () => boolean
}

export class PlanRun {
  readonly known: KnownPlan
  readonly #deps: PlanRunDeps
  readonly #closing = new AbortController()
  #kept: KeptRollout
  #wake: () => void = () => {}
  #isWoken = false
  #reported = ""
  #hasDoubted = false
  /** Whether what opens the releases is being brought, and whether that is due: something has changed. */
  #isPreparing = false
  #isPreparingDue = false
  #hasMet = false
  #ended: Promise<void> = Promise.resolve()
  /** Resolves once the last step that was told is kept. */
  #stepped: Promise<void> = Promise.resolve()

  constructor(deps: PlanRunDeps, known: KnownPlan, kept: KeptRollout | undefined) {
    this.#deps = deps
    this.known = known
    this.#kept = afresh(kept) ?? { state: BEGIN, before: [] }
  }

  get state(): NodeState {
    return this.#kept.state
  }

  /** Whether something of its channel is being changed, or was when the node was stopped. */
  get isCutOff(): boolean {
    return CHANGING.includes(this.state.step)
  }

  /** Folders that it opened, or may go back to. */
  get paths(): readonly string[] {
    const { state, before } = this.#kept
    return state.step === "over" ? [] : [...state.opened, ...before.map(({ path }) => path)]
  }

  start(): void {
    this.#ended = this.#run().catch((error: unknown) => {
      if (this.#closing.signal.aborted) return
      const fields = { plan: this.known.named.name, error: messageOf(error), code: codeOf(error) }
      this.#deps.log.error(fields, "a rollout stands still on this node: restart it")
    })
  }

  /** Something has changed that may matter. */
  wake(): void {
    this.#isWoken = true
    this.#wake()
  }

  /** Ends after the step that is under way; what was begun and is cut off is asked for at the next start. */
  async stop(): Promise<void> {
    this.#closing.abort(new Error("the node is stopping"))
    this.#wake()
    await this.#ended
  }

  async #run(): Promise<void> {
    let tries = 0
    // A crash may have cut off what changes the channel.
    while (this.isCutOff && !this.#closing.signal.aborted && !this.#deps.enter()) {
      this.#isWoken = false
      await this.#wait(undefined)
    }
    while (!this.#closing.signal.aborted) {
      this.#isWoken = false
      try {
        const scene = await this.#look()
        await this.#tell(scene)
        const work = workOf(this.state, scene)
        if (work.kind === "wait") {
          this.#prepare(scene)
          tries = 0
          await this.#wait(this.#waitMs(scene))
          continue
        }
        const happening = await this.#do(work, scene)
        if (this.#closing.signal.aborted) return
        if (happening !== undefined) {
          await this.#advance(happening, scene)
          tries = 0
          continue
        }
      } catch (error) {
        this.#warn(error)
      }
      await this.#wait(PAUSES_MS[Math.min(tries++, PAUSES_MS.length - 1)])
    }
  }

  /** A full disk is no failure of the plan, and passes. */
  #warn(error: unknown): void {
    if (this.#closing.signal.aborted) return
    const cause = error instanceof OwnFault ? error.cause : error
    const fields = { plan: this.known.named.name, error: messageOf(cause), code: codeOf(cause) }
    this.#deps.log.warn(fields, "a step of a rollout could not be taken: it is tried again")
  }

  /** Moves on by what is known now; what runs well is noted before something else is made to run. */
  async #look(): Promise<Scene> {
    // What ran before is noted for good when something else is first made to run.
    const before = this.state.activated === 0 ? this.#deps.active() : this.#kept.before
    // What those whom it has met know of it is in the scene, if they were met before.
    const hasMet = this.#deps.hasMet()
    const scene = this.#doubted(await this.#deps.scene(before))
    this.#hasMet = hasMet
    const next = advance(this.state, { kind: "looked" }, scene)
    if (CHANGING.includes(next.step) && !CHANGING.includes(this.state.step)) {
      if (!this.#deps.enter()) return scene
      this.#kept = { ...this.#kept, before }
    }
    await this.#move(next, scene)
    this.#hasDoubted ||= scene.putBackAtMs !== undefined
    return scene
  }

  /** That the node was put back is noted once: what is tried after that is known. */
  #doubted(scene: Scene): Scene {
    return this.#hasDoubted ? { ...scene, putBackAtMs: undefined } : scene
  }

  async #advance(happening: Happening, scene: Scene): Promise<void> {
    const { kind } = happening
    const said = kind === "failed" ? { kind, reason: shortLine(happening.reason) } : happening
    await this.#move(advance(this.state, said, scene), scene)
  }

  async #move(next: NodeState, scene: Scene): Promise<void> {
    const before = this.state
    if (isSame(before, next)) return
    const kept = { ...this.#kept, state: next }
    await own(this.#deps.keep(kept, this.#activeAfter(before, kept, scene)))
    this.#kept = kept
    if (isOtherStep(before, next) && !isToBegin(next, scene)) {
      this.#stepped = this.#deps.onStep(next)
    }
    if (CHANGING.includes(before.step) && !CHANGING.includes(next.step)) this.#deps.leave()
  }

  #activeAfter(
    before: NodeState,
    { state, before: ran }: KeptRollout,
    scene: Scene,
  ): readonly ActiveRelease[] | undefined {
    const { plan } = scene
    if (state.step === before.step) return undefined
    if (state.step === "healthy") {
      return plan.releases.map((release, index) =>
        this.#activeOf(release, state.opened[index] ?? ""),
      )
    }
    if (state.step === "went-back") return ran
    const isGone = scene.before.length === 0 && plan.onNoRollback === "deactivate"
    return before.step === "going-back" && isGone ? [] : undefined
  }

  #activeOf(release: NamedRelease, path: string): ActiveRelease {
    return { release, path, activation: this.#activationOf(release) }
  }

  #activationOf(release: NamedRelease): Activation | undefined {
    return this.#deps.content.activationOf(release) ?? this.known.plan.said.activate
  }

  /** @returns undefined: it could not be done now */
  async #do(work: Work, scene: Scene): Promise<Happening | undefined> {
    const { signal } = this.#closing
    try {
      switch (work.kind) {
        case "stage":
          return await this.#stage(scene, signal)
        case "open":
          return await this.#open(scene.plan.releases[work.index]!, signal)
        case "activate":
          return await this.#activate(scene, work.index, signal)
        case "inspect":
          return await this.#inspect(scene, work.index, signal)
        case "probe":
          return await this.#probe(scene, work.index, signal)
        case "restore":
          return await this.#restore(scene, work.index, signal)
        case "deactivate":
          return await this.#deactivate(scene, signal)
        case "wait":
          return undefined
      }
    } catch (error) {
      if (signal.aborted) return undefined
      if (error instanceof OwnFault) throw error
      return { kind: "failed", reason: reasonOf(error) }
    }
  }

  async #stage({ plan, isStageOnly }: Scene, signal: AbortSignal): Promise<Happening | undefined> {
    const { content } = this.#deps
    // What this node will refuse is refused before anything is brought. Who only stages runs nothing.
    if (!isStageOnly) this.#verifyAllowed(plan)
    for (const release of plan.releases) {
      if (!(await content.stage(release, { signal }))) return undefined
    }
    return { kind: "staged" }
  }

  #verifyAllowed({ releases, probe }: Plan): void {
    const { activator, prober } = this.#deps
    for (const release of releases) {
      const activation = this.#activationOf(release)
      if (activation !== undefined) activator.verifyAllowed(activation)
    }
    if (probe !== undefined) prober.verifyAllowed(probe)
  }

  /**
   * Whoever waits for its wave has all that opens the releases by then but the gate's share. Approvals and
   * secrets may come long after the bytes: each time that the run is woken it looks again, and nothing
   * waits for that.
   */
  #prepare({ plan, isStageOnly }: Scene): void {
    const { signal } = this.#closing
    if (this.state.step !== "staged" || isStageOnly || signal.aborted) return
    this.#isPreparingDue = true
    if (!this.#isPreparing) void this.#prepareAll(plan.releases, signal)
  }

  async #prepareAll(releases: readonly NamedRelease[], signal: AbortSignal): Promise<void> {
    const { content } = this.#deps
    this.#isPreparing = true
    while (this.#isPreparingDue && this.state.step === "staged") {
      this.#isPreparingDue = false
      try {
        for (const release of releases) await content.prepare(release, { signal })
      } catch {
        // It was ended.
      }
    }
    this.#isPreparing = false
  }

  async #open(release: NamedRelease, signal: AbortSignal): Promise<Happening | undefined> {
    const answer = await this.#deps.content.open(release, { signal })
    if (answer.kind === "opened") return answer
    if (answer.kind === "never") return { kind: "failed", reason: answer.reason }
    this.#deps.log.debug({ code: answer.code }, "not opened yet")
    return undefined
  }

  async #activate(
    scene: Scene,
    index: number,
    signal: AbortSignal,
  ): Promise<Happening | undefined> {
    const release = scene.plan.releases[index]!
    const objection = await this.#objection(scene.plan.releases, index)
    if (objection !== undefined) return { kind: "failed", reason: objection }
    const target = { release, path: this.state.opened[index]! }
    const isRetry = this.state.activated > index
    const activation = this.#activationOf(release)
    const isDone = await this.#makeRun(activation, target, { isRetry, scene, signal })
    return isDone ? { kind: "activated" } : undefined
  }

  /** The releases of a plan are one act: what would stop a later one stops it before the first is begun. */
  async #objection(releases: readonly NamedRelease[], from: number): Promise<string | undefined> {
    const { content, active } = this.#deps
    for (const [index, release] of releases.entries()) {
      if (index < from) continue
      const ahead = releases.slice(0, index).map((one) => ({ release: one }))
      const objection = await own(content.objection(release, digestsOf([...active(), ...ahead])))
      if (objection !== undefined) return objection
    }
    return undefined
  }

  /**
   * Makes a release run. Unless it is known to have been tried, what runs already is not made to run
   * again. What does not run waits until somebody was met: state and decisions may be an older copy's.
   * @returns false when it was not begun
   */
  async #makeRun(
    activation: Activation | undefined,
    target: ActivationTarget,
    { isRetry, scene, signal }: { isRetry: boolean; scene: Scene; signal: AbortSignal },
  ): Promise<boolean> {
    const { activator } = this.#deps
    const options = { signal }
    const answer =
      activation === undefined || isRetry
        ? "no"
        : await activator.isRunning(activation, target, options)
    if (answer !== "yes" && !this.#hasMet) return false
    await this.#advance({ kind: "begun" }, scene)
    if (activation === undefined || answer === "yes") return true
    // Whoever is put back to what was before, and meets one who was told, does not do it again.
    await this.#stepped
    await this.#deps.tell()
    signal.throwIfAborted()
    await activator.activate(activation, target, options)
    return true
  }

  async #inspect(scene: Scene, index: number, signal: AbortSignal): Promise<Happening> {
    const { release, path, activation } =
      this.state.step === "going-back"
        ? scene.before[index]!
        : this.#activeOf(scene.plan.releases[index]!, this.state.opened[index] ?? "")
    if (activation === undefined) return { kind: "inspected", answer: "yes" }
    const answer = await this.#deps.activator.isRunning(activation, { release, path }, { signal })
    return { kind: "inspected", answer }
  }

  async #probe(scene: Scene, index: number, signal: AbortSignal): Promise<Happening> {
    const release = scene.plan.releases[index]!
    const { activation, path } = this.#activeOf(release, this.state.opened[index] ?? "")
    const subject = { activation, target: { release, path } }
    const answer = await this.#deps.prober.probe(scene.plan.probe!, subject, { signal })
    return answer.isHealthy ? { kind: "healthy" } : { kind: "failed", reason: answer.reason }
  }

  async #restore(scene: Scene, index: number, signal: AbortSignal): Promise<Happening | undefined> {
    const { release, path, activation } = scene.before[index]!
    const { content } = this.#deps
    const ahead = digestsOf(scene.before.slice(0, index))
    const objection = await own(content.objection(release, ahead))
    if (objection !== undefined) return { kind: "failed", reason: objection }
    const isDone = await this.#makeRun(
      activation,
      { release, path },
      { isRetry: false, scene, signal },
    )
    if (!isDone) return undefined
    return { kind: "restored" }
  }

  async #deactivate({ plan }: Scene, signal: AbortSignal): Promise<Happening> {
    for (const release of plan.releases.slice(0, this.state.activated).toReversed()) {
      const activation = this.#activationOf(release)
      if (activation !== undefined) await this.#deps.activator.deactivate(activation, { signal })
    }
    return { kind: "deactivated" }
  }

  /** Reports once what is new; not by a state of which it is not known whether it is an older copy's. */
  async #tell(scene: Scene): Promise<void> {
    if (!this.#hasMet) return
    const outcome = this.#outcome(scene)
    if (outcome === undefined) return
    const { attempt } = this.state
    const reason = shortLine(this.state.reason)
    const opensAtMs = outcome === "waiting" ? this.#deps.opensAtMs() : undefined
    const text = `${outcome} ${attempt} ${opensAtMs}`
    if (text === this.#reported) return
    const running =
      outcome === "healthy" ? scene.plan.releases : this.#deps.active().map((one) => one.release)
    await this.#deps.report({ outcome, attempt, reason, running, opensAtMs })
    this.#reported = text
  }

  #outcome(scene: Scene): Outcome | undefined {
    const { step } = this.state
    // Of a plan that another one has replaced nothing is known any more: what runs is the other's.
    if (scene.place === undefined || scene.isReplaced) return undefined
    if (step === "healthy") return "healthy"
    if (step === "failed" || step === "stranded") return "failed"
    if (step === "went-back") return "rolled-back"
    if (!isReleased(scene)) return undefined
    if (step === "staged" && scene.isStageOnly) return "staged"
    return step === "opened" && !scene.isWindowOpen ? "waiting" : undefined
  }

  #waitMs(scene: Scene): number | undefined {
    if (this.#deps.isBlocked()) return BLOCKED_MS
    if (this.state.step !== "opened" || !isReleased(scene)) return undefined
    const opensAtMs = this.#deps.opensAtMs()
    return opensAtMs === undefined ? undefined : Math.max(0, opensAtMs - this.#deps.clock.now())
  }

  #wait(delayMs: number | undefined): Promise<void> {
    if (this.#isWoken || this.#closing.signal.aborted) return Promise.resolve()
    return new Promise((resolve) => {
      const cancel =
        delayMs === undefined ? () => {} : this.#deps.clock.after(delayMs, () => done())
      const done = () => {
        cancel()
        this.#wake = () => {}
        resolve()
      }
      this.#wake = done
    })
  }
}

/** What this node could not keep or look up: nothing of the plan has failed by it. */
class OwnFault extends Error {}

/** Awaits what is the node's own: a fault of it is none of the plan's. */
async function own<T>(work: Promise<T>): Promise<T> {
  try {
    return await work
  } catch (cause) {
    throw new OwnFault(messageOf(cause), { cause })
  }
}

/** What failed before anything was begun may be mended: a start of the node tries it again. */
function afresh(kept: KeptRollout | undefined): KeptRollout | undefined {
  if (kept?.state.step !== "failed" || kept.state.activated > 0) return kept
  const { attempt, unsureAtMs } = kept.state
  return { ...kept, state: { ...BEGIN, attempt, unsureAtMs } }
}

function digestsOf(releases: readonly Pick<ActiveRelease, "release">[]): ReadonlySet<string> {
  return new Set(releases.map(({ release: { digest } }) => digest))
}

function isOtherStep(one: NodeState, other: NodeState): boolean {
  const isBegun = !one.isBegun && other.isBegun
  return one.step !== other.step || one.index !== other.index || isBegun
}

/** Such a step is told once it is begun: what was told tells then that a copy of before is one. */
function isToBegin({ step, index, isBegun }: NodeState, { before }: Scene): boolean {
  if (isBegun) return false
  return step === "activating" || (step === "going-back" && index < before.length)
}

function isSame(one: NodeState, other: NodeState): boolean {
  return JSON.stringify(one) === JSON.stringify(other)
}

function reasonOf(error: unknown): string {
  const code = codeOf(error)
  return code === undefined ? messageOf(error) : `${messageOf(error)} [${code}]`
}
