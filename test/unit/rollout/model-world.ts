/**
 * A model of a fleet that carries a rollout: the real `advance`, `workOf`, `follow` and `judge`, and as
 * little around them as they need. Every act is one step; what is kept is kept between two steps, so a
 * crash or an older copy may come between any two.
 */
import type { Digest } from "../../../src/core/digest.ts"
import type { PeerId } from "../../../src/net/net.ts"
import type { Act, Decision } from "../../../src/rollout/decision.ts"
import {
  type ActiveRelease,
  BEGIN,
  type NodeState,
  type Scene,
} from "../../../src/rollout/node-machine.ts"
import type { Plan } from "../../../src/rollout/plan.ts"
import type { NamedPlan } from "../../../src/rollout/plan-subject.ts"
import type { Outcome } from "../../../src/rollout/report.ts"
import { type RolloutView, UNDECIDED } from "../../../src/rollout/rollout-view.ts"
import type { ReceivedReport } from "../../../src/rollout/wave-judging.ts"
import { activeOf, digestFor, OPEN_PLAN, peerOf, releaseOf } from "./rollout-scene.ts"

/** Time in the model: a soak is five ticks, a deadline ten. */
export const SOAK = 5
export const DEADLINE = 10
/** Older copies that a node, or the controller, may be put back from. */
export const COPIES = 3
export const NAMED_PLAN: NamedPlan = { name: "model-1", version: 1, digest: digestFor("the plan") }

/** What is the same in a whole run. */
export interface ModelRules {
  readonly plan: Plan
  /** The wave of each node; the number of waves: it comes late. */
  readonly places: readonly number[]
  /** Whether what runs can be asked for: links and containers, not programs. */
  readonly isAskable: boolean
  /** Whether decisions are witnessed: a witness signs one for a number, and forgets nothing. */
  readonly isWitnessed: boolean
  /** Whether anything ran before. */
  readonly hasBefore: boolean
}

export interface ModelDecision {
  readonly said: Decision
  readonly digest: Digest
}

/** What a node keeps. */
export interface KeptNode {
  readonly state: NodeState
  readonly before: readonly ActiveRelease[]
  readonly active: readonly ActiveRelease[]
  readonly chain: readonly ModelDecision[]
  readonly view: RolloutView
}

/** What it has said last. */
export interface ModelReport {
  readonly outcome: Outcome
  readonly attempt: number
  readonly counter: number
  readonly opensAtMs: number | undefined
}

export interface ModelNode {
  readonly kept: KeptNode
  /** The copies, the oldest first. */
  readonly copies: readonly KeptNode[]
  readonly isUp: boolean
  readonly isLinked: boolean
  readonly isWindowOpen: boolean
  /** Whether its probe finds the release well. */
  readonly isWell: boolean
  /** Whether what ran before may run again. */
  readonly isBeforeAllowed: boolean
  /** Of this start. */
  readonly scene: Scene | undefined
  readonly isDoing: boolean
  /** Whether it has a link to anybody since: by then it is known that it was put back. */
  readonly isKnown: boolean
  /** Whether it compared its decisions with what others have, since. */
  readonly hasMet: boolean
  /** How many decisions those had whom it met first, and whom it compared its own with last. */
  readonly metCount: number
  readonly isSureMet: boolean
  readonly isCopy: boolean
  readonly hasDoubted: boolean
  readonly reported: string
  readonly reports: readonly ModelReport[]
  readonly counter: number
  /** What runs, by the place of each release; it outlives everything. */
  readonly runs: readonly (Digest | undefined)[]
  /** What took effect and has not been undone, as `ATTEMPT/INDEX`. */
  readonly effects: readonly string[]
  /** When it was first healthy. */
  readonly wellAt: number | undefined
}

export interface KeptController {
  readonly chain: readonly ModelDecision[]
  readonly view: RolloutView
  readonly reports: ReadonlyMap<PeerId, ReceivedReport>
}

export interface ModelController {
  readonly kept: KeptController
  readonly copies: readonly KeptController[]
  readonly isUp: boolean
  readonly isMet: boolean
}

/** One moment of the model. */
export interface ModelWorld {
  readonly rules: ModelRules
  readonly now: number
  readonly nodes: readonly ModelNode[]
  readonly controller: ModelController
  /** Decisions on their way, any number of times. */
  readonly notices: readonly ModelDecision[]
  /** What the witness has signed, by number. */
  readonly witnessed: readonly Digest[]
  /** Every act that was ever decided, forgotten or not. */
  readonly decided: readonly Act[]
  /** How many decisions were made: their digests are distinct. */
  readonly made: number
}

/** Gives the plan of a model. */
export function modelPlan(
  change: Partial<Plan>,
  { waves, releases }: { waves: number; releases: number },
): Plan {
  return {
    ...OPEN_PLAN,
    // Time begins at 1,000: a plan that is newer than a copy would tell that nothing of it was tried.
    createdAtMs: 1,
    window: { fromMinute: 0, toMinute: 1, days: [1] },
    releases: Array.from({ length: releases }, (_, index) => releaseOf(`model-${index}`, 2)),
    waves: Array.from({ length: waves }, (_, index) => ({
      ...{ name: `wave-${index}`, select: { kind: "all" as const }, amount: undefined },
      soakMs: SOAK,
    })),
    reportDeadlineMs: DEADLINE,
    ...change,
  }
}

export const peers: readonly PeerId[] = [11, 12, 13, 14].map(peerOf)

/** Gives the nodes of each wave. */
export function wavesOf({ plan, places }: ModelRules): readonly (readonly PeerId[])[] {
  return plan.waves.map((_, wave) =>
    places.flatMap((place, node) => (place === wave ? [peers[node]!] : [])),
  )
}

/** The moment before anything is decided. */
export function beginning(rules: ModelRules): ModelWorld {
  const { plan, places, hasBefore } = rules
  const old = plan.releases.map(({ asset: { name } }) => activeOf(releaseOf(name, 1)))
  const active = hasBefore ? old : []
  const kept: KeptNode = { state: BEGIN, before: [], active, chain: [], view: UNDECIDED }
  const node: ModelNode = {
    ...{ kept, copies: [], isUp: true, isLinked: true, isWindowOpen: true, isWell: true },
    ...{ isBeforeAllowed: true, scene: undefined, isDoing: false, hasMet: false },
    ...{ isKnown: false, metCount: 0 },
    ...{ isSureMet: false, isCopy: false, hasDoubted: false, reported: "", reports: [] },
    ...{ counter: 0, runs: old.map(({ release }) => (hasBefore ? release.digest : undefined)) },
    ...{ effects: [], wellAt: undefined },
  }
  const empty: KeptController = { chain: [], view: UNDECIDED, reports: new Map() }
  return {
    ...{ rules, now: 1_000, nodes: places.map(() => node), notices: [], witnessed: [] },
    controller: { kept: empty, copies: [], isUp: true, isMet: false },
    ...{ decided: [], made: 0 },
  }
}
