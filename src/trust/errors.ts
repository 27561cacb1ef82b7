/**
 * What can go wrong with keys, signatures and statements (protocol/keys.md, protocol/envelope.md).
 * @module
 */
import { CodedError } from "../core/errors.ts"
import type { Refuse } from "../core/section.ts"

/** Codes of trust. */
export type TrustErrorCode =
  /** A public key is not 64 lower-case hex digits, or a secret key not 32 bytes (keys.md §5). */
  | "KEY_MALFORMED"
  /** A key is not canonical, not on the curve, or not of prime order (keys.md §5). */
  | "KEY_WEAK"
  /** More bytes, or more signatures, than an envelope may have (envelope.md §5, reading 1). */
  | "ENVELOPE_TOO_LARGE"
  /** A file is not strict JSON of an envelope's form (envelope.md §5, reading 1). */
  | "ENVELOPE_MALFORMED"
  /** The payload is of another type (envelope.md §5, reading 2). */
  | "PAYLOAD_TYPE_WRONG"
  /** None of the keys that may count has signed (envelope.md §5, reading 3). */
  | "SIGNATURE_MISSING"
  /** What was signed is not strict JSON of a statement's form (envelope.md §5, reading 4). */
  | "STATEMENT_MALFORMED"
  /** The statement is of a kind that is not expected (envelope.md §5, reading 5). */
  | "KIND_WRONG"
  /** The statement is of another fleet (envelope.md §5, reading 6). */
  | "FLEET_WRONG"
  /** A field that must be known is not, or is not there (envelope.md §5, reading 7). */
  | "CRITICAL_UNKNOWN"
  /** A policy whose form or sense is wrong (policy.md §5, checking). */
  | "POLICY_INVALID"
  /** One key or recipient stands twice in a policy (policy.md §5, checking 3). */
  | "POLICY_KEY_SHARED"
  /** A list of witnesses whose form or sense is wrong (witness.md §5, checking a list). */
  | "WITNESSES_INVALID"
  /** What a signer gave is no signature by its key (envelope.md §5, signing 3). */
  | "SIGNATURE_WRONG"
  /** A file of TUF metadata has not its form, or too many entries (tuf-profile.md §5). */
  | "TUF_MALFORMED"
  /** A file is larger than its bound, or than the file above it says (tuf-profile.md §7). */
  | "TUF_TOO_LARGE"
  /** Fewer keys of a role have signed than its threshold asks for (tuf-profile.md §5). */
  | "TUF_SIGNATURES_MISSING"
  /** A version is older than the trusted one, or a listed file is gone (tuf-profile.md §5). */
  | "TUF_ROLLBACK"
  /** A file is not the one that the snapshot or the timestamp names (tuf-profile.md §5). */
  | "TUF_MISMATCH"
  /** A file of TUF metadata has expired: nothing new is accepted (tuf-profile.md §5). */
  | "TUF_EXPIRED"
  /** A key of TUF metadata stands under an id that is not its own (tuf-profile.md §4). */
  | "TUF_KEY_ID_WRONG"
  /** A delegation that the profile does not have (tuf-profile.md §4). */
  | "TUF_DELEGATION_WRONG"
  /** A target file has not the length and digest that its role signed (tuf-profile.md §5). */
  | "TUF_TARGET_WRONG"
  /** A new snapshot would drop or change a release that is live (tuf-profile.md §5). */
  | "TUF_RELEASE_DROPPED"
  /** There is no trusted root where this reader keeps its files, or none that can be read. */
  | "TUF_ROOT_LOST"
  /** A source of files has not what it must have, or gives no answer. */
  | "SOURCE_UNAVAILABLE"

export class TrustError extends CodedError<TrustErrorCode> {}

/** Gives what refuses a section with a code. */
export function refusal(code: TrustErrorCode): Refuse {
  return (reason, cause) => new TrustError(code, reason, { cause })
}
