/**
 * The machine of one plan on one node: what is to be done next, and what follows from how it went.
 * Pure; whoever runs it keeps each state before it does anything (protocol/rollout.md §5, on a node).
 * @module
 */
import type { NamedRelease } from "../release/signed.ts"
import type { Activation, Plan } from "./plan.ts"
import type { RolloutView } from "./rollout-view.ts"

/** How far the plan is on this node. */
export type Step =
  /** The releases are being brought here. */
  | "staging"
  /** They are here, and are not opened: their wave is to come. */
  | "staged"
  /** All are opened, and none of them runs yet. */
  | "opened"
  /** One is being made to run. */
  | "activating"
  | "probing"
  | "healthy"
  | "failed"
  /** What ran before is being made to run again. */
  | "going-back"
  | "went-back"
  /** It shall go back, and there is nothing that it may go back to. */
  | "stranded"
  /** Nothing is done by this plan any more. */
  | "over"

/** A release that was made to run, and how. */
export interface ActiveRelease {
  readonly release: NamedRelease
  /** The folder with its opened files. */
  readonly path: string
  readonly activation: Activation | undefined
}

export interface NodeState {
  readonly step: Step
  /** 0-based: the release that is worked on; when going back, of those that ran before. */
  readonly index: number
  /** Whether the work of `activating` or `going-back` at `index` was begun. */
  readonly isBegun: boolean
  /**
   * When it was found that the node was put back from an older copy; 0: it was not. What the state does
   * not tell may have been begun before that moment, and is asked for before it is done.
   */
  readonly unsureAtMs: number
  /** How many of the plan's releases were made to run, at least as a try. */
  readonly activated: number
  /** How often the rollout was resumed before this try. */
  readonly attempt: number
  /** Folders of the releases that are opened, in the plan's order. */
  readonly opened: readonly string[]
  /** Why it failed; one line. */
  readonly reason: string
}

/** What a node knows beside its state. */
export interface Scene {
  readonly plan: Plan
  readonly view: RolloutView
  /** Its wave; the number of waves: it came late; undefined: not known, or the plan is not for it. */
  readonly place: number | undefined
  /** Whether this node decides by the plan. */
  readonly isController: boolean
  /** Whether the plan is, or may yet be, for this node: nobody else brings its releases. */
  readonly isConcerned: boolean
  readonly isWindowOpen: boolean
  /** Whether this node opens and activates by plans at all. */
  readonly isStageOnly: boolean
  /** Whether another plan has taken this one's channel. */
  readonly isReplaced: boolean
  /** Whether the plan's last moment is over, by this node's trusted time. */
  readonly isExpired: boolean
  /** The moment, if it was found since the last look that the node was put back from an older copy. */
  readonly putBackAtMs: number | undefined
  /** What ran well before this plan, as far as it may run again. */
  readonly before: readonly ActiveRelease[]
}

/** What decides whether a node may open and activate. */
export type ReleaseScene = Pick<Scene, "plan" | "view" | "place" | "isReplaced" | "isExpired">

/** What is to be done next. */
export type Work =
  | { readonly kind: "stage" }
  | { readonly kind: "open"; readonly index: number }
  | { readonly kind: "activate"; readonly index: number }
  /** A crash cut an activation off, or going back: is it what runs? */
  | { readonly kind: "inspect"; readonly index: number }
  | { readonly kind: "probe"; readonly index: number }
  /** What ran before is made to run again. */
  | { readonly kind: "restore"; readonly index: number }
  /** What the plan made to run is taken away. */
  | { readonly kind: "deactivate" }
  | { readonly kind: "wait" }

/** How a piece of work went. */
export type Happening =
  | { readonly kind: "staged" }
  | { readonly kind: "opened"; readonly path: string }
  /** Kept before the work is begun: after a crash it is asked for, not done again. */
  | { readonly kind: "begun" }
  | { readonly kind: "activated" }
  /** It was asked for after a crash. */
  | { readonly kind: "inspected"; readonly answer: "yes" | "no" | "unknown" }
  | { readonly kind: "healthy" }
  | { readonly kind: "restored" }
  | { readonly kind: "deactivated" }
  | { readonly kind: "failed"; readonly reason: string }
  /** Only the scene has changed: a decision, the time of day. */
  | { readonly kind: "looked" }

/** Where every node begins. */
export const BEGIN: NodeState = {
  step: "staging",
  index: 0,
  isBegun: false,
  unsureAtMs: 0,
  activated: 0,
  attempt: 0,
  opened: [],
  reason: "",
}

/** Steps in which something was made to run that another plan, or going back, has to know of. */
const SETTLED: readonly Step[] = ["healthy", "failed", "went-back", "stranded", "over"]

/** Tells whether this node may open and activate by what was decided. */
export function isReleased({ plan, view, place, isReplaced, isExpired }: ReleaseScene): boolean {
  if (place === undefined || isReplaced || isExpired) return false
  if (view.phase === "completed") return true
  const { phase, releasedAtMs } = view
  return phase === "running" && place < plan.waves.length && place < releasedAtMs.length
}

