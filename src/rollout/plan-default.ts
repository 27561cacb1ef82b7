/**
 * What the file of a plan may leave out, and what holds then (protocol/rollout.md §4, the plan's file).
 * @module
 */
import type { ErrorRule, Plan, SuccessRule } from "./plan.ts"

const MINUTE_MS = 60_000

/** Each is documented for people in docs and on the protocol page; here is the only place of its value. */
export interface PlanDefaults {
  readonly channel: string
  /** Between a wave and the next one. */
  readonly soakMs: number
  readonly success: SuccessRule
  readonly error: ErrorRule
  readonly reportDeadlineMs: number
  readonly silence: Plan["silence"]
  readonly onNoRollback: Plan["onNoRollback"]
  /** Days on which a window begins: all. */
  readonly windowDays: readonly number[]
  /** From the creation of a plan: whoever is enrolled meanwhile still goes by it. */
  readonly lifeMs: number
  /** From a wave of a ramp to the next one. */
  readonly rampFactor: number
  readonly activationTimeoutMs: number
  readonly probeTimeoutMs: number
  readonly probeRetries: number
  readonly probeIntervalMs: number
}

export const PLAN_DEFAULTS: PlanDefaults = {
  channel: "default",
  soakMs: 0,
  success: { percent: 90, minSample: 1 },
  error: { percent: 15, count: undefined, action: "pause" },
  reportDeadlineMs: 60 * MINUTE_MS,
  silence: "failure",
  onNoRollback: "keep",
  windowDays: [1, 2, 3, 4, 5, 6, 7],
  lifeMs: 90 * 24 * 60 * MINUTE_MS,
  rampFactor: 2,
  activationTimeoutMs: 5 * MINUTE_MS,
  probeTimeoutMs: 10_000,
  probeRetries: 3,
  probeIntervalMs: 5_000,
}
