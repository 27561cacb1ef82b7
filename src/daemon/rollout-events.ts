/**
 * What of rollouts a node writes into its log (protocol/audit-log.md §4, events).
 * @module
 */
import type { Event } from "../audit/event.ts"
import type { PeerId } from "../net/net.ts"
import type { NodeState } from "../rollout/node-machine.ts"
import type { KnownPlan, TakenDecision } from "../rollout/plan-record.ts"
import type { HealthReport } from "../rollout/report.ts"
import type { PlanReceipt } from "../rollout/rollout.ts"

/** A plan was made here. */
export function eventOfPlan({ name, version, digest, channel }: PlanReceipt): Event {
  return {
    event: "rollout.planned",
    facts: { rollout: textOf({ name, version }), digest: digest ?? "", channel },
  }
}

/** The controller decided, here or elsewhere. */
export function eventOfDecision({ known, decision: { said, digest } }: TakenDecision): Event {
  const { act, index, reason } = said
  const wave = act.kind === "release" || act.kind === "rollback" ? { wave: act.wave } : {}
  const facts = { rollout: textOf(known.named), act: act.kind, ...wave, index, digest, reason }
  return { event: "rollout.decided", facts }
}

/** This node came to another step of a plan. */
export function eventOfStep(
  { named }: KnownPlan,
  { step, index, attempt, reason }: NodeState,
): Event {
  const facts = { rollout: textOf(named), step, index, attempt, reason }
  return { event: "rollout.stepped", facts }
}

/** A report that counts came to this controller. */
export function eventOfReport({ named }: KnownPlan, report: HealthReport): Event {
  const { node, outcome, wave, attempt, counter, reason } = report
  return {
    event: "rollout.reported",
    facts: { rollout: textOf(named), node, outcome, wave, attempt, counter, reason },
  }
}

/** A report or a decision that counts for nothing came: somebody is mistaken, or attacks. */
export function eventOfRefusal({ named }: KnownPlan, node: PeerId, code: string): Event {
  return { event: "rollout.refused", facts: { rollout: textOf(named), node, code } }
}

/** The controller said two things. */
export function eventOfConflict({ named, plan }: KnownPlan, reason: string): Event {
  const { controller } = plan.said
  return { event: "rollout.conflict", facts: { rollout: textOf(named), controller, reason } }
}

function textOf({ name, version }: { readonly name: string; readonly version: number }): string {
  return `${name}@${version}`
}
