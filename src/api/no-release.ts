/**
 * What it means that a bare name is no release's: then it is an image's.
 * @module
 */
import { codeOf } from "../core/errors.ts"

const CODES: readonly string[] = ["RELEASE_UNKNOWN", "NOT_ENROLLED", "REFERENCE_INVALID"]

/** Whether an error says of a bare name that no release has it. */
export function saysNoRelease(error: unknown): boolean {
  return CODES.includes(codeOf(error) ?? "")
}
