/**
 * Which statements count for a release, and what follows from them (protocol/release.md §5, deciding).
 * @module
 */
import type { Digest } from "../core/digest.ts"
import { countingDevices, missingParties, type Party, type Policy } from "../trust/policy.ts"
import type { PublicKey } from "../trust/public-key.ts"
import type { Approval } from "./approval.ts"
import type { Decision } from "./decision.ts"
import type { GateGrant } from "./gate-grant.ts"
import { nameOfRelease, type Release } from "./release.ts"
import { isSameRelease, type Signed } from "./signed.ts"
import type { Withdrawal } from "./withdrawal.ts"

/** A keeper's clock may be ahead of a node's by this much (protocol/release.md §5). */
const CLOCK_SKEW_MS_MAX = 300_000

/** What a reader has found out about a release. */
export interface Evidence {
  readonly approvals: readonly Signed<Approval>[]
  readonly withdrawals: readonly Signed<Withdrawal>[]
}

/** From where it is decided. */
export interface Standpoint {
  /** The current policy of the release's namespace. */
  readonly policy: Policy
  /** Of the policy's file. */
  readonly policyDigest: Digest
  /** The keys of the targets role. */
  readonly targetsKeys: ReadonlySet<PublicKey>
  /** Trusted time, milliseconds since 1970. */
  readonly nowMs: number
  /** Whether this reader accepted the release while its policy was the current one. */
  readonly wasAccepted: boolean
}

/** Why an approval does not count. */
export type ApprovalFault =
  /** Another release, or another fleet. */
  | "other-release"
  /** The device is none of that party's under the current policy, or is retired. */
  | "not-of-the-party"
  | "not-yet"
  | "over"
  /** It would outlive the release. */
  | "too-long"
  /** A sealed release without grants, or the other way round. */
  | "grants-wrong"

/**
 * Decides whether a release is approved now. What this reader found before is its own to remember:
 * an approved release stays approved, a withdrawn one withdrawn, whatever becomes of devices.
 * @see protocol/release.md §5, deciding
 */
export function decideRelease(
  release: Signed<Release>,
  { approvals, withdrawals }: Evidence,
  standpoint: Standpoint,
): Decision {
  const withdrawn = withdrawals.find((one) => isWithdrawalOf(one, release, standpoint)) // step 1
  if (withdrawn !== undefined) {
    const { by, reason } = withdrawn.said
    return { kind: "withdrawn", by, reason }
  }
  if (standpoint.nowMs > release.said.expiresAtMs) return { kind: "expired" } // step 2
  if (!isUnderPolicy(release.said, standpoint)) return { kind: "policy-not-current" } // step 3
  // Step 4.
  const counting = approvals.filter((one) => !faultOfApproval(one.said, release, standpoint))
  const devices = new Set(counting.map(({ said }) => said.device))
  const parties = partiesMissing(release.said, standpoint.policy, devices)
  return parties.length > 0 ? { kind: "missing", parties } : { kind: "approved", devices }
}

/**
 * Tells why an approval does not count.
 * @returns undefined when it does
 * @see protocol/release.md §5, counting an approval
 */
export function faultOfApproval(
  approval: Approval,
  release: Signed<Release>,
  { policy, nowMs }: Pick<Standpoint, "policy" | "nowMs">,
): ApprovalFault | undefined {
  if (!isAbout(approval, release)) return "other-release"
  const party = policy.parties.find(({ name }) => name === approval.party)
  if (party === undefined || !isDeviceOf(party, approval.device)) return "not-of-the-party"
  if (nowMs < approval.notBeforeMs) return "not-yet"
  if (nowMs > approval.notAfterMs) return "over"
  if (approval.notAfterMs > release.said.expiresAtMs) return "too-long"
  const isSealed = release.said.content.visibility === "sealed"
  return isSealed === approval.grants.count > 0 ? undefined : "grants-wrong"
}

/** Tells whether a withdrawal counts for a release. */
export function isWithdrawalOf(
  { said, signers }: Signed<Withdrawal>,
  release: Signed<Release>,
  { policy, targetsKeys }: Pick<Standpoint, "policy" | "targetsKeys">,
): boolean {
  const { by } = said
  if (!isAbout(said, release)) return false
  if (by.kind === "targets") return [...signers].some((key) => targetsKeys.has(key))
  const party = policy.parties.find(({ name }) => name === by.name)
  return party !== undefined && [...signers].some((key) => isDeviceOf(party, key))
}

/**
 * Tells whether a gate's grant counts for a node.
 * @see protocol/release.md §5, counting a gate's grant
 */
export function isGateGrantFor(
  grant: GateGrant,
  release: Signed<Release>,
  { policy, nowMs, node }: Pick<Standpoint, "policy" | "nowMs"> & { readonly node: string },
): boolean {
  const { gate } = policy
  return (
    isAbout(grant, release) &&
    gate !== undefined &&
    isDeviceOf(gate, grant.device) &&
    grant.node === node &&
    // Its seven days would be any seven days if it could begin later.
    grant.issuedAtMs <= nowMs + CLOCK_SKEW_MS_MAX &&
    nowMs <= grant.notAfterMs &&
    grant.notAfterMs <= release.said.expiresAtMs
  )
}

function isAbout(
  { fleet, release: named }: Pick<Approval, "fleet" | "release">,
  release: Signed<Release>,
): boolean {
  return fleet === release.said.fleet && isSameRelease(named, nameOfRelease(release))
}

/** policy.md §5, is a release approved, step 1. */
function isUnderPolicy(
  release: Release,
  { policy, policyDigest, wasAccepted }: Standpoint,
): boolean {
  if (release.fleet !== policy.fleet || release.asset.namespace !== policy.namespace) return false
  const { version, digest } = release.policy
  if (version === policy.version) return digest === policyDigest
  return version < policy.version && policy.openable.includes(version) && wasAccepted
}

/** policy.md §5, steps 2 and 3: a party that the current policy has no more is missing for ever. */
function partiesMissing(
  { parties }: Release,
  policy: Policy,
  devices: ReadonlySet<PublicKey>,
): readonly string[] {
  const present = policy.parties.filter(({ name }) => parties.includes(name))
  const names = new Set(present.map(({ name }) => name))
  const missing = new Set(missingParties({ ...policy, parties: present }, devices))
  return parties.filter((name) => !names.has(name) || missing.has(name))
}

function isDeviceOf(party: Party, key: PublicKey): boolean {
  return countingDevices(party).some((device) => device.key === key)
}
