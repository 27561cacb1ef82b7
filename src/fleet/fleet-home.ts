/**
 * The folder of a node's fleet, `DATA/fleet`: what it trusts, the keys that it holds, and the one
 * file that says that it is in a fleet at all.
 * @module
 */
import { randomUUID } from "node:crypto"
import { rename, rm } from "node:fs/promises"
import { dirname, join } from "node:path"
import { encodeJson } from "../core/json.ts"
import {
  countField,
  fleetField,
  parseSection,
  type Refuse,
  textField,
  textListField,
} from "../core/section.ts"
import { syncFolder } from "../disk/durable-file.ts"
import { namesIn } from "../disk/folder.ts"
import { diskFiles } from "../trust/tuf/disk-files.ts"
import type { TufFiles } from "../trust/tuf/tuf-source.ts"
import { FleetError } from "./errors.ts"
import { readHomeFile, writeHomeFile } from "./home-file.ts"

const FILES_FOLDER = "tuf"
const RECORD_FILE = "fleet.json"
const RECORD_BYTES_MAX: number = 64 * 1024
/** Longest name that an operator gives to a fleet, and most addresses that are remembered. */
export const FLEET_NAME_CHARACTERS_MAX = 64
export const ADDRESSES_MAX = 16
export const ADDRESS_CHARACTERS_MAX = 512

/** Which fleet this node is in. */
export interface FleetRecord {
  readonly fleet: string
  readonly name: string
  /** Where the node can be reached that let this one in; none on a fleet's first node. */
  readonly addresses: readonly string[]
}

/** The folder. It is made when something is written. */
export interface FleetHome {
  /** Absolute path of `DATA/fleet`. */
  readonly folder: string
  /** What the reader of TUF files trusts. */
  readonly files: TufFiles
  /** Gives the path of a file of this folder. */
  pathOf(name: string): string
  /**
   * Gives which fleet this node is in.
   * @returns undefined when it is in none: whatever else lies here was never finished
   * @throws {@link FleetError} `FLEET_HOME_INVALID`
   */
  readRecord(): Promise<FleetRecord | undefined>
  /** Makes the fleet count. It is written last. */
  writeRecord(record: FleetRecord): Promise<void>
  /** Removes what the reader trusts, of a fleet that never counted here. */
  forgetFiles(): Promise<void>
  /** Puts aside what a joining that was cut off has left: it may hold keys, so nothing is removed. */
  setAside(): Promise<string | undefined>
}

const refuse: Refuse = (reason, cause) =>
  new FleetError("FLEET_HOME_INVALID", `${RECORD_FILE} is broken: ${reason}`, { cause })

/** Opens the folder of a fleet. @param files - the TUF files, for tests that break them */
export function openFleetHome(
  folder: string,
  files: TufFiles = diskFiles(join(folder, FILES_FOLDER)),
): FleetHome {
  const pathOf = (name: string) => join(folder, name)
  return {
    folder,
    files,
    pathOf,
    readRecord: async () => {
      const bytes = await readHomeFile(pathOf(RECORD_FILE), RECORD_BYTES_MAX)
      return bytes === undefined ? undefined : parseRecord(bytes)
    },
    writeRecord: ({ fleet, name, addresses }) =>
      writeHomeFile(pathOf(RECORD_FILE), encodeJson({ v: 1, fleet, name, addresses })),
    forgetFiles: async () => {
      await rm(pathOf(FILES_FOLDER), { recursive: true, force: true })
    },
    setAside: () => setAside(folder),
  }
}

function parseRecord(bytes: Uint8Array): FleetRecord {
  const section = parseSection(bytes, { bytesMax: RECORD_BYTES_MAX, refuse })
  countField(section, "v", { min: 1, max: 1 })
  const fleet = fleetField(section)
  const addresses = textListField(section, "addresses", { max: ADDRESSES_MAX })
  return { fleet, name: textField(section, "name"), addresses }
}

async function setAside(folder: string): Promise<string | undefined> {
  const names = await namesIn(folder)
  if (!names.includes(FILES_FOLDER) && !names.includes("keys")) return undefined
  const target = `${folder}.unfinished-${randomUUID()}`
  await rename(folder, target)
  await syncFolder(dirname(folder))
  return target
}
