/**
 * Why a node opens, grants and signs nothing: what is known against it, a clock that is not to be trusted,
 * and what its witnesses have that it has not (protocol/fleet.md §5, restored and cloned state;
 * protocol/witness.md §5, time; protocol/beacon.md §5, judging).
 * @module
 */
import type { HeldBack } from "./beacon-judge.ts"
import type { Membership } from "./fleet.ts"
import { heldBackError } from "./held-back.ts"
import type { SelfFault, SelfStanding } from "./self-standing.ts"
import { type ClockFault, clockBlocked } from "./trusted-time.ts"

/** One reason. */
export interface Blocked {
  readonly code: SelfFault["code"] | "CLOCK_BLOCKED" | "FLEET_HELD_BACK"
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
  readonly membership: Pick<Membership, "clockFault" | "heldBack"> | undefined
}): readonly Blocked[] {
  const fault = self?.fault()
  const clock = membership?.clockFault()
  const heldBack = membership?.heldBack()
  return [
    ...(fault === undefined ? [] : [fault]),
    ...(clock === undefined ? [] : [blockedByClock(clock)]),
    ...(heldBack === undefined ? [] : [blockedByWitnesses(heldBack)]),
  ]
}

function blockedByClock(fault: ClockFault): Blocked {
  return { code: "CLOCK_BLOCKED", message: clockBlocked(fault).message }
}

function blockedByWitnesses(heldBack: HeldBack): Blocked {
  return { code: "FLEET_HELD_BACK", message: heldBackError(heldBack).message }
}
