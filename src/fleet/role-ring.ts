/**
 * The keys of the fleet's roles that lie on this node: one file for each (`DATA/fleet/keys`).
 * @module
 */
import { namesIn } from "../disk/folder.ts"
import type { PublicKey } from "../trust/public-key.ts"
import type { Signer, SigningKey } from "../trust/signing-key.ts"
import { FleetError } from "./errors.ts"
import type { FleetHome } from "./fleet-home.ts"
import { eraseSecret, replaceSecret } from "./secret-file.ts"
import { makeSeed, openSeed, type SeedFile } from "./seed-file.ts"

const FOLDER = "keys"
const SUFFIX = ".key"
/** Of a key that was made and does not count yet. */
const NEXT_SUFFIX = ".key.next"

/** Roles that a fleet's first node holds, beside those of namespaces. */
export const FIRST_ROLES: readonly string[] = ["root", "targets", "desk", "access", "plan"]

/** Keys by role: `root`, `targets`, `desk`, `access`, `plan`, `releases.NAMESPACE`. */
export class RoleRing {
  readonly #home: FleetHome

  constructor(home: FleetHome) {
    this.#home = home
  }

  /** Gives the roles whose keys are here, sorted. */
  roles(): Promise<readonly string[]> {
    return this.#listed(SUFFIX)
  }

  /** Gives the roles that have a next key, which may count by now or not yet. */
  changing(): Promise<readonly string[]> {
    return this.#listed(NEXT_SUFFIX)
  }

  /**
   * Gives the key of a role.
   * @returns undefined when it is not here
   * @throws {@link FleetError} `SECRET_FILE_INVALID` when others may read it, or it is none
   */
  find(role: string): Promise<SigningKey | undefined> {
    return this.#read(role, SUFFIX)
  }

  /** Gives the keys of a role that are here and among some: while it is changed, the next one too. */
  async among(role: string, keys: readonly PublicKey[]): Promise<readonly SigningKey[]> {
    const own = [await this.find(role), await this.#read(role, NEXT_SUFFIX)]
    return own.flatMap((key) => (key !== undefined && keys.includes(key.publicKey) ? [key] : []))
  }

  /** Gives the key of a role that must be here. @throws {@link FleetError} `ROLE_KEY_MISSING` */
  async take(role: string): Promise<Signer> {
    const key = await this.find(role)
    if (key !== undefined) return key
    throw this.missing(role)
  }

  /** The error of a role whose key is not here. @param holder - who may have it */
  missing(role: string, holder?: string): FleetError {
    const where = holder === undefined ? "" : `; ${holder} may have it`
    const path = this.#pathOf(role, SUFFIX)
    const message = `the key of role ${role} that counts is not on this node (${path})${where}`
    return new FleetError("ROLE_KEY_MISSING", message, { details: { role } })
  }

  /** The error of a role that several keys sign for, of which too few are here. */
  tooFew(
    role: string,
    { threshold, total, here }: { threshold: number; total: number; here: number },
  ): FleetError {
    const message = `role ${role} is signed by ${threshold} of ${total} keys, and this node has ${here} of them: write a draft for the others to sign ("sealift fleet hold", or --draft FILE with "fleet policy set", "fleet witness set", "fleet renew", "rollout create")`
    return new FleetError("ROLE_KEY_MISSING", message, { details: { role } })
  }

  /** Erases the key of a role that counts no more. */
  async erase(role: string): Promise<void> {
    await eraseSecret(this.#pathOf(role, SUFFIX))
  }

  /** Gives the key of a role, which is made when it is not here. */
  make(role: string): Promise<SigningKey> {
    return this.#make(role, SUFFIX)
  }

  /** Gives the key that a role shall have next, which is made, durably, when it is not here. */
  makeNext(role: string): Promise<SigningKey> {
    return this.#make(role, NEXT_SUFFIX)
  }

  /**
   * Puts the next key of a role in the place of the one before, which is erased, if it is among those
   * that count.
   */
  async settle(role: string, counting: readonly PublicKey[]): Promise<void> {
    const next = await this.#read(role, NEXT_SUFFIX)
    if (next === undefined || !counting.includes(next.publicKey)) return
    await replaceSecret(this.#pathOf(role, SUFFIX), this.#pathOf(role, NEXT_SUFFIX))
  }

  async #listed(suffix: string): Promise<readonly string[]> {
    const names = await namesIn(this.#home.pathOf(FOLDER))
    const keys = names.filter((name) => name.endsWith(suffix) && !name.startsWith("."))
    return keys.map((name) => name.slice(0, -suffix.length)).sort()
  }

  #read(role: string, suffix: string): Promise<SigningKey | undefined> {
    return openSeed(this.#fileOf(role, suffix))
  }

  #make(role: string, suffix: string): Promise<SigningKey> {
    return makeSeed(this.#fileOf(role, suffix))
  }

  #fileOf(role: string, suffix: string): SeedFile {
    return { path: this.#pathOf(role, suffix), role, what: `key of role ${role}` }
  }

  #pathOf(role: string, suffix: string): string {
    return this.#home.pathOf(`${FOLDER}/${role}${suffix}`)
  }
}
