/**
 * What a fleet demands of its metadata beyond TUF 1.0 (protocol/tuf-profile.md §4).
 * @module
 */
import { isSha256Hex } from "../../core/digest.ts"
import { asArray, asCount, asObject, asText, field, type JsonObject } from "../../core/json.ts"
import { TrustError } from "../errors.ts"
import { pathsOfRole, roleOfTarget } from "./fleet-role.ts"
import { verifySigners } from "./fleet-signatures.ts"
import type { MetadataRules } from "./metadata-rules.ts"
import { verifyKeyList, verifyRoleKeys } from "./role-keys.ts"
import { type FleetId, verifyFleetId } from "./tuf-bytes.ts"
import { TARGET_BYTES_MAX } from "./tuf-limits.ts"

const TOP_LEVEL_ROLES = ["root", "snapshot", "targets", "timestamp"]
const EXPIRES = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/

/** Gives the rules of one fleet. @param fleet - its pinned id */
export function fleetRules(fleet: FleetId): MetadataRules {
  return {
    checkFirstRoot: (bytes) => verifyFleetId(bytes, fleet),
    checkForm: checkFleetForm,
    checkSignatures: verifySigners,
    maySign: (role, path) => roleOfTarget(path) === role,
    readsAllRoles: true,
  }
}

/**
 * Checks the form of one file.
 * @throws {@link TrustError} `TUF_MALFORMED`, `TUF_TOO_LARGE`, `TUF_DELEGATION_WRONG`,
 * `TUF_KEY_ID_WRONG`, `KEY_WEAK`, `KEY_MALFORMED`
 */
export function checkFleetForm(role: string, file: JsonObject): void {
  const signed = asObject(field(file, "signed")) ?? {}
  if ((asCount(field(signed, "version")) ?? 0) < 1) throw malformed(role, "version")
  if (!EXPIRES.test(asText(field(signed, "expires")) ?? "")) throw malformed(role, "expires")
  if (role === "root") checkRoot(signed)
  else if (role === "timestamp") checkNamedFiles(role, signed, "snapshot.json")
  else if (role === "snapshot") checkNamedFiles(role, signed, "targets.json")
  else checkTargets(role, signed)
}

function checkRoot(signed: JsonObject): void {
  if (field(signed, "consistent_snapshot") !== true) throw malformed("root", "consistent_snapshot")
  const roles = asObject(field(signed, "roles")) ?? {}
  if (Object.keys(roles).sort().join() !== TOP_LEVEL_ROLES.join()) throw malformed("root", "roles")
  const keys = verifyKeyList(asObject(field(signed, "keys")))
  for (const name of TOP_LEVEL_ROLES) verifyRoleKeys(name, asObject(field(roles, name)), keys)
}

/** The files that a timestamp or a snapshot names: each with its length and digest. */
function checkNamedFiles(role: string, signed: JsonObject, needed: string): void {
  const meta = asObject(field(signed, "meta")) ?? {}
  if (field(meta, needed) === undefined) throw malformed(role, "meta")
  for (const [name, value] of Object.entries(meta)) {
    const entry = asObject(value) ?? {}
    if ((asCount(field(entry, "version")) ?? 0) < 1) throw malformed(role, `version of ${name}`)
    checkLengthAndDigest(role, name, entry)
  }
}

function checkTargets(role: string, signed: JsonObject): void {
  for (const [path, value] of Object.entries(asObject(field(signed, "targets")) ?? {})) {
    const sizeBytes = checkLengthAndDigest(role, path, asObject(value) ?? {})
    if (sizeBytes > TARGET_BYTES_MAX) {
      throw new TrustError("TUF_TOO_LARGE", `${role} signs ${path} of ${sizeBytes} bytes`)
    }
  }
  const delegations = field(signed, "delegations")
  if (delegations === undefined) return
  if (role !== "targets") throw wrongDelegation(`${role} delegates`)
  checkDelegations(asObject(delegations) ?? {})
}

/** SHA-256 and nothing else: tuf-js believes a target that has no digest at all. */
function checkLengthAndDigest(role: string, name: string, entry: JsonObject): number {
  const sizeBytes = asCount(field(entry, "length"))
  if (sizeBytes === undefined) throw malformed(role, `length of ${name}`)
  const hashes = asObject(field(entry, "hashes")) ?? {}
  const digest = asText(field(hashes, "sha256")) ?? ""
  const isAlone = Object.keys(hashes).length === 1
  if (!isAlone || !isSha256Hex(digest)) throw malformed(role, `digest of ${name}`)
  return sizeBytes
}

function checkDelegations(delegations: JsonObject): void {
  if (field(delegations, "succinct_roles") !== undefined) throw wrongDelegation("hash bins")
  const keys = verifyKeyList(asObject(field(delegations, "keys")))
  for (const value of asArray(field(delegations, "roles")) ?? []) {
    const delegation = asObject(value) ?? {}
    const name = asText(field(delegation, "name")) ?? ""
    checkPaths(name, delegation)
    verifyRoleKeys(name, delegation, keys)
  }
}

/** A delegated role has the paths of its name, all of them and no others. */
function checkPaths(name: string, delegation: JsonObject): void {
  const shown = JSON.stringify(name.slice(0, 80))
  const expected = pathsOfRole(name)
  if (expected === undefined) throw wrongDelegation(`a fleet has no role ${shown}`)
  const paths = asArray(field(delegation, "paths")) ?? []
  if (JSON.stringify(paths) !== JSON.stringify(expected)) {
    throw wrongDelegation(`role ${shown} is for ${expected.join(", ")} only`)
  }
  if (field(delegation, "path_hash_prefixes") !== undefined) throw wrongDelegation("hash prefixes")
  if (field(delegation, "terminating") !== true) throw wrongDelegation(`${shown} does not end here`)
}

function malformed(role: string, what: string): TrustError {
  return new TrustError("TUF_MALFORMED", `${role}: ${what} is missing or malformed`)
}

function wrongDelegation(what: string): TrustError {
  return new TrustError("TUF_DELEGATION_WRONG", `delegation refused: ${what}`)
}
