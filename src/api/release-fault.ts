/**
 * Says which release could not be opened, and whose approval it waits for.
 * @module
 */
import { CodedError } from "../core/errors.ts"
import type { Release } from "../release/release.ts"
import type { KnownRelease } from "../release/releases.ts"
import { refOf } from "./release-reference.ts"

/** Runs the opening of a release; what is wrong with it is told with its name. */
export async function whileOpening<T>(known: KnownRelease, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (!(error instanceof CodedError)) throw error
    const reason = waitingFor(error, known.release.said) ?? error.message
    const details = { ...error.details, release: refOf(known) }
    const message = `cannot open ${refOf(known)}: ${reason}`
    throw new CodedError(error.code, message, { cause: error, details })
  }
}

/** @returns undefined when it waits for nobody */
function waitingFor({ code, details }: CodedError, { parties }: Release): string | undefined {
  const missing = details?.parties
  if (code !== "APPROVALS_MISSING" || !Array.isArray(missing)) return undefined
  const names = missing.map((name) => `"${name}"`).join(", ")
  return `${parties.length - missing.length} of ${parties.length} parties approved, waiting for ${names}`
}
