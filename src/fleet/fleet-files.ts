/**
 * All files of a fleet in one piece: for a node that joins, and for sites without a network
 * (protocol/fleet.md §4, fleet files).
 * @module
 */
import { encodeBase64, parseBase64 } from "../core/byte-text.ts"
import { asObject, encodeJson, field } from "../core/json.ts"
import {
  countField,
  invalidField,
  parseSection,
  type Refuse,
  type Section,
  sectionListField,
  textField,
} from "../core/section.ts"
import { memoryFiles } from "../trust/tuf/memory-files.ts"
import { parseMetadataFile, repositoryName, TIMESTAMP_NAME } from "../trust/tuf/metadata-file.ts"
import type { NamedBytes } from "../trust/tuf/publication.ts"
import { targetName } from "../trust/tuf/target-file.ts"
import {
  ROLE_BYTES_MAX,
  ROOT_BYTES_MAX,
  SNAPSHOT_BYTES_MAX,
  TARGET_BYTES_MAX,
  TIMESTAMP_BYTES_MAX,
} from "../trust/tuf/tuf-limits.ts"
import { isFileName, type TufSource } from "../trust/tuf/tuf-source.ts"
import { FleetError } from "./errors.ts"
import type { Membership } from "./fleet.ts"

/** Largest bundle. */
export const FLEET_FILES_BYTES_MAX: number = 32 * 1024 * 1024
const FILES_MAX = 16_384
const NAME_CHARACTERS_MAX = 512
/** How often one tries when a newer set is accepted while files are collected. */
const TRIES_MAX = 4
const ROOTS_MAX = 4_096

const refuse: Refuse = (reason, cause) =>
  new FleetError("FLEET_FILES_INVALID", `the fleet's files are refused: ${reason}`, { cause })

/**
 * Writes files under their names in a repository.
 * @throws {@link FleetError} `FLEET_FILES_INVALID` when they are too many for one bundle
 */
export function encodeFleetFiles(files: readonly NamedBytes[]): Uint8Array {
  const bundle = encodeJson({ v: 1, files: fleetFilesJson(files) })
  if (bundle.length > FLEET_FILES_BYTES_MAX) throw refuse(`${bundle.length} bytes in one bundle`)
  return bundle
}

/**
 * Reads files. Nothing in them is trusted: they are a source like any other.
 * @throws {@link FleetError} `FLEET_FILES_INVALID`
 */
export function parseFleetFiles(bundle: Uint8Array): readonly NamedBytes[] {
  return fleetFilesIn(parseSection(bundle, { bytesMax: FLEET_FILES_BYTES_MAX, refuse }))
}

/** Gives the field `files` of an object that may have more fields. */
export function fleetFilesJson(
  files: readonly NamedBytes[],
): readonly { readonly name: string; readonly bytes: string }[] {
  return files.map(({ name, bytes }) => ({ name, bytes: encodeBase64(bytes) }))
}

/** Reads the files of an object that may have more fields. @throws what its section refuses with */
export function fleetFilesIn(section: Section): readonly NamedBytes[] {
  countField(section, "v", { min: 1, max: 1 })
  const files = sectionListField(section, "files", { max: FILES_MAX }).map(parseFile)
  if (new Set(files.map(({ name }) => name)).size < files.length) {
    throw invalidField(section, "files", { reason: "one name twice" })
  }
  return files
}

/** Gives a source of files that came in one piece. */
export function sourceOfFiles(files: readonly NamedBytes[]): TufSource {
  return memoryFiles(files.map(({ name, bytes }) => [name, bytes]))
}

/**
 * Collects all files that a node has accepted: every root, one set of metadata, its target files.
 * @throws {@link FleetError} `FLEET_FILES_INVALID` when some are not here yet
 */
export async function collectFleetFiles(
  membership: Pick<Membership, "source" | "targets">,
): Promise<readonly NamedBytes[]> {
  for (let tries = 0; tries < TRIES_MAX; tries++) {
    const files = await collectOnce(membership)
    // Undefined: the set was replaced meanwhile, so that some file of it is gone.
    if (files !== undefined) return files
  }
  throw refuse("some files of the fleet are not here yet")
}

async function collectOnce(
  membership: Pick<Membership, "source" | "targets">,
): Promise<readonly NamedBytes[] | undefined> {
  const { source } = membership
  const listed = membership.targets()
  const files: NamedBytes[] = []
  const take = async (name: string, bytesMax: number) => {
    const bytes = await source.read(name, { bytesMax })
    if (bytes !== undefined) files.push({ name, bytes })
    return bytes
  }
  for (let version = 1; version <= ROOTS_MAX; version++) {
    if ((await take(repositoryName("root", version), ROOT_BYTES_MAX)) === undefined) break
  }
  const timestamp = await take(TIMESTAMP_NAME, TIMESTAMP_BYTES_MAX)
  if (timestamp === undefined) return undefined
  const version = versionsIn("timestamp", timestamp).get("snapshot")
  const snapshot = await take(repositoryName("snapshot", version), SNAPSHOT_BYTES_MAX)
  if (snapshot === undefined) return undefined
  for (const [role, version] of versionsIn("snapshot", snapshot)) {
    const bytes = await take(repositoryName(role, version), ROLE_BYTES_MAX)
    if (bytes === undefined) return undefined
  }
  for (const { path, sha256 } of listed) {
    const bytes = await take(targetName(path, sha256), TARGET_BYTES_MAX)
    if (bytes === undefined) return undefined
  }
  return files
}

/** Which version of each role a timestamp or a snapshot names. */
function versionsIn(role: string, bytes: Uint8Array): ReadonlyMap<string, number> {
  const signed = asObject(field(parseMetadataFile(role, bytes), "signed")) ?? {}
  const meta = Object.entries(asObject(field(signed, "meta")) ?? {})
  return new Map(
    meta.map(([name, entry]) => {
      const section = { fields: asObject(entry) ?? {}, place: `${name}.`, refuse }
      return [name.slice(0, -".json".length), countField(section, "version", { min: 1 })]
    }),
  )
}

function parseFile(section: Section): NamedBytes {
  const name = textField(section, "name")
  const isOurs = /^(?:metadata|targets)\//.test(name) && name.length <= NAME_CHARACTERS_MAX
  if (!isOurs || !isFileName(name))
    throw invalidField(section, "name", { reason: "no file's name" })
  const bytes = parseBase64(textField(section, "bytes"))
  if (bytes === undefined) throw invalidField(section, "bytes", { reason: "no base64" })
  if (bytes.length > TARGET_BYTES_MAX) throw invalidField(section, "bytes", { reason: "too long" })
  return { name, bytes }
}
