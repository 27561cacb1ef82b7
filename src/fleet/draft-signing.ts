/**
 * Signing a draft where a key is, with or without a node: what it follows is read as any reader reads it,
 * from the fleet that the key trusts (protocol/tuf-profile.md §5, signing a draft).
 * @module
 */
import { TrustError } from "../trust/errors.ts"
import type { PublicKey } from "../trust/public-key.ts"
import { isAccepted } from "../trust/signature.ts"
import type { Signer } from "../trust/signing-key.ts"
import { encodeDraft, type FleetRepository, repositoryOf } from "../trust/tuf/fleet-repository.ts"
import { roleOfTarget } from "../trust/tuf/fleet-role.ts"
import { checkFleetForm, fleetRules } from "../trust/tuf/fleet-rules.ts"
import { firstRootOf, joinFleet } from "../trust/tuf/joining.ts"
import { parseMetadataFile } from "../trust/tuf/metadata-file.ts"
import { holdersIn } from "../trust/tuf/role-holders.ts"
import { verifyTarget } from "../trust/tuf/target-file.ts"
import { type RoleSigners, signMetadata } from "../trust/tuf/tuf-author.ts"
import { hexSha256, signedBytesOf, tufKeyId } from "../trust/tuf/tuf-bytes.ts"
import { TufClient } from "../trust/tuf/tuf-client.ts"
import type { TufFiles } from "../trust/tuf/tuf-source.ts"
import { FleetError } from "./errors.ts"
import { sourceOfFiles } from "./fleet-files.ts"
import {
  type DraftChange,
  type DraftFile,
  filesOfChange,
  type RoleDraft,
  withDraftFiles,
} from "./role-draft.ts"
import { rememberSigned, type SignedVersion } from "./signed-memory.ts"

const SIGNATURE_HEX = /^[0-9a-f]{128}$/

/** Where a key that signs drafts stands. */
export interface SigningPlace {
  /** What it trusts of its fleet; written to. */
  readonly fleet: TufFiles
  /** What it signed; written to, before anything that it signed is given out. */
  readonly state: TufFiles
  /** The fleet that is expected where the key knows none. */
  readonly expectedFleet: string | undefined
}

/** A draft is on its way for days, and what has run out may be followed: nothing is too old to read. */
const READ_AT_MS = 0

/** Signatures that something has and needs. */
export interface SignatureCount {
  readonly threshold: number
  readonly signed: readonly PublicKey[]
  readonly missing: readonly PublicKey[]
}

/** Signatures that a file of a draft has and needs by the word of one file above it. */
export interface DraftStanding extends SignatureCount {
  readonly role: string
  /** `now`: by the keys that count; `next`: by those that the draft itself names. */
  readonly by: "now" | "next"
}

/**
 * Reads what a draft follows.
 * @throws {@link FleetError} `FLEET_WRONG`, `DRAFT_OUTDATED`; {@link TrustError} as a reader of the
 * fleet's files
 */
export async function readDraftBase(
  { fleet, files, change }: RoleDraft,
  place: SigningPlace,
): Promise<FleetRepository> {
  const { expectedFleet } = place
  if (expectedFleet !== undefined && expectedFleet !== fleet) {
    throw new FleetError("FLEET_WRONG", `a draft of fleet ${fleet}, expected ${expectedFleet}`)
  }
  const source = sourceOfFiles(files)
  const options = { rules: fleetRules(fleet), nowMs: () => READ_AT_MS, files: place.fleet }
  if ((await firstRootOf(place.fleet)) === undefined) await joinFleet(source, options)
  const client = await TufClient.open(options)
  await client.refresh(source)
  const base = repositoryOf(client.accepted!)
  verifyFollows(change, base)
  await verifyContents(change, base)
  return base
}

/**
 * Refuses a draft whose files have another form than a fleet's, or whose target files are others than
 * those that would be signed: they are what a signer is shown.
 */
async function verifyContents({ targets, contents, ...rest }: DraftChange, base: FleetRepository) {
  for (const [role, file] of filesOfChange({ targets, ...rest } as DraftChange)) {
    checkFleetForm(role, parseMetadataFile(role, encodeDraft(file)))
  }
  const before = base.targets.signed.targets
  const shown = new Map(contents)
  for (const [path, target] of Object.entries(targets?.signed.targets ?? {})) {
    const known = Object.hasOwn(before, path) ? before[path] : undefined
    if (known?.hashes.sha256 === target.hashes.sha256) continue
    if (roleOfTarget(path) !== "targets") throw invalid(`targets does not sign ${path}`)
    const bytes = shown.get(path)
    if (bytes === undefined) throw invalid(`it names a new ${path}, and does not bring it`)
    await verifyTarget(target, bytes)
    shown.delete(path)
  }
  const [stray] = shown.keys()
  if (stray !== undefined) throw invalid(`it brings ${stray}, which nobody would sign`)
}

function invalid(reason: string): FleetError {
  return new FleetError("DRAFT_INVALID", `the draft is refused: ${reason}`)
}

