/**
 * The list of plans stays without enough signatures when its role was given to keys that lie elsewhere:
 * nothing of it counts then, until they sign the next plan (protocol/tuf-profile.md §5, publishing 1).
 * @module
 */
import type { FleetRepository } from "../trust/tuf/fleet-repository.ts"
import { PLAN_ROLE } from "../trust/tuf/fleet-role.ts"
import { holdersIn } from "../trust/tuf/role-holders.ts"
import type { RoleSigners } from "../trust/tuf/tuf-author.ts"
import type { FleetChange } from "../trust/tuf/tuf-desk.ts"
import { countSignatures, hasSigned, isSigned } from "./draft-signing.ts"

/** Gives a change that may leave the list as it is. One that is signed anew must be signed enough. */
export function leavingPlans(
  { root, targets: before, roles }: Pick<FleetRepository, "root" | "targets" | "roles">,
  change: FleetChange,
): FleetChange {
  const { targets = before } = change
  const list = roles.get(PLAN_ROLE)
  const holders = holdersIn({ root, targets }, PLAN_ROLE)
  if (list === undefined || holders === undefined || change.roles?.has(PLAN_ROLE) === true) {
    return change
  }
  if (isSignedEnough(list, holders)) return change
  return { ...change, mayLack: new Set([...(change.mayLack ?? []), PLAN_ROLE]) }
}

/** Whether enough of the keys that sign for a role now have signed its file. */
export function isSignedEnough(file: FleetRepository["targets"], holders: RoleSigners): boolean {
  return isSigned(countSignatures(holders, (key) => hasSigned(file, key)))
}
