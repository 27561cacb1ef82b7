/**
 * How long the word of each role holds, and what is signed anew before it runs out
 * (protocol/tuf-profile.md §4, protocol/fleet.md §7).
 * @module
 */
import type { Signer } from "../trust/signing-key.ts"
import { LIFE_MS } from "../trust/tuf/fleet-creation.ts"
import type { FleetRepository } from "../trust/tuf/fleet-repository.ts"
import { ACCESS_ROLE, PLAN_ROLE } from "../trust/tuf/fleet-role.ts"
import { rootRolesOf } from "../trust/tuf/role-holders.ts"
import { draftRoot, draftTargets, signMetadata } from "../trust/tuf/tuf-author.ts"
import type { FleetChange } from "../trust/tuf/tuf-desk.ts"

/** How long what the desk signs holds. */
export const SNAPSHOT_LIFE_MS: number = 7 * 86_400_000
export const TIMESTAMP_LIFE_MS: number = 86_400_000
/** The desk renews at half of a life, the other roles at two thirds. */
const DESK_SHARE = 1 / 2
const ROLE_SHARE = 2 / 3
/** Two timestamps of one version, by desk and stand-by, would hide one from the other's readers. */
const STAND_BY_SHARE = 3 / 4
/**
 * A file that ends this much of a life later than one that is signed now was signed by a clock that was
 * ahead. Its word would hold until then, and whoever keeps newer ones back would profit.
 */
const AHEAD_SHARE = 1 / 4
/** From which shares of a life on it is warned. */
const WARNINGS: readonly (readonly [number, string])[] = [
  [9 / 10, "nine tenths of its life are over"],
  [3 / 4, "three quarters of its life are over"],
  [1 / 2, "half of its life is over"],
]

/** Gives for how long a role signs. */
export function lifeMsOf(role: string): number {
  if (role === "snapshot") return SNAPSHOT_LIFE_MS
  if (role === "timestamp") return TIMESTAMP_LIFE_MS
  if (role === "root" || role === "targets") return LIFE_MS[role]
  return role === ACCESS_ROLE || role === PLAN_ROLE ? LIFE_MS[role] : LIFE_MS.releases
}

/** Tells whether a role's file should be signed anew. */
export function isDue(role: string, expiresAtMs: number, nowMs: number): boolean {
  const share = role === "snapshot" || role === "timestamp" ? DESK_SHARE : ROLE_SHARE
  const spent = spentShare(role, expiresAtMs, nowMs)
  return spent >= share || spent < -AHEAD_SHARE
}

/** Tells whether the desk has been silent for so long that a stand-by renews the timestamp. */
export function isDueAtStandBy(expiresAtMs: number, nowMs: number): boolean {
  return spentShare("timestamp", expiresAtMs, nowMs) >= STAND_BY_SHARE
}

/** Gives what there is to say about the life of a role's file; undefined: it is young. */
export function warningOf(role: string, expiresAtMs: number, nowMs: number): string | undefined {
  if (nowMs >= expiresAtMs) return "it has run out"
  const spent = spentShare(role, expiresAtMs, nowMs)
  return WARNINGS.find(([share]) => spent >= share)?.[1]
}

/** Gives the keys of a role when enough of them are here; none otherwise. */
export type KeyFinder = (role: string) => Promise<readonly Signer[]>

/** Which files are signed anew. */
export interface Renewal {
  readonly nowMs: number
  readonly keyOf: KeyFinder
  /** Every file of these keys, and not only those that are due. */
  readonly isWhole: boolean
}

/**
 * Adds to a change what has to be signed anew by the keys that are here: a set with one file that has
 * run out is not accepted, whatever else is new in it.
 */
export async function withRenewals(
  base: FleetRepository,
  change: FleetChange,
  renewal: Renewal,
): Promise<FleetChange> {
  const { nowMs } = renewal
  const roles = new Map(change.roles)
  let { root, targets } = change
  for (const [role, file] of filesBeside(base, change)) {
    const keys = await keysFor(role, file.signed.expires, renewal)
    if (keys.length === 0) continue
    const draft = draftTargets(role, file, { expiresMs: nowMs + lifeMsOf(role) })
    const signed = await signMetadata(draft, keys)
    if (role === "targets") targets = signed
    else roles.set(role, signed)
  }
  // Each new root is one more that every later joiner reads, so it is renewed only when it is due.
  const rootKeys = await keysFor("root", base.root.signed.expires, { ...renewal, isWhole: false })
  if (root === undefined && rootKeys.length > 0) {
    const draft = draftRoot(base.root, rootRolesOf(base.root), nowMs + lifeMsOf("root"))
    root = await signMetadata(draft, rootKeys)
  }
  return {
    ...change,
    ...(root === undefined ? {} : { root }),
    ...(targets === undefined ? {} : { targets }),
    roles,
  }
}

/** Gives the files of targets roles that a change leaves as they are. */
export function filesBeside(
  base: FleetRepository,
  { targets, roles }: FleetChange,
): readonly (readonly [role: string, file: FleetRepository["targets"]])[] {
  const all = [["targets", base.targets] as const, ...base.roles]
  return all.filter(([role]) => (role === "targets" ? targets : roles?.get(role)) === undefined)
}

async function keysFor(
  role: string,
  expires: string,
  { nowMs, keyOf, isWhole }: Renewal,
): Promise<readonly Signer[]> {
  return isWhole || isDue(role, Date.parse(expires), nowMs) ? keyOf(role) : []
}

function spentShare(role: string, expiresAtMs: number, nowMs: number): number {
  return 1 - (expiresAtMs - nowMs) / lifeMsOf(role)
}
