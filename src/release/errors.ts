/**
 * What can go wrong with releases, and with what is said of them (protocol/release.md).
 * @module
 */
import { CodedError } from "../core/errors.ts"
import type { Refuse } from "../core/section.ts"

/** Codes of what is not of its form. */
export type FormatErrorCode =
  /** Not `NAMESPACE/NAME@SEQUENCE` (release.md §4, names). */
  | "ASSET_VERSION_INVALID"
  /** A release whose form or sense is wrong (release.md §5, reading a release). */
  | "RELEASE_INVALID"
  /** An approval whose form is wrong, or that its device has not signed (§5, reading the others). */
  | "APPROVAL_INVALID"
  /** A withdrawal whose form is wrong (§5, reading the others). */
  | "WITHDRAWAL_INVALID"
  /** A gate's grant whose form is wrong, or that its device has not signed (§5, reading the others). */
  | "GATE_GRANT_INVALID"
  /** A list of grants, or a single one, whose form is wrong (§4, lists of grants). */
  | "GRANTS_INVALID"

/** Codes of releases. */
export type ReleaseErrorCode =
  | FormatErrorCode
  /** A grant that is not among those that the device signed (release.md §5, checking a grant). */
  | "GRANT_NOT_SIGNED"
  /** The parties are not the policy's, in its order (§5, a release and its policy). */
  | "POLICY_PARTIES_DIFFER"
  /** Something that the policy does not have, or does not allow (§5, a release and its policy). */
  | "POLICY_FORBIDS"
  /** The release was made under another policy (§5, a release and its policy; deciding 3). */
  | "POLICY_NOT_CURRENT"
  /** The release was taken back (§5, deciding 1). */
  | "RELEASE_WITHDRAWN"
  /** The release has ended (§5, deciding 2). */
  | "RELEASE_EXPIRED"
  /** Parties have not approved (§5, deciding 4). */
  | "APPROVALS_MISSING"
  /** No variant is for this node (§5, choosing a variant). */
  | "NO_VARIANT"

export class ReleaseError extends CodedError<ReleaseErrorCode> {}

/** Gives what refuses a section with a code. */
export function refusal(code: FormatErrorCode): Refuse {
  return (reason, cause) => new ReleaseError(code, reason, { cause })
}
