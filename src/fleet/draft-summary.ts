/**
 * What a draft would change, in lines for whoever is asked to sign it: read from the files themselves,
 * and from nothing that was said about them.
 * @module
 */
import { digestOf } from "../core/digest.ts"
import { shownLine } from "../core/shown-text.ts"
import { countingDevices, parsePolicy } from "../trust/policy.ts"
import type { FleetRepository } from "../trust/tuf/fleet-repository.ts"
import { holdersIn } from "../trust/tuf/role-holders.ts"
import { type RoleSigners, tufTime } from "../trust/tuf/tuf-author.ts"
import { parseWitnessList, WITNESSES_PATH } from "../trust/witness-list.ts"
import { type DraftBase, foundingEndMs } from "./draft-reading.ts"
import { nextOf } from "./draft-signing.ts"
import { namespaceOfPolicy } from "./policy-shelf.ts"
import { type FoundingDraft, filesOfChange, isFounding, type RoleDraft } from "./role-draft.ts"

const ROOT_ROLES = ["root", "targets", "snapshot", "timestamp"] as const

/** Gives the lines, file by file. @throws TrustError `POLICY_INVALID`, `WITNESSES_INVALID` for what is none */
export function describeDraft(draft: RoleDraft, base: DraftBase): readonly string[] {
  const { fleet, change } = draft
  const next = nextOf(change, base)
  const lines = [`fleet ${fleet}`, ...(isFounding(draft) ? foundingLines(draft) : [])]
  for (const [role, { signed }] of filesOfChange(change)) {
    lines.push(`${role} ${signed.version}, good until ${signed.expires}`)
    if (role === "root") lines.push(...holderLines(ROOT_ROLES, base, next))
  }
  if (change.targets !== undefined) {
    const roles = Object.keys({ ...delegated(base), ...delegated(next) }).toSorted()
    lines.push(...holderLines(roles, base, next))
    const before = base?.targets.signed.targets ?? {}
    lines.push(...targetLines(before, change.targets.signed.targets))
  }
  for (const [path, bytes] of change.contents ?? []) {
    const namespace = namespaceOfPolicy(path)
    if (namespace !== undefined) lines.push(...policyLines(bytes, fleet, namespace))
    if (path === WITNESSES_PATH) lines.push(...witnessLines(bytes, fleet))
  }
  return lines.map(shownLine)
}

function foundingLines(draft: FoundingDraft): readonly string[] {
  const end = tufTime(foundingEndMs(draft))
  return [`  NEW: founded by this draft on node ${draft.founder}, before ${end} or not at all`]
}

type Above = Pick<FleetRepository, "root" | "targets">

function delegated(files: Above | undefined): Readonly<Record<string, unknown>> {
  return files?.targets.signed.delegations?.roles ?? {}
}

function holderLines(
  roles: readonly string[],
  before: Above | undefined,
  after: Above,
): readonly string[] {
  return roles.flatMap((role) => {
    const [old, now] = [before && holdersIn(before, role), holdersIn(after, role)]
    if (old !== undefined && now !== undefined && isSame(old, now)) return []
    if (now === undefined) return [`  role ${role}: nobody signs for it any more`]
    return [
      `  role ${role}: ${now.threshold} of ${now.keys.length} keys must sign${old === undefined ? "" : `, before ${old.threshold} of ${old.keys.length}`}`,
      ...now.keys.map((key) => `    ${key}${old?.keys.includes(key) === true ? "" : "  NEW"}`),
      ...(old?.keys ?? [])
        .filter((key) => !now.keys.includes(key))
        .map((key) => `    ${key}  GONE`),
    ]
  })
}

function isSame(one: RoleSigners, other: RoleSigners): boolean {
  const keys = new Set(other.keys)
  const isSameKeys = one.keys.length === keys.size && one.keys.every((key) => keys.has(key))
  return one.threshold === other.threshold && isSameKeys
}

type Listed = FleetRepository["targets"]["signed"]["targets"]

function targetLines(before: Listed, after: Listed): readonly string[] {
  const paths = Object.keys({ ...before, ...after }).toSorted()
  return paths.flatMap((path) => {
    const fileIn = (listed: Listed) => (Object.hasOwn(listed, path) ? listed[path] : undefined)
    const [old, now] = [fileIn(before), fileIn(after)]
    if (now === undefined) return [`  - ${path}`]
    if (old === undefined) return [`  + ${path}`]
    return old.hashes.sha256 === now.hashes.sha256 ? [] : [`  ~ ${path}`]
  })
}

function policyLines(bytes: Uint8Array, fleet: string, namespace: string): readonly string[] {
  const policy = parsePolicy(bytes, { fleet, namespace })
  const holders = [...policy.parties, ...(policy.gate === undefined ? [] : [policy.gate])]
  return [
    `policy ${policy.version} of ${namespace}`,
    ...holders.flatMap(({ name, threshold, devices }) => [
      `  ${name}: ${threshold} of ${countingDevices({ name, threshold, devices }).length} devices`,
      ...devices.map(({ key, recipient, state }) => {
        return `    ${key}  ${state}, shares to ${digestOf(Buffer.from(recipient))}`
      }),
    ]),
    ...policy.inspectors.map((one) => `  inspector ${one}`),
    ...(policy.openable.length > 0
      ? [`  releases under policy ${policy.openable.join(", ")} stay openable`]
      : []),
    ...(policy.allowsClassical ? ["  classical recipients are ALLOWED"] : []),
    ...(policy.allowsNoGate ? ["  releases without a gate are ALLOWED"] : []),
  ]
}

function witnessLines(bytes: Uint8Array, fleet: string): readonly string[] {
  const { version, threshold, faultyMax, witnesses } = parseWitnessList(bytes, fleet)
  return [
    `witnesses ${version}: ${threshold} of ${witnesses.length} must cosign, ${faultyMax} may lie`,
    ...witnesses.map(({ peer, key }) => `  ${peer}  ${key}`),
  ]
}
