/**
 * What a party's device remembers, beside its key file: the one fleet that it trusts, and how far
 * everything has come that it used (protocol/fleet.md §5, a device trusts one fleet).
 * @module
 */
import { join } from "node:path"
import { encodeHex } from "../core/byte-text.ts"
import { type Digest, digestOf, hexOf } from "../core/digest.ts"
import { encodeJson, type JsonObject } from "../core/json.ts"
import { INSPECTORS_MAX, PARTIES_MAX } from "../core/limits.ts"
import {
  countField,
  digestField,
  flagField,
  fleetField,
  parseSection,
  type Section,
  sectionField,
  sectionListField,
  textField,
  textListField,
} from "../core/section.ts"
import { peerField } from "../fleet/access-field.ts"
import { NODES_MAX } from "../fleet/access-list.ts"
import type { SealedFile } from "../seal/sealed-release.ts"
import { diskFiles } from "../trust/tuf/disk-files.ts"
import type { TufFiles } from "../trust/tuf/tuf-source.ts"
import type { AssetVersion } from "./asset-name.ts"
import { AUDIENCE_MAX } from "./audience.ts"
import { refusal } from "./errors.ts"
import type { KnownFileKeys } from "./release.ts"
import type { FileVersion } from "./signed.ts"

const STATE_NAME = "device.json"
const VERSION = 1
const STATE_BYTES_MAX: number = 8 * 1024 * 1024
/** Namespaces whose policies are remembered, and approved releases; the oldest give way. */
const POLICIES_MAX = 1_024
const APPROVED_MAX = 20_000
/** SHA-256 of a ciphertext, and the commitment of its file key. */
const RECORD_BYTES = 64
const HASH_BYTES = 32
/** Files of approved releases in one namespace; the oldest give way. */
const RECORDS_MAX = 200_000
const LAST_BYTES_MAX: number = 2 * 1024 * 1024

/** The folder `KEYFILE.fleet`, for its owner alone. */
export interface DeviceHome {
  /** What this device found out. */
  readonly state: TufFiles
  /** What it trusts of the fleet; a reader of its own keeps it. */
  readonly fleet: TufFiles
}

/** Gives where the memory of a device lies. @param keyFile - path of its key file */
export function deviceFolderOf(keyFile: string): string {
  return `${keyFile}.fleet`
}

/** Opens a folder; it is made when something is written. */
export function openDeviceHome(folder: string): DeviceHome {
  return { state: diskFiles(folder), fleet: diskFiles(join(folder, "tuf")) }
}

/** What is remembered. */
export interface DeviceMemory {
  readonly fleet: string
  /** The highest access list. */
  readonly access: FileVersion
  /** The highest policy of each namespace. */
  readonly policies: ReadonlyMap<string, FileVersion>
  /** The highest counter of each node's keys. */
  readonly counters: ReadonlyMap<string, number>
  /** Releases that were approved, by their texts, with the digests of their statements. */
  readonly approved: ReadonlyMap<string, Digest>
}

const refuse = refusal("RELEASE_STATE_INVALID")

/**
 * Reads what a device remembers.
 * @returns undefined when it has not been used yet
 * @throws {@link ReleaseError} `RELEASE_STATE_INVALID`: it is not begun anew over what is broken
 */
export async function readDeviceMemory({ state }: DeviceHome): Promise<DeviceMemory | undefined> {
  const bytes = await state.read(STATE_NAME, { bytesMax: STATE_BYTES_MAX })
  if (bytes === undefined) return undefined
  const section = parseOwn(bytes, STATE_BYTES_MAX)
  const fleet = fleetField(section)
  const list = (name: string, max: number) => sectionListField(section, name, { max })
  return {
    fleet,
    access: versionOf(sectionField(section, "access")),
    policies: new Map(
      list("policies", POLICIES_MAX).map((one) => [textField(one, "namespace"), versionOf(one)]),
    ),
    counters: new Map(
      list("counters", NODES_MAX).map((one) => [
        peerField(one, "peer"),
        countField(one, "counter"),
      ]),
    ),
    approved: new Map(
      list("approved", APPROVED_MAX).map((one) => [
        textField(one, "release"),
        digestField(one, "digest"),
      ]),
    ),
  }
}

/** Writes what a device remembers, before anything that it signed is given out. */
export async function writeDeviceMemory(
  { state }: DeviceHome,
  { fleet, access, policies, counters, approved }: DeviceMemory,
): Promise<void> {
  const fields: JsonObject = {
    v: VERSION,
    fleet,
    access: fieldsOf(access),
    policies: newest(policies, POLICIES_MAX).map(([namespace, version]) => ({
      namespace,
      ...fieldsOf(version),
    })),
    counters: newest(counters, NODES_MAX).map(([peer, counter]) => ({ peer, counter })),
    approved: newest(approved, APPROVED_MAX).map(([release, digest]) => ({
      release,
      digest: hexOf(digest),
    })),
  }
  await state.write(STATE_NAME, encodeJson(fields))
}

