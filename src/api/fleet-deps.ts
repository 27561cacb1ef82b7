/**
 * What the routes of the fleet are made of, and what a node without a fleet answers.
 * @module
 */
import { blockedBy } from "../fleet/blocked.ts"
import { FleetError } from "../fleet/errors.ts"
import type { Fleet, Membership } from "../fleet/fleet.ts"
import type { FleetDesk } from "../fleet/fleet-desk.ts"
import { warningsOf } from "../fleet/held-back.ts"
import type { NodeKeys } from "../fleet/node-key-port.ts"
import type { SelfStanding } from "../fleet/self-standing.ts"
import type { TufSource } from "../trust/tuf/tuf-source.ts"
import type { Blocked, Warning } from "./api.ts"

/** The fleet of a node, and what its operator may do. */
export interface FleetDeps {
  readonly desk: FleetDesk
  readonly fleet: Fleet
  /** Left out: nothing can be known against this node. */
  readonly self?: SelfStanding | undefined
  readonly nodeKeys: Pick<NodeKeys, "own" | "of" | "gather" | "accept">
  /** Accepts what is newer in a source of files that nobody trusts (`FleetMember.refresh`). */
  readonly takeFiles: (source: TufSource, options: { signal: AbortSignal }) => Promise<void>
}

/** What the routes of the fleet, and of releases, are made of. */
export interface FleetRouteDeps {
  /** Undefined: this node has no part that knows of fleets. */
  readonly fleet?: FleetDeps | undefined
}

/** Gives the desk of a node. @throws FleetError `NOT_ENROLLED` for one without */
export function deskOf({ fleet }: FleetRouteDeps): FleetDesk {
  if (fleet === undefined) throw notEnrolled()
  return fleet.desk
}

/** Gives the node's place in its fleet. @throws FleetError `NOT_ENROLLED` */
export function membershipOf({ fleet }: FleetRouteDeps): Membership {
  const membership = fleet?.fleet.membership
  if (membership === undefined) throw notEnrolled()
  return membership
}

/** Gives why this node opens, grants and signs nothing. */
export function blockedOf({ fleet }: FleetRouteDeps): readonly Blocked[] {
  const reasons = blockedBy({ self: fleet?.self, membership: fleet?.fleet.membership })
  return reasons.map(({ code, message }) => ({ code, message }))
}

/** Gives what the operator should look at, and what stops nothing. */
export function warningsFor({ fleet }: FleetRouteDeps): readonly Warning[] {
  return warningsOf(fleet?.fleet.membership)
}

/** The error of a node that is in no fleet. */
export function notEnrolled(): FleetError {
  const ways = '"sealift fleet init --name NAME" makes one, "sealift fleet join TOKEN" joins one'
  return new FleetError("NOT_ENROLLED", `this node is in no fleet: ${ways}`)
}
