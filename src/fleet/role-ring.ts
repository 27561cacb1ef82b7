/**
 * The keys of the fleet's roles that lie on this node: one file for each (`DATA/fleet/keys`).
 * @module
 */
import { readdir } from "node:fs/promises"
import { encodeBase64 } from "../core/byte-text.ts"
import { codeOf } from "../core/errors.ts"
import { encodeJson } from "../core/json.ts"
import { bytesField, choiceField, countField, parseSection, type Refuse } from "../core/section.ts"
import {
  createSigningKey,
  type Signer,
  type SigningKey,
  signingKeyFromSeed,
} from "../trust/signing-key.ts"
import { FleetError } from "./errors.ts"
import type { FleetHome } from "./fleet-home.ts"
import {
  invalidSecret,
  makeSecretFolder,
  readSecret,
  SECRET_BYTES_MAX,
  writeNewSecret,
} from "./secret-file.ts"

const FOLDER = "keys"
const SUFFIX = ".key"
const SEED_BYTES = 32

/** Roles that a fleet's first node holds, beside those of namespaces. */
export const FIRST_ROLES: readonly string[] = ["root", "targets", "desk", "access", "plan"]

/** Keys by role: `root`, `targets`, `desk`, `access`, `plan`, `releases.NAMESPACE`. */
export class RoleRing {
  readonly #home: FleetHome

  constructor(home: FleetHome) {
    this.#home = home
  }

  /** Gives the roles whose keys are here, sorted. */
  async roles(): Promise<readonly string[]> {
    try {
      const names = await readdir(this.#home.pathOf(FOLDER))
      const keys = names.filter((name) => name.endsWith(SUFFIX) && !name.startsWith("."))
      return keys.map((name) => name.slice(0, -SUFFIX.length)).sort()
    } catch (error) {
      if (codeOf(error) === "ENOENT") return []
      throw error
    }
  }

  /**
   * Gives the key of a role.
   * @returns undefined when it is not here
   * @throws {@link FleetError} `SECRET_FILE_INVALID` when others may read it, or it is none
   */
  async find(role: string): Promise<SigningKey | undefined> {
    const path = this.#pathOf(role)
    const file = await readSecret(path)
    if (file === undefined) return undefined
    try {
      return parseKey(file, role, path)
    } finally {
      file.fill(0)
    }
  }

  /**
   * Gives the key of a role that must be here.
   * @param holder - who may have it, for the message
   * @throws {@link FleetError} `ROLE_KEY_MISSING`
   */
  async take(role: string, holder?: string): Promise<Signer> {
    const key = await this.find(role)
    if (key !== undefined) return key
    const where = holder === undefined ? "" : `; ${holder} may have it`
    const message = `the key of role ${role} is not on this node (${this.#pathOf(role)})${where}`
    throw new FleetError("ROLE_KEY_MISSING", message, { details: { role } })
  }

  /** Gives the key of a role, which is made when it is not here. */
  async make(role: string): Promise<SigningKey> {
    const found = await this.find(role)
    if (found !== undefined) return found
    const key = createSigningKey()
    const seed = key.exportSeed()
    const file = encodeJson({ v: 1, role, seed: encodeBase64(seed) })
    try {
      await makeSecretFolder(this.#home.pathOf(FOLDER))
      await writeNewSecret(this.#pathOf(role), file)
    } finally {
      seed.fill(0)
      file.fill(0)
    }
    return (await this.find(role)) ?? key
  }

  #pathOf(role: string): string {
    return this.#home.pathOf(`${FOLDER}/${role}${SUFFIX}`)
  }
}

/** Errors have no cause: it could quote the secret. */
function parseKey(file: Uint8Array, role: string, path: string): SigningKey {
  const refuse: Refuse = () => invalidSecret(path, `it is no key of role ${role}`)
  const section = parseSection(file, { bytesMax: SECRET_BYTES_MAX, refuse })
  countField(section, "v", { min: 1, max: 1 })
  choiceField(section, "role", [role])
  const seed = bytesField(section, "seed", { max: SEED_BYTES })
  if (seed.length !== SEED_BYTES) throw refuse("length")
  try {
    return signingKeyFromSeed(seed)
  } finally {
    seed.fill(0)
  }
}
