/**
 * Why a node opens, grants and signs nothing: what is known against it, and a clock that is not to be
 * trusted (protocol/fleet.md §5, restored and cloned state; protocol/witness.md §5, time).
 * @module
 */
import type { SelfFault, SelfStanding } from "./self-standing.ts"
import { type ClockFault, clockBlocked } from "./trusted-time.ts"

/** One reason. */
export interface Blocked {
  readonly code: SelfFault["code"] | "CLOCK_BLOCKED"
  /** For the operator: what it is, and what ends it. */
  readonly message: string
}

/** Gives the reasons, what is known against the node first; none when nothing stops it. */
export function blockedBy({
  self,
  membership,
}: {
  /** Undefined: nothing can be known against this node. */
  readonly self: Pick<SelfStanding, "fault"> | undefined
  readonly membership: { clockFault(): ClockFault | undefined } | undefined
}): readonly Blocked[] {
  const fault = self?.fault()
  const clock = membership?.clockFault()
  return [
    ...(fault === undefined ? [] : [fault]),
    ...(clock === undefined ? [] : [blockedByClock(clock)]),
  ]
}

function blockedByClock(fault: ClockFault): Blocked {
  return { code: "CLOCK_BLOCKED", message: clockBlocked(fault).message }
}
