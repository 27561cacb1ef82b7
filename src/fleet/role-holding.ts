/**
 * Drafts for roles whose keys lie elsewhere: who holds which roles from now on, and root and targets signed
 * anew before they run out (protocol/tuf-profile.md §5, drafting).
 * @module
 */

import type { PublicKey } from "../trust/public-key.ts"
import { isRootRole } from "../trust/tuf/fleet-role.ts"
import { rootRolesOf } from "../trust/tuf/role-holders.ts"
import { draftRoot, draftTargets, type RoleSigners, signMetadata } from "../trust/tuf/tuf-author.ts"
import type { FleetChange } from "../trust/tuf/tuf-desk.ts"
import { ROLE_KEYS_MAX } from "../trust/tuf/tuf-limits.ts"
import { FleetError } from "./errors.ts"
import type { Base, Prepare } from "./fleet-author.ts"
import { lifeMsOf } from "./role-renewal.ts"

/** Roles whose keys may be held by several people, away from every node. */
export const AWAY_ROLES = ["root", "targets"] as const

/** Roles that may have several keys: those of stand-bys sign alone, each on its own node. */
export const HELD_ROLES = ["root", "targets", "desk", "access", "plan"] as const

export type HeldRole = (typeof HELD_ROLES)[number]

/** Roles that a node signs for many times a day, and by itself. */
const BUSY_ROLES: readonly HeldRole[] = ["desk", "access"]

/** Who holds which roles. */
export interface Holding {
  readonly roles: readonly HeldRole[]
  readonly keys: readonly PublicKey[]
  readonly threshold: number
}

/** Reads the name of such a role. @throws FleetError `FLEET_REQUEST_INVALID` */
export function parseHeldRole(text: string): HeldRole {
  const role = HELD_ROLES.find((one) => one === text)
  if (role !== undefined) return role
  const shown = JSON.stringify(text.slice(0, 80))
  throw invalid(`${shown} is no role that several hold; these are: ${HELD_ROLES.join(", ")}`)
}

/**
 * Drafts the files that name the holders of roles, and targets signed by them where they are held anew.
 * @throws FleetError `FLEET_REQUEST_INVALID`
 */
export function holding(held: Holding): Prepare {
  verifyHolding(held)
  const { roles, keys, threshold } = held
  const signers: RoleSigners = { keys, threshold }
  return async (base) => {
    const ofRoot = roles.filter(isRootRole)
    const delegated = roles.filter((role) => !isRootRole(role))
    const delegate = new Map(delegated.map((role) => [role, signers]))
    const named = Object.fromEntries(ofRoot.map((role) => [role, signers]))
    const isTargets = roles.includes("targets") || delegate.size > 0
    return {
      ...(ofRoot.length === 0 ? {} : { root: await nextRoot(base, named) }),
      ...(isTargets ? { targets: await nextTargets(base, delegate) } : {}),
    }
  }
}

/** Checks who shall hold roles. @throws FleetError `FLEET_REQUEST_INVALID` */
export function verifyHolding({ roles, keys, threshold }: Holding): void {
  const count = new Set(keys).size
  if (roles.length === 0 || count < keys.length || count < 1 || count > ROLE_KEYS_MAX) {
    throw invalid(`a role is held by 1 to ${ROLE_KEYS_MAX} different keys`)
  }
  if (!Number.isSafeInteger(threshold) || threshold < 1 || threshold > count) {
    throw invalid(`of ${count} keys 1 to ${count} must sign, and not ${threshold}`)
  }
  const busy = roles.find((role) => BUSY_ROLES.includes(role))
  if (busy !== undefined && threshold > 1) {
    throw invalid(
      `role ${busy} is signed by a node alone, so by any one of its keys: give --threshold 1`,
    )
  }
}

/** Drafts the next root and targets, which say what they said. */
export function renewing(roles: readonly (typeof AWAY_ROLES)[number][]): Prepare {
  return async (base) => {
    const change: FleetChange = {
      ...(roles.includes("root") ? { root: await nextRoot(base, {}) } : {}),
      ...(roles.includes("targets") ? { targets: await nextTargets(base) } : {}),
    }
    return change
  }
}

async function nextRoot(
  { repository: { root }, nowMs, signersOf }: Base,
  held: Partial<Record<HeldRole, RoleSigners>>,
): Promise<NonNullable<FleetChange["root"]>> {
  const roles = { ...rootRolesOf(root), ...held }
  const draft = draftRoot(root, roles, nowMs + lifeMsOf("root"))
  return await signMetadata(draft, await signersOf("root"))
}

async function nextTargets(
  { repository: { targets }, nowMs, signersOf }: Base,
  delegate: ReadonlyMap<string, RoleSigners> = new Map(),
): Promise<NonNullable<FleetChange["targets"]>> {
  const expiresMs = nowMs + lifeMsOf("targets")
  const draft = draftTargets("targets", targets, { expiresMs, delegate })
  return await signMetadata(draft, await signersOf("targets"))
}

function invalid(reason: string): FleetError {
  return new FleetError("FLEET_REQUEST_INVALID", reason)
}
