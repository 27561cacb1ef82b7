/**
 * Files of one secret key each, by which this node signs: strict JSON with its seed, for its owner alone.
 * @module
 */
import { encodeBase64 } from "../core/byte-text.ts"
import { encodeJson } from "../core/json.ts"
import { bytesField, choiceField, countField, parseSection, type Refuse } from "../core/section.ts"
import { createSigningKey, type SigningKey, signingKeyFromSeed } from "../trust/signing-key.ts"
import { invalidSecret, SECRET_BYTES_MAX, useSecret, writeNewSecret } from "./secret-file.ts"

const SEED_BYTES = 32

/** Where a key is, and of what. */
export interface SeedFile {
  readonly path: string
  /** The role that stands in the file; left out: none does. */
  readonly role?: string
  /** For the operator, such as `key of a witness`. */
  readonly what: string
}

/**
 * Gives the key of a file.
 * @returns undefined when there is none
 * @throws FleetError `SECRET_FILE_INVALID` when others may read it, or it is none
 */
export async function openSeed(file: SeedFile): Promise<SigningKey | undefined> {
  return await useSecret(file.path, (bytes) => parseSeed(bytes, file))
}

/** Gives the key of a file, which is made, durably, when there is none. @throws as {@link openSeed} */
export async function makeSeed(file: SeedFile): Promise<SigningKey> {
  const found = await openSeed(file)
  if (found !== undefined) return found
  const key = createSigningKey()
  const seed = key.exportSeed()
  const role = file.role === undefined ? {} : { role: file.role }
  const bytes = encodeJson({ v: 1, ...role, seed: encodeBase64(seed) })
  seed.fill(0)
  await writeNewSecret(file.path, bytes)
  // Somebody else may have been first.
  return (await openSeed(file)) ?? key
}

/** Errors have no cause: it could quote the secret. */
function parseSeed(bytes: Uint8Array, { path, role, what }: SeedFile): SigningKey {
  const refuse: Refuse = () => invalidSecret(path, `it is no ${what}`)
  const section = parseSection(bytes, { bytesMax: SECRET_BYTES_MAX, refuse })
  countField(section, "v", { min: 1, max: 1 })
  if (role !== undefined) choiceField(section, "role", [role])
  const seed = bytesField(section, "seed", { max: SEED_BYTES })
  if (seed.length !== SEED_BYTES) throw refuse("length")
  try {
    return signingKeyFromSeed(seed)
  } finally {
    seed.fill(0)
  }
}
