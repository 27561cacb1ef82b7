/**
 * The key by which this node cosigns, if it is a witness: one of its own, beside what it remembers
 * (`DATA/witness`), so that a copy of `DATA/fleet` which is put back is no witness that has forgotten
 * (protocol/witness.md §4, keys).
 * @module
 */
import { dirname, join } from "node:path"
import type { SigningKey } from "../trust/signing-key.ts"
import type { FleetHome } from "./fleet-home.ts"
import { makeSeed, openSeed, type SeedFile } from "./seed-file.ts"

const FOLDER = "witness"
const KEY_FILE = "witness.key"

/**
 * Gives the key.
 * @returns undefined when this node has none
 * @throws FleetError `SECRET_FILE_INVALID` when others may read it, or it is none
 */
export async function openWitnessKey(
  home: Pick<FleetHome, "folder">,
): Promise<SigningKey | undefined> {
  return await openSeed(fileOf(home))
}

/** Gives the key, which is made when there is none. @throws as {@link openWitnessKey} */
export async function makeWitnessKey(home: Pick<FleetHome, "folder">): Promise<SigningKey> {
  return await makeSeed(fileOf(home))
}

function fileOf({ folder }: Pick<FleetHome, "folder">): SeedFile {
  return { path: join(dirname(folder), FOLDER, KEY_FILE), what: "key of a witness" }
}
