/**
 * New keys of a role: the file above names one that was made here, and whatever the role signs is
 * signed anew. Until that counts the key before is kept (protocol/tuf-profile.md §5, authoring).
 * @module
 */
import {
  addSignature,
  type Envelope,
  encodeEnvelope,
  parseEnvelope,
  verifyEnvelope,
} from "../trust/envelope.ts"
import { TrustError } from "../trust/errors.ts"
import type { PublicKey } from "../trust/public-key.ts"
import type { Signer } from "../trust/signing-key.ts"
import type { FleetRepository } from "../trust/tuf/fleet-repository.ts"
import { isReleasesRole, isRootRole, ROOT_ROLES } from "../trust/tuf/fleet-role.ts"
import { holdersIn, rootRolesOf } from "../trust/tuf/role-holders.ts"
import { draftRoot, draftTargets, type RoleSigners, signMetadata } from "../trust/tuf/tuf-author.ts"
import type { FleetChange } from "../trust/tuf/tuf-desk.ts"
import { FleetError } from "./errors.ts"
import type { Base, Prepare } from "./fleet-author.ts"
import { filesBeside, lifeMsOf } from "./role-renewal.ts"
import type { RoleRing } from "./role-ring.ts"

/** Which key is replaced. */
export interface Rotation {
  /** The one that is nowhere any more, when none of the role's keys is here. */
  readonly isLost?: boolean | undefined
}

/**
 * Gives a role a new key in the place of the one that lies here, or of one that is lost. Where that was
 * begun and cut off, it is completed.
 * @throws FleetError `FLEET_REQUEST_INVALID` for a role that the fleet does not have;
 * `ROLE_KEY_MISSING` when its key, or that of the role above, is not here
 */
export function rotating(role: string, ring: RoleRing, { isLost }: Rotation = {}): Prepare {
  return async (base) => {
    const holders = holdersIn(base.repository, role)
    if (holders === undefined || isDeskFile(role)) throw unknownRole(role)
    const [own] =
      isLost === true ? await ring.among(role, holders.keys) : await base.signersOf(role)
    const old = own?.publicKey ?? onlyKey(holders, role)
    // Whoever cannot sign what names the next key makes none.
    await base.signersOf(isRootRole(role) ? "root" : "targets")
    const next = await ring.makeNext(role)
    // One that is named already is being published.
    if (old === next.publicKey) return undefined
    const keys = holders.keys.map((key) => (key === old ? next.publicKey : key))
    const change = { threshold: holders.threshold, keys }
    return isRootRole(role)
      ? await newRoot(base, role, { change, next })
      : await base.sign("targets", { delegate: new Map([[role, change]]) })
  }
}

/** Of several keys nobody here can tell which one was lost. */
function onlyKey({ keys: [key, ...others] }: RoleSigners, role: string): PublicKey {
  if (key !== undefined && others.length === 0) return key
  const message = `role ${role} has several keys: rotate it where another of them lies`
  throw new FleetError("FLEET_REQUEST_INVALID", message)
}

/** A new root is signed by the keys before and those after. */
async function newRoot(
  { repository: { root }, nowMs, signersOf }: Base,
  role: (typeof ROOT_ROLES)[number],
  { change, next }: { readonly change: RoleSigners; readonly next: Signer },
): Promise<FleetChange> {
  const roles = { ...rootRolesOf(root), [role]: change }
  const draft = draftRoot(root, roles, nowMs + lifeMsOf("root"))
  const signers = [...(await signersOf("root")), ...(role === "root" ? [next] : [])]
  return { root: await signMetadata(draft, signers) }
}

/**
 * Adds to a change what has to be signed anew because the files above name other keys than before, by
 * those that are here.
 */
export async function withNewHolders(
  base: Base,
  change: FleetChange,
  ring: RoleRing,
): Promise<FleetChange> {
  const { repository } = base
  const { root = repository.root, targets = repository.targets } = change
  let next: FleetChange = change
  for (const [role, file] of filesBeside(repository, change)) {
    const before = holdersIn(repository, role)?.keys ?? []
    const holders = holdersIn({ root, targets }, role)
    const now = holders?.keys ?? []
    if (now.every((key) => before.includes(key))) continue
    // A reader that has the root before takes the targets that the snapshot names already.
    const signers = await ring.among(role, role === "targets" ? [...now, ...before] : now)
    // Fewer make a file that nobody takes.
    if (signers.length >= (holders?.threshold ?? 1)) {
      next = await withSigned(base, next, { role, file, signers, before, now })
    }
  }
  return next
}

interface Resigning {
  readonly role: string
  readonly file: FleetRepository["targets"]
  readonly signers: readonly Signer[]
  readonly before: readonly PublicKey[]
  readonly now: readonly PublicKey[]
}

async function withSigned(
  base: Base,
  change: FleetChange,
  resigning: Resigning,
): Promise<FleetChange> {
  const { role, file, signers } = resigning
  const add = isReleasesRole(role)
    ? await resignedReleases(base, resigning)
    : new Map<string, Uint8Array>()
  const draft = draftTargets(role, file, { expiresMs: base.nowMs + lifeMsOf(role), add })
  const signed = await signMetadata(draft, signers)
  if (role === "targets") return { ...change, targets: signed }
  return {
    ...change,
    roles: new Map([...(change.roles ?? []), [role, signed]]),
    contents: new Map([...(change.contents ?? []), ...add]),
    mayResign: new Set([...(change.mayResign ?? []), ...add.keys()]),
  }
}

/**
 * Who joins later believes a release that a key of its role has signed, as it is then. What it says
 * stays, and so does its digest.
 */
async function resignedReleases(
  { read }: Base,
  resigning: Resigning,
): Promise<ReadonlyMap<string, Uint8Array>> {
  const releases = new Map<string, Uint8Array>()
  for (const path of Object.keys(resigning.file.signed.targets)) {
    const bytes = await read(path)
    const signed = bytes && (await resigned(bytes, resigning))
    if (signed !== undefined) releases.set(path, signed)
  }
  return releases
}

/** @returns undefined for what the role's keys never signed: they do not now */
async function resigned(
  bytes: Uint8Array,
  { signers, before, now }: Resigning,
): Promise<Uint8Array | undefined> {
  try {
    const known = parseEnvelope(bytes)
    verifyEnvelope(known, new Set(before))
    const kept = known.signatures.filter(({ keyid }) => now.some((key) => key === keyid))
    let envelope: Envelope = { ...known, signatures: kept }
    for (const signer of signers) envelope = await addSignature(envelope, signer)
    return encodeEnvelope(envelope)
  } catch (error) {
    if (error instanceof TrustError) return undefined
    throw error
  }
}

/** An operator knows these two as the desk. */
function isDeskFile(role: string): boolean {
  return role === "snapshot" || role === "timestamp"
}

function unknownRole(role: string): FleetError {
  const shown = JSON.stringify(role.slice(0, 80))
  const known = [...ROOT_ROLES, "access", "plan", "releases.NAMESPACE"].join(", ")
  const message = `the fleet has no role ${shown}; it may have ${known}`
  return new FleetError("FLEET_REQUEST_INVALID", message)
}
