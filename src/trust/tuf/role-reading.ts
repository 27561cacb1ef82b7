/**
 * Makes the set of an update: every delegated role is read, and one that is at fault itself stops
 * nothing but itself (protocol/tuf-profile.md §5).
 * @module
 */
import type { Metadata, Targets } from "@tufjs/models"
import { assert } from "../../core/errors.ts"
import { TrustError, type TrustErrorCode } from "../errors.ts"
import { type AcceptedFile, type AcceptedSet, CHAIN, sizeOfSet, targetsOf } from "./accepted-set.ts"
import type { MetadataRules } from "./metadata-rules.ts"
import { isFaultOfSource } from "./source-reading.ts"
import { hexSha256 } from "./tuf-bytes.ts"
import { SET_BYTES_MAX } from "./tuf-limits.ts"
import type { TufUpdate } from "./tuf-update.ts"

/** A role whose newest file was signed as it is and is refused all the same. */
export interface RoleFault {
  readonly role: string
  readonly code: TrustErrorCode
}

/** What an update has led to. */
export interface ReadSet {
  readonly set: AcceptedSet
  readonly faults: readonly RoleFault[]
}

/**
 * Makes the set of an update that was refreshed.
 * @param before - the set that was accepted before
 * @throws {@link TrustError} when the source is at fault: then another one may do better, and a set
 * with an old access list under a new timestamp would hide that
 */
export async function readSet(
  update: TufUpdate,
  before: AcceptedSet | undefined,
  rules: MetadataRules,
): Promise<ReadSet> {
  const set = new Map(CHAIN.map((role) => [role, fileOf(update, role)]))
  const faults: RoleFault[] = []
  for (const role of rules.readsAllRoles ? delegatedRoles(targetsOf(set, "targets")) : []) {
    const known = before?.get(role)
    if (!update.isListed(role)) continue
    if (known !== undefined && isUnchanged(role, { before, set, update })) set.set(role, known)
    else {
      const { file, fault } = await readRole(role, { before, set, update, rules })
      set.set(role, file)
      if (fault !== undefined) faults.push(fault)
    }
  }
  if (sizeOfSet(set) <= SET_BYTES_MAX) return { set, faults }
  throw new TrustError("TUF_TOO_LARGE", `all metadata together has ${sizeOfSet(set)} bytes`)
}

/** Gives a file that an update accepted. */
export function fileOf(update: TufUpdate, role: string): AcceptedFile {
  const metadata = update.accepted(role)
  const bytes = update.namedBytes(role)
  assert(metadata !== undefined && bytes !== undefined, `${role} was accepted`)
  return { named: bytes, used: { bytes, metadata, isOlder: false } }
}

interface Reading {
  readonly update: TufUpdate
  readonly before: AcceptedSet | undefined
  /** The set as far as it is made. */
  readonly set: AcceptedSet
}

function delegatedRoles(targets: Metadata<Targets> | undefined): readonly string[] {
  return Object.keys(targets?.signed.delegations?.roles ?? {})
}

/** Neither the file nor the keys that decide about it have changed. Its expiry is not asked. */
function isUnchanged(role: string, { before, set, update }: Reading): boolean {
  const known = before?.get(role)
  if (before === undefined || known?.used === undefined || known.used.isOlder) return false
  const digest = update.namedBySnapshot(role).hashes?.sha256
  return digest === hexSha256(known.named) && delegationOf(before, role) === delegationOf(set, role)
}

// Key ids are digests of the keys, so the keys need no look.
function delegationOf(set: AcceptedSet, role: string): string {
  return JSON.stringify(targetsOf(set, "targets")?.signed.delegations?.roles?.[role]?.toJSON())
}

async function readRole(
  role: string,
  { update, before, set, rules }: Reading & { readonly rules: MetadataRules },
): Promise<{ readonly file: AcceptedFile; readonly fault?: RoleFault }> {
  try {
    await update.loadRole(role, "targets")
    return { file: fileOf(update, role) }
  } catch (error) {
    if (!(error instanceof TrustError) || isFaultOfSource(error)) throw error
    const named = update.namedBytes(role)
    assert(named !== undefined, `the file of ${role} was found`)
    const older = before?.get(role)?.used
    const isUsable = older !== undefined && countsStill(role, older.metadata, { set, rules })
    const used = isUsable ? { ...older, isOlder: true } : undefined
    return { file: { named, used }, fault: { role, code: error.code } }
  }
}

/** An older file counts while the keys that the targets role names today have signed it. */
function countsStill(
  role: string,
  metadata: NonNullable<AcceptedFile["used"]>["metadata"],
  { set, rules }: { readonly set: AcceptedSet; readonly rules: MetadataRules },
): boolean {
  const delegator = targetsOf(set, "targets")
  assert(delegator !== undefined, "the targets role was accepted")
  try {
    delegator.verifyDelegate(role, metadata)
    rules.checkSignatures({ role, metadata, delegator })
    return true
  } catch {
    // The keys have changed since.
    return false
  }
}
