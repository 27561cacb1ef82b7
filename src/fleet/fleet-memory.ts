/**
 * What a node must not forget of its fleet: the lists of access and witnesses that count, and how far versions and
 * epochs have come, also of what is listed no more (protocol/fleet.md §5).
 * @module
 */
import { type Digest, digestOf, isDigest } from "../core/digest.ts"
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
import { Serial } from "../core/serial.ts"
import { WITNESSES_BYTES_MAX, type WitnessList } from "../trust/witness-list.ts"
import { ACCESS_BYTES_MAX, type AccessList, type Group, verifySuccessor } from "./access-list.ts"
import { FleetError } from "./errors.ts"
import type { FleetHome } from "./fleet-home.ts"
import { readHomeFile, removeHomeFile, writeHomeFile } from "./home-file.ts"

const MEMORY_FILE = "memory.json"
const ACCESS_FILE = "access.json"
const WITNESSES_FILE = "witnesses.json"
const MEMORY_BYTES_MAX: number = 4 * 1024 * 1024
/** Names of groups and namespaces that are remembered. */
const NAMES_MAX = 16_384

/** A version, and the file that had it; of a group its epoch, and the digest of its recipient. */
interface Mark {
  readonly version: number
  readonly digest: Digest
}

const refuse: Refuse = (reason, cause) =>
  new FleetError("FLEET_HOME_INVALID", `${MEMORY_FILE} is broken: ${reason}`, { cause })

/** The highest of everything. What is remembered is on the disk before it counts. */
export class FleetMemory {
  readonly #home: FleetHome
  #access: Mark | undefined
  readonly #epochs = new Map<string, Mark>()
  readonly #policies = new Map<string, Mark>()
  #witnesses: Mark | undefined
  /** Two that save at once could leave the earlier state, or count before it is on the disk. */
  readonly #turns = new Serial<"accept">()

  /** @throws {@link FleetError} `FLEET_HOME_INVALID` */
  static async open(home: FleetHome): Promise<FleetMemory> {
    const memory = new FleetMemory(home)
    const bytes = await readHomeFile(home.pathOf(MEMORY_FILE), MEMORY_BYTES_MAX)
    if (bytes !== undefined) memory.#load(bytes)
    return memory
  }

  /** Forgets a fleet that never counted here. */
  static async forget(home: Pick<FleetHome, "pathOf">): Promise<void> {
    for (const name of [MEMORY_FILE, ACCESS_FILE, WITNESSES_FILE])
      await removeHomeFile(home.pathOf(name))
  }

  private constructor(home: FleetHome) {
    this.#home = home
  }

  /** Gives the file of the access list that was accepted last. */
  readAccess(): Promise<Uint8Array | undefined> {
    return readHomeFile(this.#home.pathOf(ACCESS_FILE), ACCESS_BYTES_MAX)
  }

  /**
   * Checks that a list may follow all that were accepted here.
   * @throws {@link FleetError} `ACCESS_ROLLBACK`, `EPOCH_ROLLBACK`
   */
  verifyAccess(next: AccessList, accepted: AccessList | undefined): void {
    if (accepted !== undefined) verifySuccessor(accepted, next)
    this.#verifyAccess(next)
  }

  /** Keeps a list that counts from now on. @throws {@link FleetError} as {@link verifyAccess} */
  acceptAccess(
    next: AccessList,
    list: { readonly file: Uint8Array; readonly accepted: AccessList | undefined },
  ): Promise<void> {
    return this.#turns.run("accept", () => this.#acceptAccess(next, list))
  }

  async #acceptAccess(
    next: AccessList,
    { file, accepted }: { readonly file: Uint8Array; readonly accepted: AccessList | undefined },
  ): Promise<void> {
    this.verifyAccess(next, accepted)
    const { version, digest } = next
    this.#access = { version, digest }
    for (const group of next.groups.values()) this.#epochs.set(group.name, markOfGroup(group))
    // First what must not fall: a crash after it leaves an older list that this one may follow.
    await this.#save()
    await writeHomeFile(this.#home.pathOf(ACCESS_FILE), file)
  }

  /** The highest epoch that a group's name ever had; 0: none. */
  epochOf(group: string): number {
    return this.#epochs.get(group)?.version ?? 0
  }

  /** @throws {@link FleetError} `POLICY_ROLLBACK` */
  acceptPolicy(namespace: string, policy: Mark): Promise<void> {
    return this.#turns.run("accept", () => this.#acceptPolicy(namespace, policy))
  }

  async #acceptPolicy(namespace: string, { version, digest }: Mark): Promise<void> {
    const known = this.#policies.get(namespace)
    const course = courseOf({ version, digest }, known)
    if (course === "same") return
    if (course === "back") {
      const message = `the policy of ${namespace} is of version ${version} after ${known?.version}`
      throw new FleetError("POLICY_ROLLBACK", message, { details: { namespace } })
    }
    if (known === undefined && this.#policies.size >= NAMES_MAX) {
      throw new FleetError(
        "POLICY_ROLLBACK",
        `more than ${NAMES_MAX} policies cannot be remembered`,
      )
    }
    this.#policies.set(namespace, { version, digest })
    await this.#save()
  }