/**
 * Tells whether this node shall go back to what ran before. What another plan has made to run since is
 * none of this plan's.
 */
function shallGoBack({ view, place, isReplaced }: Scene): boolean {
  if (isReplaced || view.backFrom === undefined) return false
  return place !== undefined && place >= view.backFrom
}

/**
 * Gives the state after something happened; what does not fit the state changes nothing. What was
 * decided meanwhile is followed only by looking anew: work may take hours, and its scene is as old. One
 * plan of a channel at a time changes what runs, and whoever runs the machine sees to that by its looks.
 */
export function advance(state: NodeState, happening: Happening, scene: Scene): NodeState {
  if (happening.kind !== "looked") return afterWork(state, happening, scene)
  const { putBackAtMs } = scene
  return settle(putBackAtMs === undefined ? state : doubted(state, putBackAtMs, scene), scene)
}

/** Gives what is to be done next in a state. */
export function workOf(state: NodeState, scene: Scene): Work {
  const { step, index, isBegun } = state
  switch (step) {
    case "staging":
      return { kind: scene.isConcerned ? "stage" : "wait" }
    case "staged":
      return isReleased(scene) && !scene.isStageOnly
        ? { kind: "open", index: state.opened.length }
        : { kind: "wait" }
    case "opened":
      return { kind: "wait" }
    case "activating":
      return { kind: isBegun ? "inspect" : "activate", index }
    case "probing":
      return { kind: "probe", index }
    case "going-back":
      if (index >= scene.before.length) return { kind: "deactivate" }
      return { kind: isBegun ? "inspect" : "restore", index }
    default:
      return { kind: "wait" }
  }
}

function afterWork(
  state: NodeState,
  happening: Exclude<Happening, { kind: "looked" }>,
  scene: Scene,
): NodeState {
  const { step, index } = state
  switch (happening.kind) {
    case "staged":
      return step === "staging" ? { ...state, step: "staged" } : state
    case "opened":
      return step === "staged" ? withOpened(state, happening.path, scene) : state
    case "begun":
      if (step === "going-back") return { ...state, isBegun: true }
      if (step !== "activating") return state
      return { ...state, isBegun: true, activated: Math.max(state.activated, index + 1) }
    case "activated":
      return step === "activating" ? toProbe(state, scene) : state
    case "inspected":
      if (step === "activating") return afterInspection(state, happening.answer, scene)
      return step === "going-back" ? afterBackInspection(state, happening.answer, scene) : state
    case "healthy":
      return step === "probing" ? toNext(state, scene) : state
    case "restored":
      return step === "going-back" ? wentBack({ ...state, index: index + 1 }, scene) : state
    case "deactivated":
      return step === "going-back" ? { ...state, step: "stranded", isBegun: false } : state
    case "failed":
      if (step === "going-back") return { ...failed(state, happening.reason), step: "stranded" }
      return SETTLED.includes(step) ? state : failed(state, happening.reason)
  }
}

/** Moves on by what the scene says, with no work of its own. */
function settle(state: NodeState, scene: Scene): NodeState {
  const { step } = state
  const { view, isReplaced, isExpired } = scene
  if (step === "going-back") return stillBack(state, scene)
  // Whoever is not sure may have gone back before: nothing is made to run by what it forgot.
  if (step === "activating" && state.unsureAtMs > 0 && shallGoBack(scene)) {
    return goBack(state, scene)
  }
  // What was begun is brought to its end, so that it is known what runs.
  if (step === "probing" || (step === "activating" && isUnderWay(state))) return state
  if (shallGoBack(scene) && step !== "over") {
    const isTried = state.activated > 0 || state.unsureAtMs > 0
    if (isTried && step !== "went-back" && step !== "stranded") return goBack(state, scene)
    return isTried ? state : { ...state, step: "over" }
  }
  const isOver = isReplaced || isExpired || view.phase === "aborted"
  if (isOver && !SETTLED.includes(step)) return ended(state)
  if (step === "failed" && view.phase === "running" && view.attempt > state.attempt) {
    return settle(tryAgain(state, scene), scene)
  }
  const mayActivate = isReleased(scene) && scene.isWindowOpen
  if (step === "activating") return mayActivate ? state : { ...state, step: "opened" }
  if (step !== "opened" || !mayActivate) return state
  // What fails from here on fails after the last time at which the rollout was resumed.
  const next: NodeState = { ...state, step: "activating", attempt: view.attempt }
  // Nobody has tried before the wave was released, or the rollout resumed, what may be tried since then.
  return atRelease(mayTrySinceMs(scene) > state.unsureAtMs ? { ...next, unsureAtMs: 0 } : next, 0)
}

