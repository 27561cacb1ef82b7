/**
 * What a key remembers beside itself of what it signed: two of one version would divide the fleet
 * (protocol/tuf-profile.md §5, signing a draft).
 * @module
 */
import { encodeJson } from "../core/json.ts"
import { countField, parseSection, sectionListField, textField } from "../core/section.ts"
import type { TufFiles } from "../trust/tuf/tuf-source.ts"
import { FleetError } from "./errors.ts"

const SIGNED_NAME = "signed-roles.json"
const SIGNED_BYTES_MAX: number = 64 * 1024
const ROLES_MAX = 256
/** What is signed to found a fleet. */
const FIRST_FILES: readonly string[] = ["root", "targets"]
const PLANS_PREFIX = "plans/"
/** Rollouts of which a key remembers the last plan that it signed. */
const PLANS_MAX = 128

/** One version of something that a key signs: a role's file, or a plan. */
export interface SignedVersion {
  /** A role, or `plans/NAME` for the plans of a rollout. */
  readonly role: string
  readonly version: number
  /** SHA-256 of what is signed, as hex digits. */
  readonly digest: string
}

/** What a key remembers. */
interface SignedMemory {
  readonly fleet: string
  readonly roles: ReadonlyMap<string, Omit<SignedVersion, "role">>
}

/**
 * Gives the fleet that a key has signed something of.
 * @returns undefined when it has signed nothing yet
 * @throws {@link FleetError} `DRAFT_INVALID`
 */
export async function fleetSignedBy(state: TufFiles): Promise<string | undefined> {
  return (await readSigned(state))?.fleet
}

/**
 * Remembers what a key is about to sign: one version is signed once, since two of them would divide the
 * fleet. So is one first root: each would found a fleet of its own.
 * @throws {@link FleetError} `DRAFT_CONFLICT`, `FLEET_WRONG`, `DRAFT_INVALID`
 */
export async function rememberSigned(
  state: TufFiles,
  versions: readonly SignedVersion[],
  { fleet, isAgain }: { readonly fleet: string; readonly isAgain: boolean },
): Promise<void> {
  const memory = await readSigned(state)
  if (memory !== undefined && memory.fleet !== fleet) verifyGivenUp(memory, { fleet, isAgain })
  const known = new Map(memory?.fleet === fleet ? memory.roles : [])
  for (const { role, version, digest } of versions) {
    const before = known.get(role)
    const isSame = before?.version === version && before.digest === digest
    if (before !== undefined && before.version >= version && !isSame && !isAgain) {
      const message = `this key has signed ${role} ${before.version} with other words before; if that was given up, say --again`
      throw new FleetError("DRAFT_CONFLICT", message, { details: { role } })
    }
    known.delete(role)
    known.set(role, { version, digest })
  }
  // Rollouts come and go; of roles there are few.
  const plans = [...known.keys()].filter((role) => role.startsWith(PLANS_PREFIX))
  for (const role of plans.slice(0, -PLANS_MAX)) known.delete(role)
  const roles = [...known].map(([role, entry]) => ({ role, ...entry }))
  await state.write(SIGNED_NAME, encodeJson({ v: 1, fleet, roles }))
}

/** A fleet of which a key has signed nothing but the first files may never have been founded. */
function verifyGivenUp(
  { fleet: known, roles }: SignedMemory,
  { fleet, isAgain }: { readonly fleet: string; readonly isAgain: boolean },
): void {
  const isFirst = [...roles].every(([role, { version }]) => {
    return FIRST_FILES.includes(role) && version === 1
  })
  if (isFirst && isAgain) return
  if (isFirst) {
    const message = `this key has signed the first root of fleet ${known}; if that was given up, say --again`
    throw new FleetError("DRAFT_CONFLICT", message, { details: { fleet: known } })
  }
  throw keyOfAnother(fleet, known)
}

/** The error of a draft of one fleet, signed where a key of another is. */
export function keyOfAnother(fleet: string, known: string): FleetError {
  const message = `a draft of fleet ${fleet}, and this key signs for ${known}: "sealift party init" makes another`
  return new FleetError("FLEET_WRONG", message)
}

async function readSigned(state: TufFiles): Promise<SignedMemory | undefined> {
  const bytes = await state.read(SIGNED_NAME, { bytesMax: SIGNED_BYTES_MAX })
  if (bytes === undefined) return undefined
  const refuse = (reason: string) =>
    new FleetError("DRAFT_INVALID", `what this key remembers is broken: ${reason}`)
  const section = parseSection(bytes, { bytesMax: SIGNED_BYTES_MAX, refuse })
  countField(section, "v", { min: 1, max: 1 })
  const rows = sectionListField(section, "roles", { max: ROLES_MAX })
  const roles = rows.map((row): [string, Omit<SignedVersion, "role">] => [
    textField(row, "role"),
    { version: countField(row, "version", { min: 1 }), digest: textField(row, "digest") },
  ])
  return { fleet: textField(section, "fleet"), roles: new Map(roles) }
}
