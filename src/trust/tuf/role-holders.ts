/**
 * Who signs for a role, and until when its word holds, as an accepted set says.
 * @module
 */
import { type Metadata, Root, Targets } from "@tufjs/models"
import { assert } from "../../core/errors.ts"
import type { PublicKey } from "../public-key.ts"
import { type AcceptedSet, CHAIN } from "./accepted-set.ts"
import type { FleetRepository } from "./fleet-repository.ts"
import { soundKey } from "./role-keys.ts"
import type { RoleSigners, RootRoles } from "./tuf-author.ts"

/** A role's file that counts. */
export interface RoleLife {
  readonly role: string
  /** Milliseconds since 1970. */
  readonly expiresAtMs: number
}

/**
 * Gives the keys that sign for a role: one of a root's four, a delegated one, or `desk`.
 * @returns undefined when nobody signs for it
 */
export function signersOfRole(set: AcceptedSet, role: string): RoleSigners | undefined {
  const { above, named } = placeOf(role)
  return signersIn(set.get(above)?.used?.metadata.signed, named)
}

/**
 * Gives the keys that sign for a role, as a repository's root and targets say.
 * @param role - as an operator calls it: `desk` signs snapshot and timestamp
 * @returns undefined when nobody signs for it
 */
export function holdersIn(
  files: Pick<FleetRepository, "root" | "targets">,
  role: string,
): RoleSigners | undefined {
  const { above, named } = placeOf(role)
  return signersIn(files[above].signed, named)
}

/** In which file a role's keys stand, and under which name: an operator calls two roles the desk. */
function placeOf(role: string): { readonly above: "root" | "targets"; readonly named: string } {
  const named = role === "desk" ? "timestamp" : role
  return { above: CHAIN.includes(named) ? "root" : "targets", named }
}

/** Gives the keys that sign for a root's roles: those of its next version, unless they change. */
export function rootRolesOf({ signed }: Metadata<Root>): RootRoles {
  const [root, targets, desk] = ["root", "targets", "timestamp"].map((role) => {
    const signers = signersIn(signed, role)
    assert(signers !== undefined, `a root has the role ${role}`)
    return signers
  })
  return { root: root!, targets: targets!, desk: desk! }
}

function signersIn(signed: unknown, role: string): RoleSigners | undefined {
  const roles = signed instanceof Root ? signed.roles : delegationsOf(signed)?.roles
  const keys = signed instanceof Root ? signed.keys : delegationsOf(signed)?.keys
  const found = Object.hasOwn(roles ?? {}, role) ? roles?.[role] : undefined
  if (found === undefined || keys === undefined) return undefined
  const known = found.keyIDs.flatMap((id): PublicKey[] => {
    const text = keys[id]?.keyVal.public
    return text === undefined ? [] : [soundKey(text)]
  })
  return { keys: known, threshold: found.threshold }
}

/** Gives how long each role's word holds. */
export function livesOf(set: AcceptedSet): readonly RoleLife[] {
  return [...set].flatMap(([role, { used }]) => {
    if (used === undefined) return []
    return [{ role, expiresAtMs: Date.parse(used.metadata.signed.expires) }]
  })
}

function delegationsOf(signed: unknown): Targets["delegations"] {
  return signed instanceof Targets ? signed.delegations : undefined
}