  /** Gives the file of the list of witnesses that was accepted last. */
  readWitnesses(): Promise<Uint8Array | undefined> {
    return readHomeFile(this.#home.pathOf(WITNESSES_FILE), WITNESSES_BYTES_MAX)
  }

  /** Keeps a list of witnesses that counts from now on. @throws {@link FleetError} `WITNESSES_ROLLBACK` */
  acceptWitnesses({ version }: Pick<WitnessList, "version">, file: Uint8Array): Promise<void> {
    const digest = digestOf(file)
    return this.#turns.run("accept", async () => {
      const known = this.#witnesses
      const course = courseOf({ version, digest }, known)
      if (course === "same") return
      if (course === "back") {
        const message = `a list of witnesses of version ${version} after ${known?.version}`
        throw new FleetError("WITNESSES_ROLLBACK", message)
      }
      // First the file: a crash after it leaves one that was signed, and a version that it may follow.
      await writeHomeFile(this.#home.pathOf(WITNESSES_FILE), file)
      this.#witnesses = { version, digest }
      await this.#save()
    })
  }

  /** protocol/fleet.md §5: a group that was left out does not come back at an earlier epoch. */
  #verifyAccess({ version, digest, groups }: AccessList): void {
    const known = this.#access
    if (courseOf({ version, digest }, known) === "back") {
      const message = `access list ${version} after ${known?.version}`
      throw new FleetError("ACCESS_ROLLBACK", message)
    }
    for (const group of groups.values()) this.#verifyEpoch(group)
    const names = new Set([...this.#epochs.keys(), ...groups.keys()])
    if (names.size > NAMES_MAX)
      throw new FleetError("ACCESS_INVALID", `${names.size} groups so far`)
  }

  #verifyEpoch(group: Group): void {
    const known = this.#epochs.get(group.name)
    // One epoch is one key: another recipient would split the group.
    if (courseOf(markOfGroup(group), known) !== "back") return
    const message = `group ${group.name} at epoch ${group.epoch} after ${known?.version}`
    throw new FleetError("EPOCH_ROLLBACK", message, { details: { group: group.name } })
  }

  #load(bytes: Uint8Array): void {
    const section = parseSection(bytes, { bytesMax: MEMORY_BYTES_MAX, refuse })
    countField(section, "v", { min: 1, max: 1 })
    const access = asObject(field(section.fields, "access"))
    if (access !== undefined)
      this.#access = markOf({ ...section, fields: access, place: "access." })
    const witnesses = asObject(field(section.fields, "witnesses"))
    if (witnesses !== undefined)
      this.#witnesses = markOf({ ...section, fields: witnesses, place: "witnesses." })
    for (const epoch of sectionListField(section, "epochs", { max: NAMES_MAX })) {
      this.#epochs.set(textField(epoch, "name"), markOf(epoch))
    }
    for (const policy of sectionListField(section, "policies", { max: NAMES_MAX })) {
      this.#policies.set(textField(policy, "name"), markOf(policy))
    }
  }

  #save(): Promise<void> {
    const epochs = [...this.#epochs].map(([name, mark]) => ({ name, ...mark }))
    const policies = [...this.#policies].map(([name, mark]) => ({ name, ...mark }))
    const access = this.#access === undefined ? null : { ...this.#access }
    const witnesses = this.#witnesses === undefined ? {} : { witnesses: { ...this.#witnesses } }
    const bytes = encodeJson({ v: 1, access, ...witnesses, epochs, policies })
    return writeHomeFile(this.#home.pathOf(MEMORY_FILE), bytes)
  }
}

/** How a version follows the highest one: another file of its version goes back, too. */
function courseOf({ version, digest }: Mark, known: Mark | undefined): "on" | "same" | "back" {
  if (known === undefined || version > known.version) return "on"
  return version === known.version && digest === known.digest ? "same" : "back"
}

function markOfGroup({ epoch, recipient }: Group): Mark {
  return { version: epoch, digest: digestOf(Buffer.from(recipient)) }
}

function markOf(section: Section): Mark {
  const digest = textField(section, "digest")
  if (!isDigest(digest)) throw invalidField(section, "digest", { reason: "no digest" })
  return { version: countField(section, "version", { min: 1 }), digest }
}
