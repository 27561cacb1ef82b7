/**
 * Whom a sealed release is for: nodes one by one, or groups at an epoch (protocol/release.md §4).
 * @module
 */
import { parseCountText } from "../core/count-text.ts"
import { isGroupName, isPeerId } from "../core/name.ts"
import { invalidField, type Section, textSetField } from "../core/section.ts"
import { type GateMode, isSortedAudience } from "../seal/context.ts"

/** Most entries of an audience. */
export const AUDIENCE_MAX = 10_000
const GROUP_ENTRY = /^group:([^:]+):([^:]+)$/
const NODE_PREFIX = "node:"

/** One entry of an audience. */
export type AudienceEntry =
  | { readonly kind: "group"; readonly name: string; readonly epoch: number }
  | { readonly kind: "node"; readonly peer: string }

/** Reads `group:NAME:EPOCH` or `node:PEERID`. @returns undefined when it is neither */
export function parseAudienceEntry(text: string): AudienceEntry | undefined {
  if (text.startsWith(NODE_PREFIX)) {
    const peer = text.slice(NODE_PREFIX.length)
    return isPeerId(peer) ? { kind: "node", peer } : undefined
  }
  const [, name = "", digits = ""] = GROUP_ENTRY.exec(text) ?? []
  const epoch = parseCountText(digits)
  if (!isGroupName(name) || epoch === undefined) return undefined
  return { kind: "group", name, epoch }
}

/** Reads the audience of a release; sorted as bytes, so that one set has one digest. */
export function audienceField(section: Section, gate: GateMode): readonly string[] {
  const name = "audience"
  const texts = textSetField(section, name, { min: 1, max: AUDIENCE_MAX })
  for (const text of texts) {
    const entry = parseAudienceEntry(text)
    if (entry === undefined) {
      const shown = JSON.stringify(text.slice(0, 80))
      throw invalidField(section, name, { reason: `${shown} is neither a group nor a node` })
    }
    // A group's secret can be stolen; without a gate it would open what is to come, too.
    if (gate === "none" && entry.kind === "group") {
      throw invalidField(section, name, { reason: "a group where there is no gate" })
    }
  }
  if (!isSortedAudience(texts)) throw invalidField(section, name, { reason: "not sorted" })
  return texts
}
