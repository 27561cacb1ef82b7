/**
 * Fields that a reader must know, or refuse the whole (protocol/envelope.md §4, §5).
 * @module
 */
import type { JsonObject } from "../core/json.ts"
import { hasField, type Section, textListField } from "../core/section.ts"
import { TrustError } from "./errors.ts"

/** Most names of such fields. */
export const CRITICAL_MAX = 32
const NAME = "critical"

/** Gives the names that an object says must be known; none when it says nothing of that. */
export function criticalField(section: Section): readonly string[] {
  return hasField(section, NAME) ? textListField(section, NAME, { max: CRITICAL_MAX }) : []
}

/**
 * Checks that each such field is there and known.
 * @param known - beside `critical` itself
 * @throws {@link TrustError} `CRITICAL_UNKNOWN`
 */
export function verifyCritical(
  names: readonly string[],
  fields: JsonObject,
  known: readonly string[],
): void {
  const unknown = names.find(
    (name) => !(known.includes(name) || name === NAME) || !Object.hasOwn(fields, name),
  )
  if (unknown === undefined) return
  const shown = JSON.stringify(unknown.slice(0, 80))
  throw new TrustError("CRITICAL_UNKNOWN", `the critical field ${shown} is unknown or not there`)
}
