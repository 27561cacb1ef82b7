/**
 * Accepting a release, by a node or a device: all checks that need no memory
 * (protocol/release.md §5, accepting a release).
 * @module
 */
import type { Digest } from "../core/digest.ts"
import type { Policy } from "../trust/policy.ts"
import type { PublicKey } from "../trust/public-key.ts"
import { type AssetVersion, formatAssetVersion } from "./asset-name.ts"
import { ReleaseError } from "./errors.ts"
import { type KnownFileKeys, type Release, readRelease } from "./release.ts"
import { verifyUnderPolicy } from "./release-policy.ts"
import type { Signed } from "./signed.ts"

/** The clock of who publishes may be ahead of a reader's by this much. */
export const CLOCK_SKEW_MS_MAX = 300_000

/** From where a release is accepted. */
export interface AcceptanceTrust {
  readonly fleet: string
  /** Who may publish in the namespace. */
  readonly keys: ReadonlySet<PublicKey>
  /** The current policy of the namespace. */
  readonly policy: Policy
  readonly policyDigest: Digest
  /** Trusted time, milliseconds since 1970. */
  readonly nowMs: number
  readonly known: KnownFileKeys
}

/** A release that was read, and whether it is as its policy asks. */
export interface ReadRelease {
  readonly release: Signed<Release>
  /** False when its policy is an earlier one: then it counts only for who accepted it before. */
  readonly isUnderPolicy: boolean
}

/**
 * Reads a release that the fleet lists, and checks it.
 * @param asset - what it is listed as
 * @throws {@link TrustError} as `readStatement`; {@link SealError} as `verifyRelease`;
 * {@link ReleaseError} `RELEASE_INVALID`, `RELEASE_NOT_YET`, `RELEASE_EXPIRED`,
 * `POLICY_NOT_CURRENT`, `POLICY_PARTIES_DIFFER`, `POLICY_FORBIDS`
 */
export function acceptRelease(
  envelope: Uint8Array,
  asset: AssetVersion,
  trust: AcceptanceTrust,
): ReadRelease {
  const release = readRelease(envelope, trust, trust.known)
  const { said } = release
  const text = formatAssetVersion(said.asset)
  if (text !== formatAssetVersion(asset)) {
    throw new ReleaseError("RELEASE_INVALID", `${text} is listed as ${formatAssetVersion(asset)}`)
  }
  if (said.createdAtMs > trust.nowMs + CLOCK_SKEW_MS_MAX) {
    throw new ReleaseError("RELEASE_NOT_YET", `${text} says it is made at ${said.createdAtMs}`)
  }
  if (trust.nowMs > said.expiresAtMs) {
    throw new ReleaseError(
      "RELEASE_EXPIRED",
      `${text} ended at ${new Date(said.expiresAtMs).toISOString()}`,
    )
  }
  if (said.policy.version < trust.policy.version) return { release, isUnderPolicy: false }
  verifyUnderPolicy(said, { policy: trust.policy, digest: trust.policyDigest })
  return { release, isUnderPolicy: true }
}
