/**
 * What was decided about a release, as a value and as an error (protocol/release.md §5, deciding).
 * @module
 */
import { unreachable } from "../core/errors.ts"
import type { PublicKey } from "../trust/public-key.ts"
import { formatAssetVersion } from "./asset-name.ts"
import { ReleaseError } from "./errors.ts"
import type { Release } from "./release.ts"
import type { Withdrawer } from "./withdrawal.ts"

/** May the release be opened and activated? */
export type Decision =
  /** `devices`: those whose approvals count, in no order. */
  | { readonly kind: "approved"; readonly devices: ReadonlySet<PublicKey> }
  /** `parties`: those of whom there are too few, in the release's order. */
  | { readonly kind: "missing"; readonly parties: readonly string[] }
  | { readonly kind: "withdrawn"; readonly by: Withdrawer; readonly reason: string }
  | { readonly kind: "expired" }
  | { readonly kind: "policy-not-current" }

/**
 * Turns any decision but `approved` into its error.
 * @throws {@link ReleaseError} `RELEASE_WITHDRAWN`, `RELEASE_EXPIRED`, `POLICY_NOT_CURRENT`,
 * `APPROVALS_MISSING`
 */
export function verifyApproved(release: Release, decision: Decision): void {
  switch (decision.kind) {
    case "approved":
      return
    case "withdrawn": {
      const { by, reason } = decision
      const name = by.kind === "party" ? by.name : "the targets role"
      const message = `taken back by ${name}: ${reason}`
      throw new ReleaseError("RELEASE_WITHDRAWN", message, { details: { by: name } })
    }
    case "expired":
      throw new ReleaseError(
        "RELEASE_EXPIRED",
        `the release ended at ${new Date(release.expiresAtMs).toISOString()}`,
      )
    case "policy-not-current": {
      const { asset, policy } = release
      const again = `"sealift publish ${asset.namespace}/${asset.name} --reissue ${asset.sequence}" issues it anew`
      const message = `the release is under policy ${policy.version}, which was replaced: ${again}`
      throw new ReleaseError("POLICY_NOT_CURRENT", message)
    }
    case "missing": {
      const { parties } = decision
      const count = release.parties.length
      const waiting = parties.map((party) => `"${party}"`).join(", ")
      const message =
        `cannot open ${formatAssetVersion(release.asset)}: ` +
        `${count - parties.length} of ${count} parties approved, waiting for ${waiting}`
      throw new ReleaseError("APPROVALS_MISSING", message, { details: { parties } })
    }
    default:
      unreachable(decision)
  }
}
