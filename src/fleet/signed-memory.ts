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

/**
 * Remembers what a key is about to sign: one version is signed once, since two of them would divide the
 * fleet.
 * @throws {@link FleetError} `DRAFT_CONFLICT`, `FLEET_WRONG`, `DRAFT_INVALID`
 */
export async function rememberSigned(
  state: TufFiles,
  versions: readonly SignedVersion[],
  { fleet, isAgain }: { readonly fleet: string; readonly isAgain: boolean },
): Promise<void> {
  const known = await readSigned(state, fleet)
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

async function readSigned(
  state: TufFiles,
  fleet: string,
): Promise<Map<string, { readonly version: number; readonly digest: string }>> {
  const bytes = await state.read(SIGNED_NAME, { bytesMax: SIGNED_BYTES_MAX })
  if (bytes === undefined) return new Map()
  const refuse = (reason: string) =>
    new FleetError("DRAFT_INVALID", `what this key remembers is broken: ${reason}`)
  const section = parseSection(bytes, { bytesMax: SIGNED_BYTES_MAX, refuse })
  countField(section, "v", { min: 1, max: 1 })
  const known = textField(section, "fleet")
  if (known !== fleet) {
    throw new FleetError(
      "FLEET_WRONG",
      `a draft of fleet ${fleet}, and this key signs for ${known}`,
    )
  }
  const rows = sectionListField(section, "roles", { max: ROLES_MAX })
  return new Map(
    rows.map((row) => [
      textField(row, "role"),
      { version: countField(row, "version", { min: 1 }), digest: textField(row, "digest") },
    ]),
  )
}