/** Refuses a draft of files that others have followed. @throws {@link FleetError} `DRAFT_OUTDATED` */
export function verifyFollows(change: DraftChange, base: FleetRepository): void {
  for (const [role, file] of filesOfChange(change)) {
    const version = fileIn(base, role)?.signed.version ?? 0
    if (file.signed.version === version + 1) continue
    const message = `${role} ${file.signed.version} was drafted, and ${version} is what counts: draft it anew`
    throw new FleetError("DRAFT_OUTDATED", message, { details: { role } })
  }
}

/** Gives how far a draft is signed: two rows for a root, one for any other file. */
export function standingOfDraft(
  change: DraftChange,
  base: FleetRepository,
): readonly DraftStanding[] {
  const next = nextOf(change, base)
  return [...filesOfChange(change)].flatMap(([role, file]) => {
    const rows = [{ by: "next", above: next } as const]
    const both = role === "root" ? [{ by: "now", above: base } as const, ...rows] : rows
    return both.map(({ by, above }) => {
      const holders = holdersIn(above, role) ?? { keys: [], threshold: 1 }
      return { role, by, ...countSignatures(holders, (key) => hasSigned(file, key)) }
    })
  })
}

/** Counts the signatures of a role's keys. @param hasSigned - whether a key has given one */
export function countSignatures(
  { keys, threshold }: RoleSigners,
  hasSigned: (key: PublicKey) => boolean,
): SignatureCount {
  const signed = keys.filter(hasSigned)
  return { threshold, signed, missing: keys.filter((key) => !signed.includes(key)) }
}

/** Whether there are as many as are needed. */
export function isSigned({ signed, threshold }: SignatureCount): boolean {
  return signed.length >= threshold
}

/** Says it to people. @param by - more about the keys, such as "by the keys that count now" */
export function signaturesText(count: SignatureCount, by?: string): string {
  const { signed, threshold, missing } = count
  const asked = isSigned(count) ? "" : `; still to ask: ${missing.join(", ")}`
  return `${signed.length} of ${threshold} signatures${by === undefined ? "" : ` ${by}`}${asked}`
}

/** Refuses a draft that lacks signatures. @throws {@link TrustError} `TUF_SIGNATURES_MISSING` */
export function verifySigned(standing: readonly DraftStanding[]): void {
  const open = standing.find((row) => !isSigned(row))
  if (open === undefined) return
  const { role, missing } = open
  throw new TrustError("TUF_SIGNATURES_MISSING", `${role}: ${signaturesText(open)}`, {
    details: { role, missing: [...missing] },
  })
}

/**
 * Signs all files of a draft that a key may sign, and remembers it.
 * @param isAgain - also where this key has signed another file of the same version before
 * @throws {@link FleetError} `ROLE_KEY_MISSING` when it may sign none, `DRAFT_CONFLICT`
 */
export async function signDraft(
  draft: RoleDraft,
  signer: Signer,
  options: {
    readonly base: FleetRepository
    readonly state: TufFiles
    readonly isAgain: boolean
    readonly signal?: AbortSignal
  },
): Promise<{ readonly draft: RoleDraft; readonly roles: readonly string[] }> {
  const { base, state, isAgain, signal } = options
  const next = nextOf(draft.change, base)
  const key = signer.publicKey
  const mine = [...filesOfChange(draft.change)].filter(([role]) => {
    return [base, next].some((above) => holdersIn(above, role)?.keys.includes(key) === true)
  })
  if (mine.length === 0) {
    const message = `${key} signs for none of the roles in this draft`
    throw new FleetError("ROLE_KEY_MISSING", message)
  }
  const versions = mine.map(([role, file]) => versionOf(role, file))
  await rememberSigned(state, versions, { fleet: draft.fleet, isAgain })
  const signed = new Map<string, DraftFile>()
  for (const [role, file] of mine) {
    signed.set(role, await signMetadata(file, [signer], signal === undefined ? {} : { signal }))
  }
  const change = withDraftFiles(draft.change, (role, file) => signed.get(role) ?? file)
  return { draft: { ...draft, change }, roles: [...signed.keys()] }
}

/** The files above, as they are once the draft counts. */
function nextOf(
  { root, targets }: DraftChange,
  base: FleetRepository,
): Pick<FleetRepository, "root" | "targets"> {
  return { root: root ?? base.root, targets: targets ?? base.targets }
}

function fileIn(base: FleetRepository, role: string): DraftFile | undefined {
  if (role === "root") return base.root
  return role === "targets" ? base.targets : undefined
}

/** Whether a key has signed a file. */
export function hasSigned(file: DraftFile, key: PublicKey): boolean {
  const hex = file.signatures[tufKeyId(key)]?.sig ?? ""
  if (!SIGNATURE_HEX.test(hex)) return false
  return isAccepted({ key, bytes: signedBytesOf(file), signature: Buffer.from(hex, "hex") })
}

/** Gives what is remembered of a file. */
export function versionOf(role: string, file: DraftFile): SignedVersion {
  return { role, version: file.signed.version, digest: hexSha256(signedBytesOf(file)) }
}
