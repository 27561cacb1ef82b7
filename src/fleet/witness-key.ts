/**
 * The key by which this node cosigns, if it is a witness: one of its own, beside what it remembers
 * (`DATA/witness`), so that a copy of `DATA/fleet` which is put back is no witness that has forgotten
 * (protocol/witness.md §4, keys).
 * @module
 */
import { dirname, join } from "node:path"
import { encodeBase64 } from "../core/byte-text.ts"
import { encodeJson } from "../core/json.ts"
import { bytesField, countField, parseSection, type Refuse } from "../core/section.ts"
import { createSigningKey, type SigningKey, signingKeyFromSeed } from "../trust/signing-key.ts"
import type { FleetHome } from "./fleet-home.ts"
import { invalidSecret, SECRET_BYTES_MAX, useSecret, writeNewSecret } from "./secret-file.ts"

const FOLDER = "witness"
const KEY_FILE = "witness.key"
const SEED_BYTES = 32

/**
 * Gives the key.
 * @returns undefined when this node has none
 * @throws FleetError `SECRET_FILE_INVALID` when others may read it, or it is none
 */
export async function openWitnessKey(
  home: Pick<FleetHome, "folder">,
): Promise<SigningKey | undefined> {
  const path = pathOf(home)
  return await useSecret(path, (file) => parseKey(file, path))
}

/** Gives the key, which is made when there is none. */
export async function makeWitnessKey(home: Pick<FleetHome, "folder">): Promise<SigningKey> {
  const found = await openWitnessKey(home)
  if (found !== undefined) return found
  const key = createSigningKey()
  const seed = key.exportSeed()
  const file = encodeJson({ v: 1, seed: encodeBase64(seed) })
  seed.fill(0)
  await writeNewSecret(pathOf(home), file)
  return (await openWitnessKey(home)) ?? key
}

function pathOf({ folder }: Pick<FleetHome, "folder">): string {
  return join(dirname(folder), FOLDER, KEY_FILE)
}

/** Errors have no cause: it could quote the secret. */
function parseKey(file: Uint8Array, path: string): SigningKey {
  const refuse: Refuse = () => invalidSecret(path, "it is no key of a witness")
  const section = parseSection(file, { bytesMax: SECRET_BYTES_MAX, refuse })
  countField(section, "v", { min: 1, max: 1 })
  const seed = bytesField(section, "seed", { max: SEED_BYTES })
  if (seed.length !== SEED_BYTES) throw refuse("length")
  try {
    return signingKeyFromSeed(seed)
  } finally {
    seed.fill(0)
  }
}
