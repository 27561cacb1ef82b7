/**
 * The last set of metadata that was accepted as a whole. It stays usable when it has expired, and
 * is what a node shows to others (protocol/tuf-profile.md §5).
 * @module
 */
import { Metadata, MetadataKind, Snapshot, type Targets } from "@tufjs/models"
import {
  asArray,
  asObject,
  asText,
  encodeJson,
  field,
  type JsonObject,
  type JsonValue,
  parseJson,
} from "../../core/json.ts"
import type { AnyMetadata } from "./tuf-bytes.ts"
import { ACCEPTED_BYTES_MAX } from "./tuf-limits.ts"

/** One role of the set. */
export interface AcceptedFile {
  /** The bytes that the file above names. */
  readonly named: Uint8Array
  /** What counts; undefined when the role was refused and nothing older of it counts still. */
  readonly used: UsedFile | undefined
}

/** What counts of one role. */
export interface UsedFile {
  readonly bytes: Uint8Array
  readonly metadata: AnyMetadata
  /** An older file than the named one, which was refused. */
  readonly isOlder: boolean
}

/** A set, by role: root, timestamp, snapshot, targets, and the delegated ones. */
export type AcceptedSet = ReadonlyMap<string, AcceptedFile>

/** Gives what a targets role says; undefined when nothing of it counts. */
export function targetsOf(set: AcceptedSet, role: string): Metadata<Targets> | undefined {
  // Only targets roles are asked for by these names.
  return set.get(role)?.used?.metadata as Metadata<Targets> | undefined
}

/** The roles that every repository has, in the order in which they are read. */
export const CHAIN: readonly string[] = ["root", "timestamp", "snapshot", "targets"]

/**
 * Gives the time from which on a role's word is stale: the first expiry of it and of all above it.
 * @returns milliseconds since 1970; 0 when it is stale already
 */
export function staleAtMs(set: AcceptedSet, role: string): number {
  const files = [...new Set([...CHAIN, role])].map((name) => set.get(name)?.used)
  const times = files.map((used) =>
    used === undefined || used.isOlder ? 0 : Date.parse(used.metadata.signed.expires),
  )
  return Math.min(...times)
}

/**
 * Gives the version of a role that the snapshot names, whether it counts here or not.
 * @returns 0 when it names none
 */
export function namedVersionOf(set: AcceptedSet | undefined, role: string): number {
  const signed = set?.get("snapshot")?.used?.metadata.signed
  return signed instanceof Snapshot ? (signed.meta[`${role}.json`]?.version ?? 0) : 0
}

/** Gives how many bytes a set has. */
export function sizeOfSet(set: AcceptedSet): number {
  return [...set.values()].reduce((sum, { named }) => sum + named.length, 0)
}

/** Writes a set as one file, so that it is replaced as a whole. */
export function encodeAcceptedSet(set: AcceptedSet): Uint8Array {
  const files = [...set].map(([role, { named, used }]) => ({
    role,
    named: textOf(named),
    used: used === undefined ? null : used.bytes === named ? true : textOf(used.bytes),
  }))
  return encodeJson({ v: 1, files })
}

/**
 * Reads a set that this reader wrote. Signatures are not looked at again: whoever can write this
 * file can write the trusted root beside it.
 * @returns undefined when it is not one
 */
export function parseAcceptedSet(bytes: Uint8Array): AcceptedSet | undefined {
  try {
    const file = asObject(parseJson(bytes, { bytesMax: ACCEPTED_BYTES_MAX }))
    if (file === undefined || field(file, "v") !== 1) return undefined
    const entries = asArray(field(file, "files")) ?? []
    return new Map(entries.map((entry) => parseEntry(asObject(entry) ?? {})))
  } catch {
    // Broken on the disk. The next refresh makes a new one.
    return undefined
  }
}

function parseEntry(entry: JsonObject): [string, AcceptedFile] {
  const role = asText(field(entry, "role")) ?? ""
  const named = bytesOf(field(entry, "named"))
  const used = field(entry, "used")
  if (used === null) return [role, { named, used: undefined }]
  const bytes = used === true ? named : bytesOf(used)
  const metadata = parseMetadata(role, bytes)
  return [role, { named, used: { bytes, metadata, isOlder: used !== true } }]
}

/** Parses a file that was accepted before. */
export function parseMetadata(role: string, bytes: Uint8Array): AnyMetadata {
  const json = parseJson(bytes) as never
  switch (role) {
    case "root":
      return Metadata.fromJSON(MetadataKind.Root, json)
    case "timestamp":
      return Metadata.fromJSON(MetadataKind.Timestamp, json)
    case "snapshot":
      return Metadata.fromJSON(MetadataKind.Snapshot, json)
    default:
      return Metadata.fromJSON(MetadataKind.Targets, json)
  }
}

// Every file is strict JSON, so it is UTF-8 and comes back as the same bytes.
function textOf(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes)
}

function bytesOf(value: JsonValue | undefined): Uint8Array {
  const text = asText(value)
  if (text === undefined) throw new TypeError("a text is missing")
  return new TextEncoder().encode(text)
}
