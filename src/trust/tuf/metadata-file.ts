/**
 * A file of TUF metadata as JSON: its bounds, and the names that files have
 * (protocol/tuf-profile.md §4).
 * @module
 */
import { asCount, asObject, field, type JsonObject, type JsonValue } from "../../core/json.ts"
import { parseSection } from "../../core/section.ts"
import { refusal, TrustError } from "../errors.ts"
import { ENTRIES_MAX, ROLE_BYTES_MAX } from "./tuf-limits.ts"

/** The name of the timestamp in a repository. Other files have their version in their names. */
export const TIMESTAMP_NAME = "metadata/timestamp.json"

/**
 * Gives the name of a file in a repository.
 * @param version - undefined: without consistent snapshots
 */
export function repositoryName(role: string, version: number | undefined): string {
  const prefix = version === undefined ? "" : `${version}.`
  return `metadata/${prefix}${encodeURIComponent(role)}.json`
}

/** Gives the name under which a reader keeps the newest file of a role that it trusts. */
export function trustedName(role: string): string {
  return `trusted/${encodeURIComponent(role)}.json`
}

/** Gives the name under which a reader keeps a root for good: the chain from the first one. */
export function rootName(version: number): string {
  return `roots/${version}.root.json`
}

/**
 * Parses a file, bounded in everything, without a look at its signatures.
 * @throws {@link TrustError} `TUF_MALFORMED`
 */
export function parseMetadataFile(role: string, bytes: Uint8Array): JsonObject {
  const limits = { bytesMax: ROLE_BYTES_MAX, refuse: refusal("TUF_MALFORMED") }
  const { fields: file } = parseSection(bytes, limits)
  checkEntries(role, file)
  return file
}

/** Gives the version that a file says it has; undefined when that is no count. */
export function versionOf(file: JsonObject): number | undefined {
  return asCount(field(asObject(field(file, "signed")) ?? {}, "version"))
}

/** Strict JSON bounds the depth, so this ends. */
function checkEntries(role: string, value: JsonValue): void {
  if (typeof value !== "object" || value === null) return
  const members = Object.values(value) as JsonValue[]
  if (members.length > ENTRIES_MAX) {
    const found = `${members.length} entries, at most ${ENTRIES_MAX}`
    throw new TrustError("TUF_MALFORMED", `${role}: ${found}`, { details: { role } })
  }
  for (const member of members) checkEntries(role, member)
}
