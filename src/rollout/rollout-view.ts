/**
 * How far a rollout is: what follows from its decisions, for whoever reads them in order
 * (protocol/rollout.md §5, following decisions).
 * @module
 */
import type { Digest } from "../core/digest.ts"
import type { Signed } from "../release/signed.ts"
import { type ActKind, DECISIONS_MAX, type Decision, type RosterRoot } from "./decision.ts"
import { RolloutError } from "./errors.ts"
import type { Plan } from "./plan.ts"
import { isSamePlan, type NamedPlan } from "./plan-subject.ts"

export type RolloutPhase = "created" | "running" | "paused" | "aborted" | "completed"

export interface RolloutView {
  readonly phase: RolloutPhase
  /** Decisions so far, and the last one's digest. */
  readonly count: number
  readonly last: Digest | undefined
  readonly roster: RosterRoot | undefined
  /** When each wave was released, milliseconds since 1970, in their order. */
  readonly releasedAtMs: readonly number[]
  /** How often it was resumed. */
  readonly attempt: number
  /** When it was last resumed; 0: never. */
  readonly resumedAtMs: number
  /** Nodes of this wave and later ones go back; undefined: nobody does. */
  readonly backFrom: number | undefined
  /** Of the last decision. */
  readonly reason: string
  readonly atMs: number
}

/** What nothing was decided of. */
export const UNDECIDED: RolloutView = {
  phase: "created",
  count: 0,
  last: undefined,
  roster: undefined,
  releasedAtMs: [],
  attempt: 0,
  resumedAtMs: 0,
  backFrom: undefined,
  reason: "",
  atMs: 0,
}

/** In which phases an act may be decided. */
const ALLOWED: Readonly<Record<ActKind, readonly RolloutPhase[]>> = {
  start: ["created"],
  release: ["running"],
  pause: ["running"],
  resume: ["paused"],
  abort: ["created", "running", "paused"],
  rollback: ["running", "paused", "aborted", "completed"],
  complete: ["running"],
}

/** Tells whether an act may come next. */
export function mayAct(view: RolloutView, act: ActKind): boolean {
  return ALLOWED[act].includes(view.phase) && view.count < DECISIONS_MAX
}

/**
 * Gives the view after one more decision.
 * @throws {@link RolloutError} `DECISION_CONFLICT` when it does not follow
 */
export function follow(
  view: RolloutView,
  { said, digest }: Pick<Signed<Decision>, "said" | "digest">,
  { plan, named }: { readonly plan: Plan; readonly named: NamedPlan },
): RolloutView {
  const { index, previous, act, atMs, reason } = said
  if (!isSamePlan(said.plan, named)) throw conflict("it is of another plan")
  if (index !== view.count || previous !== view.last) {
    throw conflict(`decision ${index} does not follow the ${view.count} that are known`)
  }
  if (atMs > plan.expiresAtMs) throw conflict("it was decided after the plan had ended")
  if (!mayAct(view, act.kind)) throw conflict(`${act.kind} of a rollout that is ${view.phase}`)
  return {
    ...view,
    ...changeOf(view, said, plan.waves),
    ...after({ index, digest, atMs, reason }),
  }
}

function after(decision: {
  readonly index: number
  readonly digest: Digest
  readonly atMs: number
  readonly reason: string
}): Pick<RolloutView, "count" | "last" | "atMs" | "reason"> {
  const { index, digest, atMs, reason } = decision
  return { count: index + 1, last: digest, atMs, reason }
}

function changeOf(
  view: RolloutView,
  { act, atMs }: Decision,
  waves: Plan["waves"],
): Partial<RolloutView> {
  const released = view.releasedAtMs.length
  switch (act.kind) {
    case "start":
      return { phase: "running", roster: act.roster }
    case "release":
      if (act.wave !== released || act.wave >= waves.length) {
        throw conflict(`wave ${act.wave} is not next`)
      }
      return { releasedAtMs: [...view.releasedAtMs, atMs] }
    case "pause":
      return { phase: "paused" }
    case "resume":
      return { phase: "running", attempt: view.attempt + 1, resumedAtMs: atMs }
    case "abort":
      return { phase: "aborted" }
    case "rollback":
      if (act.wave >= Math.max(released, 1)) {
        throw conflict(`wave ${waves[act.wave]?.name ?? act.wave} was not released`)
      }
      return { phase: "aborted", backFrom: Math.min(act.wave, view.backFrom ?? act.wave) }
    case "complete":
      if (released < waves.length) throw conflict("not every wave is released")
      return { phase: "completed" }
  }
}

function conflict(reason: string): RolloutError {
  return new RolloutError("DECISION_CONFLICT", `the decision is refused: ${reason}`)
}
