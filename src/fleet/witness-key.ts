/**
 * The key by which this node cosigns, if it is a witness: one of its own, beside what it remembers
 * (`DATA/witness`), so that a copy of `DATA/fleet` which is put back is no witness that has forgotten
 * (protocol/witness.md §4, keys).
 * @module
 */
import { dirname, join } from "node:path"
import type { PeerId } from "../net/net.ts"
import type { Signer, SigningKey } from "../trust/signing-key.ts"
import type { WitnessList } from "../trust/witness-list.ts"
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

/**
 * Gives a way to the key by which this node speaks as a witness; it is read when it is first needed.
 * @returns gives undefined while the newest list does not name this node, with the key that it has
 */
export function namedWitnessKey(
  home: Pick<FleetHome, "folder">,
  { peer, witnesses }: { readonly peer: PeerId; readonly witnesses: () => WitnessList | undefined },
): () => Promise<Signer | undefined> {
  let key: Signer | undefined
  return async () => {
    const named = witnesses()?.witnesses.find((witness) => witness.peer === peer)
    if (named === undefined) return undefined
    // It may have been made, or made anew, since.
    if (key?.publicKey !== named.key) key = await openWitnessKey(home)
    return key?.publicKey === named.key ? key : undefined
  }
}

function fileOf({ folder }: Pick<FleetHome, "folder">): SeedFile {
  return { path: join(dirname(folder), FOLDER, KEY_FILE), what: "key of a witness" }
}
