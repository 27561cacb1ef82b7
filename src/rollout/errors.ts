/**
 * What can be wrong with plans, decisions and reports (protocol/rollout.md §6).
 * @module
 */
import { CodedError } from "../core/errors.ts"
import type { Refuse } from "../core/section.ts"

export type RolloutErrorCode =
  /** A file or request for a plan, or for an activation, that is none; the reason names the key and what is allowed. */
  | "PLAN_INVALID"
  | "PLAN_NOT_FOUND"
  /** An older version than one that was accepted. */
  | "PLAN_ROLLBACK"
  | "PLAN_EXPIRED"
  /** Another rollout of the channel is not over. */
  | "CHANNEL_BUSY"
  /** Another node decides by this plan. */
  | "NOT_CONTROLLER"
  | "DECISION_INVALID"
  /** It does not follow from what was decided before, or two differ. */
  | "DECISION_CONFLICT"
  /** Too few of the fleet's witnesses have cosigned it: it is not followed yet. */
  | "DECISION_UNWITNESSED"
  /** An operator asks for what cannot be done in the state in which the rollout is. */
  | "ROLLOUT_STATE_WRONG"
  | "REPORT_INVALID"
  /** A message of a peer that is none. */
  | "ROLLOUT_MESSAGE_MALFORMED"
  | "ROSTER_INVALID"
  /** The node's own configuration does not allow it. */
  | "ACTIVATION_REFUSED"
  | "ACTIVATION_FAILED"
  /** A release below the floor of the newest one. */
  | "BELOW_FLOOR"

/** An error of rollouts. */
export class RolloutError extends CodedError<RolloutErrorCode> {}

/** Gives errors of one code. */
export function refusal(code: RolloutErrorCode): Refuse {
  return (reason, cause) => new RolloutError(code, reason, { cause })
}
