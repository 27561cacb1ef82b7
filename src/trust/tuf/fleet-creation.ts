/**
 * A fleet's first files (protocol/tuf-profile.md §5): made at once when all keys that must sign are at
 * hand; otherwise root and targets are drafted, carried from one key to the next, and completed.
 * @module
 */
import type { Metadata, Root, Targets } from "@tufjs/models"
import type { Signer } from "../signing-key.ts"
import { namingTargets } from "./first-targets.ts"
import { ACCESS_ROLE, PLAN_ROLE, releasesRole, roleOfTarget } from "./fleet-role.ts"
import type { Publication } from "./publication.ts"
import { holdersIn } from "./role-holders.ts"
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

/** A new fleet's first root and targets, for their keys to sign. */
export interface FirstFiles {
  readonly fleet: FleetId
  readonly root: Metadata<Root>
  readonly targets: Metadata<Targets>
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
  const root = draftRoot(undefined, plan, desk.nowMs + LIFE_MS.root)
  const contents = plan.contents?.(fleetIdOfRoot(root)) ?? new Map()
  const targets = draftFirstTargets(plan, contents, desk.nowMs)
  const signed = {
    root: await signMetadata(root, withKeys(signers, plan.root.keys)),
    targets: await signMetadata(targets, withKeys(signers, plan.targets.keys)),
  }
  return completeFleet(signed, contents, { ...desk, signers })
}

/**
 * Drafts a fleet's first root and targets, for keys that lie elsewhere. Its id is known from then on, and
 * is of both.
 */
export function draftFleet(plan: Omit<FleetPlan, "contents">, nowMs: number): FirstFiles {
  const targets = draftFirstTargets(plan, new Map(), nowMs)
  const root = namingTargets(draftRoot(undefined, plan, nowMs + LIFE_MS.root), targets)
  return { fleet: fleetIdOfRoot(root), root, targets }
}

/**
 * Makes a fleet of its first root and targets, once they are signed.
 * @param contents - the first target files by path, of all roles
 * @param options - `signers`: of the desk and of each delegated role that has a target file
 * @throws {@link TrustError} `TUF_SIGNATURES_MISSING`, and what a reader would refuse
 */
export async function completeFleet(
  first: Pick<FirstFiles, "root" | "targets">,
  contents: ReadonlyMap<string, Uint8Array>,
  options: DeskOptions,
): Promise<CreatedFleet> {
  const { nowMs, signers } = options
  const roles = new Map<string, Metadata<Targets>>()
  for (const role of Object.keys(first.targets.signed.delegations?.roles ?? {})) {
    const add = contentsOf(role, contents)
    // A delegated role with nothing to say has no file yet.
    if (add.size === 0) continue
    const draft = draftTargets(role, undefined, { expiresMs: nowMs + lifeOf(role), add })
    roles.set(role, await signMetadata(draft, withKeys(signers, holdersIn(first, role)?.keys)))
  }
  const change = { ...first, roles, contents }
  const desk = { ...options, signers: withKeys(signers, holdersIn(first, "desk")?.keys) }
  return { fleet: fleetIdOfRoot(first.root), ...(await publishFleet(change, desk)) }
}

function draftFirstTargets(
  plan: FleetPlan,
  contents: ReadonlyMap<string, Uint8Array>,
  nowMs: number,
): Metadata<Targets> {
  return draftTargets("targets", undefined, {
    expiresMs: nowMs + LIFE_MS.targets,
    add: contentsOf("targets", contents),
    delegate: delegatedSigners(plan),
  })
}

function contentsOf(
  role: string,
  contents: ReadonlyMap<string, Uint8Array>,
): ReadonlyMap<string, Uint8Array> {
  return new Map([...contents].filter(([path]) => roleOfTarget(path) === role))
}

function delegatedSigners({ access, plan, namespaces }: FleetPlan): Map<string, RoleSigners> {
  const releases = [...(namespaces ?? [])].map(([namespace, signers]) => {
    return [releasesRole(namespace), signers] as const
  })
  return new Map([[ACCESS_ROLE, access], [PLAN_ROLE, plan], ...releases])
}

function lifeOf(role: string): number {
  if (role === ACCESS_ROLE || role === PLAN_ROLE) return LIFE_MS[role]
  return LIFE_MS.releases
}

function withKeys(signers: readonly Signer[], keys: RoleSigners["keys"] = []): readonly Signer[] {
  return signers.filter(({ publicKey }) => keys.includes(publicKey))
}
