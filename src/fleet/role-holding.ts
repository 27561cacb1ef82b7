/**
 * Drafts for roles whose keys lie elsewhere: who holds root and targets from now on, and both signed anew
 * before they run out (protocol/tuf-profile.md §5, drafting).
 * @module
 */
import type { PublicKey } from "../trust/public-key.ts"
import { rootRolesOf } from "../trust/tuf/role-holders.ts"
import { draftRoot, draftTargets, type RoleSigners, signMetadata } from "../trust/tuf/tuf-author.ts"
import type { FleetChange } from "../trust/tuf/tuf-desk.ts"
import { FleetError } from "./errors.ts"
import type { Base, Prepare } from "./fleet-author.ts"
import { lifeMsOf } from "./role-renewal.ts"

/** Roles whose keys may be held by several people, away from every node. */
export const HELD_ROLES = ["root", "targets"] as const

export type HeldRole = (typeof HELD_ROLES)[number]

/** As many keys as a role may have (protocol/tuf-profile.md §4). */
const KEYS_MAX = 16

/** Who holds which roles. */
export interface Holding {
  readonly roles: readonly HeldRole[]
  readonly keys: readonly PublicKey[]
  readonly threshold: number
}

/**
 * Drafts a root that names the holders of roles, and targets signed by them where they are held anew.
 * @throws FleetError `FLEET_REQUEST_INVALID`
 */
export function holding({ roles, keys, threshold }: Holding): Prepare {
  const count = new Set(keys).size
  if (roles.length === 0 || count < keys.length || count < 1 || count > KEYS_MAX) {
    throw invalid(`a role is held by 1 to ${KEYS_MAX} different keys`)
  }
  if (!Number.isSafeInteger(threshold) || threshold < 1 || threshold > count) {
    throw invalid(`of ${count} keys 1 to ${count} must sign, and not ${threshold}`)
  }
  const signers: RoleSigners = { keys, threshold }
  return async (base) => {
    const held = Object.fromEntries(roles.map((role) => [role, signers]))
    const root = await nextRoot(base, held)
    return roles.includes("targets") ? { root, targets: await nextTargets(base) } : { root }
  }
}

/** Drafts the next root and targets, which say what they said. */
export function renewing(roles: readonly HeldRole[]): Prepare {
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

async function nextTargets({
  repository: { targets },
  nowMs,
  signersOf,
}: Base): Promise<NonNullable<FleetChange["targets"]>> {
  const draft = draftTargets("targets", targets, { expiresMs: nowMs + lifeMsOf("targets") })
  return await signMetadata(draft, await signersOf("targets"))
}

function invalid(reason: string): FleetError {
  return new FleetError("FLEET_REQUEST_INVALID", reason)
}