/** A controller may have forgotten that it released the wave before, and have been the only one to know. */
function mayTrySinceMs({ plan, view, place = 0, isController }: Scene): number {
  const { releasedAtMs, resumedAtMs, atMs } = view
  const releasedMs = isController ? 0 : (releasedAtMs[place] ?? atMs)
  return Math.max(plan.createdAtMs, resumedAtMs, releasedMs)
}

/** What seems not to be begun may be. */
function doubted(state: NodeState, unsureAtMs: number, { isReplaced }: Scene): NodeState {
  const next: NodeState = { ...state, unsureAtMs }
  if (state.step === "going-back") return { ...next, isBegun: true }
  if (state.step === "activating") return atRelease(next, state.index)
  // What runs is another plan's, though it be the same release: its own plan tells what ran before.
  if (state.step !== "healthy" || isReplaced) return next
  // It may have gone back since, and says that it is healthy only after another look at what runs.
  return atRelease({ ...next, step: "activating" }, 0)
}

/** Begins with a release: where the node cannot be sure, by asking whether it runs. */
function atRelease(state: NodeState, index: number): NodeState {
  if (state.unsureAtMs === 0) return { ...state, index, isBegun: false }
  return { ...state, index, isBegun: true, activated: Math.max(state.activated, index + 1) }
}

/** The releases of a plan are one act: after the first was begun, all are activated or one fails. */
function isUnderWay({ index, isBegun }: NodeState): boolean {
  return index > 0 || isBegun
}

/** What runs is known to be none of the plan's only if none of it was ever tried. */
function ended(state: NodeState): NodeState {
  if (state.activated === 0 && state.unsureAtMs === 0) return { ...state, step: "over" }
  const reason = state.reason === "" ? "the rollout is over" : state.reason
  return failed(state, reason)
}

/** What it was going back to may have been withdrawn meanwhile. */
function stillBack(state: NodeState, { plan, before }: Scene): NodeState {
  if (before.length > 0 || plan.onNoRollback === "deactivate") return state
  return { ...state, step: "stranded", isBegun: false }
}

function withOpened(state: NodeState, path: string, { plan }: Scene): NodeState {
  const opened = [...state.opened, path]
  return { ...state, opened, step: opened.length === plan.releases.length ? "opened" : "staged" }
}

function toProbe(state: NodeState, scene: Scene): NodeState {
  const next: NodeState = { ...state, step: "probing", isBegun: false }
  return scene.plan.probe === undefined ? toNext(next, scene) : next
}

/** An activation that cannot be asked for is not done twice: its probe tells, or nothing does. */
function afterInspection(
  state: NodeState,
  answer: "yes" | "no" | "unknown",
  scene: Scene,
): NodeState {
  if (answer === "yes") return toProbe(state, scene)
  if (answer === "no") return { ...state, isBegun: false }
  if (scene.plan.probe !== undefined) return { ...state, step: "probing", isBegun: false }
  return failed(
    state,
    "the node was stopped while it was activating, and nothing tells how far it got",
  )
}

function afterBackInspection(
  state: NodeState,
  answer: "yes" | "no" | "unknown",
  scene: Scene,
): NodeState {
  if (answer === "yes") return wentBack({ ...state, index: state.index + 1 }, scene)
  if (answer === "no") return { ...state, isBegun: false }
  const reason = "the node was stopped while it was going back, and nothing tells how far it got"
  return { ...state, step: "stranded", isBegun: false, reason }
}

function toNext(state: NodeState, { plan }: Scene): NodeState {
  const index = state.index + 1
  if (index < plan.releases.length) return atRelease({ ...state, step: "activating" }, index)
  return { ...state, step: "healthy", isBegun: false, unsureAtMs: 0, reason: "" }
}

function failed(state: NodeState, reason: string): NodeState {
  return { ...state, step: "failed", isBegun: false, reason }
}

function tryAgain(state: NodeState, { plan, view }: Scene): NodeState {
  const isOpened = state.opened.length === plan.releases.length
  const step = isOpened ? "opened" : "staging"
  return { ...state, step, index: 0, isBegun: false, attempt: view.attempt, reason: "" }
}

/** Without anything to go back to the plan says what becomes of it. */
function goBack(given: NodeState, { plan, before }: Scene): NodeState {
  const reason = given.reason === "" ? "the rollout went back" : given.reason
  // Whoever is not sure may have made all of them run.
  const activated = given.unsureAtMs > 0 ? plan.releases.length : given.activated
  const state = { ...given, activated, reason }
  if (before.length > 0 || plan.onNoRollback === "deactivate") {
    return { ...state, step: "going-back", index: 0, isBegun: state.unsureAtMs > 0 }
  }
  return { ...state, step: "stranded", isBegun: false }
}

function wentBack(state: NodeState, { before }: Scene): NodeState {
  if (state.index >= before.length) {
    return { ...state, isBegun: false, unsureAtMs: 0, step: "went-back" }
  }
  return { ...state, isBegun: state.unsureAtMs > 0, step: "going-back" }
}
