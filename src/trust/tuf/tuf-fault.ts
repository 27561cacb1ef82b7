/**
 * The faults of `tuf-js` and `@tufjs/models` as codes of ours.
 *
 * Neither package exports its error classes, so they are named where they stand.
 * @module
 */
import { LengthOrHashMismatchError, UnsignedMetadataError } from "@tufjs/models/dist/error.js"
import {
  BadVersionError,
  EqualVersionError,
  ExpiredMetadataError,
  RepositoryError,
  RuntimeError,
} from "tuf-js/dist/error.js"
import { messageOf } from "../../core/errors.ts"
import { TrustError, type TrustErrorCode } from "../errors.ts"

type ErrorClass = abstract new (...options: never[]) => Error

/** The first class that fits gives the code. */
const CODES: readonly (readonly [ErrorClass, TrustErrorCode])[] = [
  [UnsignedMetadataError, "TUF_SIGNATURES_MISSING"],
  [LengthOrHashMismatchError, "TUF_MISMATCH"],
  [ExpiredMetadataError, "TUF_EXPIRED"],
  // A version that does not fit the file above is found before (tuf-update.ts); what is left fell.
  [BadVersionError, "TUF_ROLLBACK"],
  // A file that a new snapshot no longer lists.
  [RepositoryError, "TUF_ROLLBACK"],
]

/**
 * Gives the error of ours for one that was thrown while a file was looked at.
 * @param role - the role of the file, for the message
 */
function tufFault(role: string, error: unknown): TrustError {
  if (error instanceof TrustError) return error
  // Steps out of their order: a fault of the program, not of the file.
  if (error instanceof RuntimeError || error instanceof ReferenceError) throw error
  const code = CODES.find(([type]) => error instanceof type)?.[1] ?? "TUF_MALFORMED"
  const options = { cause: error, details: { role } }
  return new TrustError(code, `${role}: ${messageOf(error)}`, options)
}

/** Tells whether a timestamp is refused only since it is the one that is trusted already. */
export function isSameVersion(error: unknown): boolean {
  return error instanceof TrustError && error.cause instanceof EqualVersionError
}

/** Runs a step of tuf-js. @throws {@link TrustError} its faults with codes of ours */
export function withTufFaults<T>(role: string, run: () => T): T {
  try {
    return run()
  } catch (error) {
    throw tufFault(role, error)
  }
}
