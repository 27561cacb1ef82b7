/**
 * Authors of a fleet's metadata: drafts of what a role shall say, and signatures on them. A draft
 * needs no secret; it is signed key by key, anywhere, and published by the desk
 * (protocol/tuf-profile.md §5).
 * @module
 */
import { Key, Metadata, Root, Signature, TargetFile, Targets } from "@tufjs/models"
import { Delegations } from "@tufjs/models/dist/delegations.js"
import { DelegatedRole, Role } from "@tufjs/models/dist/role.js"
import { TrustError } from "../errors.ts"
import type { PublicKey } from "../public-key.ts"
import { isAccepted } from "../signature.ts"
import type { Signer } from "../signing-key.ts"
import { refused } from "./fleet-repository.ts"
import { pathsOfRole, roleOfTarget } from "./fleet-role.ts"
import { type AnyMetadata, hexSha256, signedBytesOf, tufKeyId, tufKeyOf } from "./tuf-bytes.ts"

/** The TUF specification that files say they follow. */
export const SPEC_VERSION = "1.0.31"

/** Who signs for a role: `threshold` of `keys`. */
export interface RoleSigners {
  readonly keys: readonly PublicKey[]
  readonly threshold: number
}

/** Who signs for the roles that a root names. */
export interface RootRoles {
  readonly root: RoleSigners
  readonly targets: RoleSigners
  /** Signs snapshot and timestamp. A stand-by's key stands beside the desk's own. */
  readonly desk: RoleSigners
}

/**
 * Drafts a root.
 * @param before - the root that it follows; undefined: a fleet's first one
 * @param roles - who signs from now on
 */
export function draftRoot(
  before: Metadata<Root> | undefined,
  roles: RootRoles,
  expiresMs: number,
): Metadata<Root> {
  const { root, targets, desk } = roles
  const byRole = { root, targets, snapshot: desk, timestamp: desk }
  const entries = Object.entries(byRole).map(([name, signers]) => [name, roleOf(signers)] as const)
  const signed = new Root({
    specVersion: SPEC_VERSION,
    version: nextVersion(before),
    expires: tufTime(expiresMs),
    keys: keysOf([root, targets, desk]),
    roles: Object.fromEntries(entries),
    consistentSnapshot: true,
  })
  return new Metadata(signed)
}

/** What a targets role shall say from now on. */
export interface TargetsChange {
  readonly expiresMs: number
  /** Target files that are new or replaced, by path. */
  readonly add?: ReadonlyMap<string, Uint8Array>
  readonly remove?: readonly string[]
  /** Of the targets role: who signs for delegated roles; undefined takes a delegation away. */
  readonly delegate?: ReadonlyMap<string, RoleSigners | undefined>
}

/**
 * Drafts the next file of a targets role.
 * @param role - `targets`, `access`, `plan` or the role of a namespace's releases
 * @param before - the file that it follows; undefined: the role's first one
 * @throws {@link TrustError} `TUF_DELEGATION_WRONG` when the role may not sign a path, or a fleet
 * has no such role
 */
export function draftTargets(
  role: string,
  before: Metadata<Targets> | undefined,
  { expiresMs, add = new Map(), remove = [], delegate }: TargetsChange,
): Metadata<Targets> {
  const targets = { ...before?.signed.targets }
  for (const path of remove) delete targets[path]
  for (const [path, bytes] of add) {
    if (roleOfTarget(path) !== role) throw refused("TUF_DELEGATION_WRONG", role, `signs no ${path}`)
    targets[path] = targetFileOf(path, bytes)
  }
  const kept = before?.signed.delegations
  const delegations = delegate === undefined ? kept : delegationsOf(role, kept, delegate)
  const signed = new Targets({
    specVersion: SPEC_VERSION,
    version: nextVersion(before),
    expires: tufTime(expiresMs),
    targets,
    ...(delegations === undefined ? {} : { delegations }),
  })
  return new Metadata(signed)
}

/**
 * Adds signatures. One by the same key is replaced.
 * @throws {@link TrustError} `SIGNATURE_WRONG` when what a signer gave is not accepted
 */
export async function signMetadata<T extends AnyMetadata>(
  metadata: T,
  signers: readonly Signer[],
  options?: { readonly signal?: AbortSignal },
): Promise<T> {
  const bytes = signedBytesOf(metadata)
  const signatures = { ...metadata.signatures }
  for (const signer of signers) {
    const key = signer.publicKey
    const signature = await signer.sign(bytes, options)
    if (!isAccepted({ key, bytes, signature })) {
      throw new TrustError("SIGNATURE_WRONG", `the signer gave no signature by key ${key}`)
    }
    const keyID = tufKeyId(key)
    signatures[keyID] = new Signature({ keyID, sig: Buffer.from(signature).toString("hex") })
  }
  return withSignatures(metadata, signatures)
}

/** Gives a file with other signatures, and with nothing else that is not signed. */
export function withSignatures<T extends AnyMetadata>(
  { signed }: T,
  signatures: AnyMetadata["signatures"],
): T {
  // The library's class is the same for every kind of file.
  return new Metadata(signed, signatures) as T
}

/** Writes a time as TUF has it: UTC, whole seconds. */
export function tufTime(timeMs: number): string {
  return `${new Date(timeMs).toISOString().slice(0, "2000-01-01T00:00:00".length)}Z`
}

/** Gives what a role signs of a target file. */
function targetFileOf(path: string, bytes: Uint8Array): TargetFile {
  return new TargetFile({ path, length: bytes.length, hashes: { sha256: hexSha256(bytes) } })
}

function nextVersion(before: AnyMetadata | undefined): number {
  return (before?.signed.version ?? 0) + 1
}

function roleOf({ keys, threshold }: RoleSigners): Role {
  return new Role({ keyIDs: keys.map(tufKeyId), threshold })
}

function keysOf(roles: readonly RoleSigners[]): Record<string, Key> {
  const keys = roles.flatMap((role) => role.keys.map(tufKeyOf))
  return Object.fromEntries(keys.map((key) => [key.keyID, key]))
}

function delegationsOf(
  role: string,
  before: Delegations | undefined,
  change: ReadonlyMap<string, RoleSigners | undefined>,
): Delegations {
  if (role !== "targets") throw refused("TUF_DELEGATION_WRONG", role, "delegates nothing")
  const roles = { ...before?.roles }
  const keys = { ...before?.keys }
  for (const [name, signers] of change) {
    delete roles[name]
    if (signers === undefined) continue
    roles[name] = delegatedRole(name, signers)
    Object.assign(keys, keysOf([signers]))
  }
  const used = new Set(Object.values(roles).flatMap(({ keyIDs }) => keyIDs))
  const usedKeys = Object.entries(keys).filter(([id]) => used.has(id))
  return new Delegations({ keys: Object.fromEntries(usedKeys), roles })
}

function delegatedRole(name: string, { keys, threshold }: RoleSigners): DelegatedRole {
  const paths = pathsOfRole(name)
  if (paths === undefined) throw refused("TUF_DELEGATION_WRONG", name, "a fleet has no such role")
  const keyIDs = keys.map(tufKeyId)
  return new DelegatedRole({ name, keyIDs, threshold, terminating: true, paths: [...paths] })
}
