/**
 * What the control API says of rollouts (docs/api.md).
 * @module
 */
import type { PlanReceipt, RolloutReport } from "../rollout/rollout.ts"

/** A release as rollouts name it. */
export interface RolledRelease {
  /** `NAMESPACE/NAME@SEQUENCE`. */
  readonly ref: string
  readonly digest: string
}

/** A plan that was made, or would be. */
export interface PlanAnswer extends Omit<PlanReceipt, "releases" | "digest"> {
  readonly releases: readonly RolledRelease[]
  /** Null: a dry run. */
  readonly digest: string | null
}

export interface RolloutAnswer extends Omit<RolloutReport, "releases"> {
  readonly releases: readonly RolledRelease[]
}

export interface RolloutsAnswer {
  readonly rollouts: readonly RolloutAnswer[]
}

/** A rollout that is followed: whenever something has changed. */
export interface RolloutLine {
  readonly type: "rollout"
  readonly rollout: RolloutAnswer
}
