/**
 * Reading a draft where a key is, with or without a node: what it follows is read as any reader reads it,
 * from the fleet that the key trusts (protocol/tuf-profile.md §5, signing a draft).
 * @module
 */
import { namesTargets } from "../trust/tuf/first-targets.ts"
import { encodeDraft, type FleetRepository, repositoryOf } from "../trust/tuf/fleet-repository.ts"
import { roleOfTarget } from "../trust/tuf/fleet-role.ts"
import { checkFleetForm, fleetRules } from "../trust/tuf/fleet-rules.ts"
import { firstRootOf, joinFleet } from "../trust/tuf/joining.ts"
import { parseMetadataFile } from "../trust/tuf/metadata-file.ts"
import { verifyTarget } from "../trust/tuf/target-file.ts"
import { tufTime } from "../trust/tuf/tuf-author.ts"
import { fleetIdOf, fleetIdOfRoot } from "../trust/tuf/tuf-bytes.ts"
import { TufClient } from "../trust/tuf/tuf-client.ts"
import type { TufFiles } from "../trust/tuf/tuf-source.ts"
import { FleetError } from "./errors.ts"
import { sourceOfFiles } from "./fleet-files.ts"
import {
  type DraftChange,
  type DraftFile,
  type FoundingDraft,
  filesOfChange,
  isFounding,
  type RoleDraft,
} from "./role-draft.ts"
import { lifeMsOf } from "./role-renewal.ts"
import { fleetSignedBy, keyOfAnother } from "./signed-memory.ts"

/** For how long a fleet may be founded by a draft: then nobody need count with it any more. */
const FOUNDING_LIFE_MS: number = 30 * 86_400_000

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

/** What a draft follows; undefined: nothing, since it founds a fleet. */
export type DraftBase = FleetRepository | undefined

/**
 * Reads a draft, and what it follows.
 * @param nowMs - a draft that founds a fleet has an end
 * @throws {@link FleetError} `FLEET_WRONG`, `DRAFT_OUTDATED`, `DRAFT_INVALID`; TrustError as a reader of
 * the fleet's files
 */
export async function readDraft(
  draft: RoleDraft,
  place: SigningPlace,
  nowMs: number,
): Promise<DraftBase> {
  if (!isFounding(draft)) return await readDraftBase(draft, place)
  await verifyFounding(draft, place)
  verifyInTime(draft, nowMs)
  return undefined
}

/**
 * Reads what a draft follows.
 * @throws {@link FleetError} `FLEET_WRONG`, `DRAFT_OUTDATED`; TrustError as a reader of the fleet's
 * files
 */
export async function readDraftBase(
  { fleet, files, change }: Pick<RoleDraft, "fleet" | "files" | "change">,
  place: SigningPlace,
): Promise<FleetRepository> {
  verifyExpected(fleet, place.expectedFleet)
  // Before it is pinned: a key that helped to found one fleet signs for no other.
  verifyExpected(fleet, await fleetSignedBy(place.state))
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

/** The first root says by itself which fleet it founds: nobody has signed it before. */
async function verifyFounding(
  { fleet, change }: FoundingDraft,
  { expectedFleet, fleet: trusted, state }: SigningPlace,
): Promise<void> {
  // Another founding, that its owner names, is for the memory of the key to judge.
  verifyExpected(fleet, expectedFleet ?? (await fleetSignedBy(state)))
  verifyExpected(fleetIdOfRoot(change.root), fleet)
  // The id is all that people compare: other targets beside the same root would go by unseen.
  if (!namesTargets(change.root, change.targets)) throw invalid("its root names other targets")
  // A key that serves one fleet founds no other.
  const known = await firstRootOf(trusted)
  const served = known === undefined ? fleet : fleetIdOf(known)
  if (served !== fleet) throw keyOfAnother(fleet, served)
  verifyFollows(change, undefined)
  await verifyContents(change, undefined)
}

/** Refuses to found a fleet by a draft that is too old. @throws {@link FleetError} `DRAFT_OUTDATED` */
export function verifyInTime(draft: FoundingDraft, nowMs: number): void {
  const endMs = foundingEndMs(draft)
  if (nowMs < endMs) return
  const message = `this fleet had to be founded before ${tufTime(endMs)}: draft it anew`
  throw new FleetError("DRAFT_OUTDATED", message)
}

/** Gives until when a fleet may be founded by a draft: its root says when it was drafted. */
export function foundingEndMs({ change }: FoundingDraft): number {
  return Date.parse(change.root.signed.expires) - lifeMsOf("root") + FOUNDING_LIFE_MS
}

function verifyExpected(fleet: string, expected: string | undefined): void {
  if (expected === undefined || expected === fleet) return
  throw new FleetError("FLEET_WRONG", `a draft of fleet ${fleet}, expected ${expected}`)
}

/**
 * Refuses a draft whose files have another form than a fleet's, or whose target files are others than
 * those that would be signed: they are what a signer is shown.
 */
async function verifyContents({ targets, contents, ...rest }: DraftChange, base: DraftBase) {
  for (const [role, file] of filesOfChange({ targets, ...rest } as DraftChange)) {
    checkFleetForm(role, parseMetadataFile(role, encodeDraft(file)))
  }
  const before = base?.targets.signed.targets ?? {}
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
export function verifyFollows(change: DraftChange, base: DraftBase): void {
  for (const [role, file] of filesOfChange(change)) {
    const version = fileIn(base, role)?.signed.version ?? 0
    if (file.signed.version === version + 1) continue
    const message = `${role} ${file.signed.version} was drafted, and ${version} is what counts: draft it anew`
    throw new FleetError("DRAFT_OUTDATED", message, { details: { role } })
  }
}

function fileIn(base: DraftBase, role: string): DraftFile | undefined {
  if (role === "root") return base?.root
  return role === "targets" ? base?.targets : undefined
}
