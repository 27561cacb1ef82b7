/**
 * A release's own activation in one line: what a party approves to be run, as it stands there.
 * @module
 */
import type { JsonObject } from "../../core/json.ts"
import { NOT_SHOWN } from "../../core/shown-text.ts"

const SHOWN_CHARACTERS_MAX = 2_000

/** Writes it as JSON, with escapes for whatever does not show. */
export function activationText(activation: JsonObject): string {
  const text = JSON.stringify(activation).replace(NOT_SHOWN, escapeOf)
  if (text.length <= SHOWN_CHARACTERS_MAX) return text
  return `${text.slice(0, SHOWN_CHARACTERS_MAX)}… (--json shows all)`
}

function escapeOf(character: string): string {
  return `\\u{${character.codePointAt(0)?.toString(16)}}`
}
