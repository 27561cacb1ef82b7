/**
 * A fleet's first files, when all keys that must sign are at hand (protocol/tuf-profile.md §5).
 * With keys in several places the drafts of `tuf-author.ts` are carried from one to the next
 * instead.
 * @module
 */
import type { Metadata, Targets } from "@tufjs/models"
import { assert } from "../../core/errors.ts"
import type { Signer } from "../signing-key.ts"
import { ACCESS_ROLE, PLAN_ROLE, releasesRole, roleOfTarget } from "./fleet-role.ts"
import type { Publication } from "./publication.ts"
import {
  draftRoot,
  draftTargets,
  type RoleSigners,
  type RootRoles,
  signMetadata,
} from "./tuf-author.ts"
import { type FleetId, fleetIdOfRoot } from "./tuf-bytes.ts"
import { type DeskOptions, publishFleet } from "./tuf-desk.ts"

const DAY_MS = 86_400_000
/** How long a role's word holds unless told otherwise (protocol/tuf-profile.md §7). */
export const LIFE_MS: Readonly<
  Record<"root" | "targets" | "access" | "plan" | "releases", number>
> = {
  root: 365 * DAY_MS,
  targets: 180 * DAY_MS,
  access: 14 * DAY_MS,
  plan: 180 * DAY_MS,
  releases: 180 * DAY_MS,
}

/** What a new fleet is made of. */
export interface FleetPlan extends RootRoles {
  readonly access: RoleSigners
  readonly plan: RoleSigners
  /** Who signs the releases of each namespace. */
  readonly namespaces?: ReadonlyMap<string, RoleSigners>
  /** Gives the first target files by path; they name the fleet, so its id comes first. */
  readonly contents?: (fleet: FleetId) => ReadonlyMap<string, Uint8Array>
}

/** A new fleet. */
export interface CreatedFleet extends Publication {
  readonly fleet: FleetId
}

/**
 * Creates a fleet.
 * @param signers - of every role enough; each signs for the roles that have its key
 * @throws {@link TrustError} `TUF_SIGNATURES_MISSING` when a role has too few; `KEY_WEAK`,
 * `TUF_DELEGATION_WRONG`
 */
export async function createFleet(
  plan: FleetPlan,
  signers: readonly Signer[],
  desk: Omit<DeskOptions, "signers">,
): Promise<CreatedFleet> {
  const { nowMs } = desk
  const rootDraft = draftRoot(undefined, plan, nowMs + LIFE_MS.root)
  const fleet = fleetIdOfRoot(rootDraft)
  const contents = plan.contents?.(fleet) ?? new Map<string, Uint8Array>()
  const delegate = delegatedSigners(plan)
  const roles = new Map<string, Metadata<Targets>>()
  for (const [role, { keys }] of [["targets", plan.targets] as const, ...delegate]) {
    const add = new Map([...contents].filter(([path]) => roleOfTarget(path) === role))
    // A delegated role with nothing to say has no file yet.
    if (add.size === 0 && role !== "targets") continue
    const expiresMs = nowMs + lifeOf(role)
    const change = { expiresMs, add, ...(role === "targets" ? { delegate } : {}) }
    const draft = draftTargets(role, undefined, change)
    roles.set(role, await signMetadata(draft, withKeys(signers, keys)))
  }
  const root = await signMetadata(rootDraft, withKeys(signers, plan.root.keys))
  const targets = roles.get("targets")
  assert(targets !== undefined, "the targets role is always drafted")
  roles.delete("targets")
  const options = { ...desk, signers: withKeys(signers, plan.desk.keys) }
  return { fleet, ...(await publishFleet({ root, targets, roles, contents }, options)) }
}

function delegatedSigners({ access, plan, namespaces }: FleetPlan): Map<string, RoleSigners> {
  const releases = [...(namespaces ?? [])].map(([namespace, signers]) => {
    return [releasesRole(namespace), signers] as const
  })
  return new Map([[ACCESS_ROLE, access], [PLAN_ROLE, plan], ...releases])
}

function lifeOf(role: string): number {
  if (role === "targets" || role === ACCESS_ROLE || role === PLAN_ROLE) return LIFE_MS[role]
  return LIFE_MS.releases
}

function withKeys(signers: readonly Signer[], keys: RoleSigners["keys"]): readonly Signer[] {
  return signers.filter(({ publicKey }) => keys.includes(publicKey))
}
