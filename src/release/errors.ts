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
  /** A file of a release for the road whose form is wrong (§4, a release for the road). */
  | "BUNDLE_INVALID"
  /** A question about evidence or grants whose form is wrong (§4, exchanges). */
  | "QUERY_MALFORMED"
  /** A file of a device's, or a node's, own memory of releases that is broken. */
  | "RELEASE_STATE_INVALID"

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
  /** Another release with this name and sequence was seen before (§5, accepting a release). */
  | "SEQUENCE_TAKEN"
  /** A release that came late, below one of its name that was listed before (§5, accepting). */
  | "RELEASE_ROLLBACK"
  /** A release that says it was made more than five minutes ahead of now (§5, accepting). */
  | "RELEASE_NOT_YET"
  /** No release of this name and sequence is known here. */
  | "RELEASE_UNKNOWN"
  /** The namespace has no policy: nothing can be released in it. */
  | "POLICY_MISSING"
  /** What is asked of a publication cannot be published. */
  | "PUBLISH_INVALID"
  /** A path that cannot be published: a link, a special file, a name that is unsafe elsewhere. */
  | "PATH_REFUSED"
  /** An archive that is not unpacked: links, unsafe paths, more than it may have (§5, unpacking). */
  | "ARCHIVE_REFUSED"
  /** An audience names a group or a node that the access list does not have. */
  | "AUDIENCE_UNKNOWN"
  /** The files' keys of an earlier release are not kept here, so it cannot be issued anew. */
  | "FILE_KEYS_LOST"
  /** Nobody of the audience can be sealed to (§5, approving). */
  | "AUDIENCE_EMPTY"
  /** An access list that is older than one that this device has used (§5, approving). */
  | "AUDIENCE_ROLLBACK"
  /** A policy that is older than one that this device has used (§5, approving). */
  | "POLICY_ROLLBACK"
  /** The device is of no party that the policy names. */
  | "DEVICE_NOT_OF_PARTY"
  /** As many approvals or withdrawals of a release are kept as may be (§7). */
  | "EVIDENCE_FULL"
  /** What says what is newest in the fleet has run out: nothing new is accepted by it. */
  | "FLEET_STALE"
  /** The audience does not name this node, or it may not open in the namespace (§5, opening). */
  | "NOT_IN_AUDIENCE"
  /** Holders of whom no grant for this node can be had; named in the details (§5, opening). */
  | "NOT_GRANTED"
  /** No keeper of the gate can be reached (§5, the gate's exchange). */
  | "GATE_MISSING"
  /** The gate does not open for this node, or not yet (§5, a gate's keeper). */
  | "GATE_REFUSED"
  /** Something is where a release would be opened to. */
  | "OUTPUT_EXISTS"
  /** The group that shall read what is opened is not there, or this node may not give it anything. */
  | "OPENED_GROUP_INVALID"

export class ReleaseError extends CodedError<ReleaseErrorCode> {}

/** Gives what refuses a section with a code. @param what - named before the reason, if it is to be */
export function refusal(code: FormatErrorCode, what?: string): Refuse {
  const head = what === undefined ? "" : `the ${what} is refused: `
  return (reason, cause) => new ReleaseError(code, `${head}${reason}`, { cause })
}