/** Gives the file keys' commitments of what this device has approved in a namespace. */
export async function readFileKeys(
  { state }: DeviceHome,
  namespace: string,
): Promise<KnownFileKeys> {
  const records = await readRecords(state, namespace)
  return (cipher) => records.get(encodeHex(cipher))
}

/** Adds the files of a release that this device approves. */
export async function addFileKeys(
  { state }: DeviceHome,
  namespace: string,
  files: readonly SealedFile[],
): Promise<void> {
  const records = await readRecords(state, namespace)
  const before = records.size
  for (const { cipher, commitment } of files) records.set(encodeHex(cipher), commitment)
  if (records.size === before) return
  const kept = newest(records, RECORDS_MAX)
  const parts = kept.flatMap(([cipher, commitment]) => [Buffer.from(cipher, "hex"), commitment])
  await state.write(fileKeysName(namespace), Buffer.concat(parts))
}

/** What a device said yes to the last time, for what changed since. */
export interface LastApproval {
  readonly sequence: number
  readonly audience: readonly string[]
  readonly parties: readonly string[]
  readonly gate: string
  readonly inspectors: readonly string[]
  readonly isPostQuantum: boolean
  readonly policyVersion: number
  readonly accessVersion: number
  readonly files: number
  readonly sizeBytes: number
}

/** Reads what was approved last of an asset. @returns undefined: nothing, or it cannot be read */
export async function readLast(
  { state }: DeviceHome,
  asset: AssetVersion,
): Promise<LastApproval | undefined> {
  try {
    const bytes = await state.read(lastName(asset), { bytesMax: LAST_BYTES_MAX })
    if (bytes === undefined) return undefined
    return parseLast(sectionField(parseOwn(bytes, LAST_BYTES_MAX), "last"))
  } catch {
    // It is only for people to compare.
    return undefined
  }
}

export async function writeLast(
  { state }: DeviceHome,
  asset: AssetVersion,
  last: LastApproval,
): Promise<void> {
  const bytes = encodeJson({ v: VERSION, last: { ...last } })
  if (bytes.length <= LAST_BYTES_MAX) await state.write(lastName(asset), bytes)
}

function parseLast(section: Section): LastApproval {
  return {
    sequence: countField(section, "sequence"),
    audience: textListField(section, "audience", { max: AUDIENCE_MAX }),
    parties: textListField(section, "parties", { max: PARTIES_MAX }),
    gate: textField(section, "gate"),
    inspectors: textListField(section, "inspectors", { max: INSPECTORS_MAX }),
    isPostQuantum: flagField(section, "isPostQuantum"),
    policyVersion: countField(section, "policyVersion"),
    accessVersion: countField(section, "accessVersion"),
    files: countField(section, "files"),
    sizeBytes: countField(section, "sizeBytes"),
  }
}

function lastName({ namespace, name }: AssetVersion): string {
  return `last/${hexOf(digestOf(Buffer.from(`${namespace}/${name}`)))}.json`
}

function fileKeysName(namespace: string): string {
  return `file-keys/${namespace}.bin`
}

async function readRecords(state: TufFiles, namespace: string): Promise<Map<string, Uint8Array>> {
  const bytesMax = RECORDS_MAX * RECORD_BYTES
  const bytes = await state.read(fileKeysName(namespace), { bytesMax })
  const records = new Map<string, Uint8Array>()
  if (bytes === undefined) return records
  if (bytes.length % RECORD_BYTES !== 0) throw refuse(`the file keys of ${namespace} are broken`)
  for (let at = 0; at < bytes.length; at += RECORD_BYTES) {
    const cipher = encodeHex(bytes.subarray(at, at + HASH_BYTES))
    records.set(cipher, bytes.slice(at + HASH_BYTES, at + RECORD_BYTES))
  }
  return records
}

function newest<Key, Value>(map: ReadonlyMap<Key, Value>, countMax: number): [Key, Value][] {
  return [...map].slice(-countMax)
}

function versionOf(section: Section): FileVersion {
  return {
    version: countField(section, "version", { min: 1 }),
    digest: digestField(section, "digest"),
  }
}

function fieldsOf({ version, digest }: FileVersion): JsonObject {
  return { version, digest: hexOf(digest) }
}

function parseOwn(bytes: Uint8Array, bytesMax: number): Section {
  const section = parseSection(bytes, { bytesMax, refuse })
  countField(section, "v", { min: VERSION, max: VERSION })
  return section
}
