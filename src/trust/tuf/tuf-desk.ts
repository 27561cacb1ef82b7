/**
 * The desk: it checks what the roles have signed, and says by snapshot and timestamp what is newest
 * (protocol/tuf-profile.md §5).
 * @module
 */
import { Metadata, MetaFile, type Root, Snapshot, type Targets, Timestamp } from "@tufjs/models"
import type { Signer } from "../signing-key.ts"
import { checkChange } from "./desk-check.ts"
import { type FleetRepository, refused } from "./fleet-repository.ts"
import { verifySigners } from "./fleet-signatures.ts"
import { type Publication, publicationOf } from "./publication.ts"
import { SPEC_VERSION, signMetadata, tufTime } from "./tuf-author.ts"
import { encodeMetadata, hexSha256 } from "./tuf-bytes.ts"

const HOUR_MS = 3_600_000
/** A desk that takes over jumps so far that the old one, if it still writes, is behind for good. */
export const TAKE_OVER_STEP = 1_000

/** Who signs at the desk, and for how long. */
export interface DeskOptions {
  /** The desk's key; while keys are changed, the old and the new one. */
  readonly signers: readonly Signer[]
  readonly nowMs: number
  /** How long a snapshot holds; a week is what a stand-by can bridge. */
  readonly snapshotMs?: number
  /** How long a timestamp holds, 1 to 24 hours. */
  readonly timestampMs?: number
}

/** What has been signed by others and shall be published. */
export interface FleetChange {
  readonly root?: Metadata<Root>
  readonly targets?: Metadata<Targets>
  /** Delegated roles, by name. */
  readonly roles?: ReadonlyMap<string, Metadata<Targets>>
  /** The bytes of target files that are new. */
  readonly contents?: ReadonlyMap<string, Uint8Array>
  /** Paths of releases that may be dropped: withdrawn or expired ones. */
  readonly mayDrop?: ReadonlySet<string>
  /** Paths of releases of which only the signatures have changed, with the keys of their role. */
  readonly mayResign?: ReadonlySet<string>
  /** Roles whose file may stay without enough signatures: their keys were just taken away. */
  readonly mayLack?: ReadonlySet<string>
}

/** A fleet's first files. */
export type FirstChange = FleetChange & Required<Pick<FleetChange, "root" | "targets">>

/**
 * Makes a fleet of its first root and targets.
 * @throws {@link TrustError} as {@link publishChange}
 */
export async function publishFleet(
  change: FirstChange,
  options: DeskOptions,
): Promise<Publication> {
  return publishFrom(undefined, change, options)
}

/**
 * Checks a change and makes the snapshot and the timestamp that publish it. Without a change it
 * renews both.
 * @throws {@link TrustError} `TUF_SIGNATURES_MISSING`, `TUF_ROLLBACK`, `TUF_EXPIRED`,
 * `TUF_RELEASE_DROPPED`, `TUF_TARGET_WRONG`, and what a reader would refuse
 */
export async function publishChange(
  before: FleetRepository,
  change: FleetChange,
  options: DeskOptions,
): Promise<Publication> {
  return publishFrom(before, change, options)
}

/**
 * Renews the timestamp over the snapshot as it is. It is all that a stand-by may do by itself.
 * @throws {@link TrustError} `TUF_EXPIRED` when the snapshot needs the desk;
 * `TUF_SIGNATURES_MISSING`
 */
export async function renewTimestamp(
  before: FleetRepository,
  options: DeskOptions,
): Promise<Publication> {
  const { snapshot } = before
  if (snapshot.signed.isExpired(new Date(options.nowMs))) {
    throw refused("TUF_EXPIRED", "snapshot", "only the desk can renew it")
  }
  const named = before.timestamp.signed.snapshotMeta
  const draft = draftTimestamp(before.timestamp.signed.version + 1, named, options)
  const timestamp = await signMetadata(draft, options.signers)
  verifySigners({ role: "timestamp", metadata: timestamp, delegator: before.root })
  return publicationOf(before, { ...before, timestamp }, new Map())
}

/**
 * Makes another node the desk: an operator's act. Both versions jump, so that whatever the old desk
 * still writes is behind.
 * @throws {@link TrustError} `TUF_SIGNATURES_MISSING`
 */
export async function takeOverDesk(
  before: FleetRepository,
  change: Pick<FleetChange, "mayLack">,
  options: DeskOptions,
): Promise<Publication> {
  return publishFrom(before, change, options, TAKE_OVER_STEP)
}

async function publishFrom(
  before: FleetRepository | undefined,
  change: FleetChange,
  options: DeskOptions,
  step = 1,
): Promise<Publication> {
  const { contents = new Map() } = change
  const files = await checkChange(before, change, options.nowMs)
  const snapshot = await signSnapshot(before, files, options, step)
  const bytes = encodeMetadata(snapshot)
  const version = (before?.timestamp.signed.version ?? 0) + step
  const draft = draftTimestamp(version, metaFileOf(snapshot.signed.version, bytes), options)
  const timestamp = await signMetadata(draft, options.signers)
  for (const [role, metadata] of Object.entries({ snapshot, timestamp })) {
    verifySigners({ role, metadata, delegator: files.root })
  }
  return publicationOf(before, { ...files, snapshot, timestamp }, contents)
}

async function signSnapshot(
  before: FleetRepository | undefined,
  { targets, roles }: Pick<FleetRepository, "targets" | "roles">,
  { signers, nowMs, snapshotMs = 7 * 24 * HOUR_MS }: DeskOptions,
  step: number,
): Promise<Metadata<Snapshot>> {
  const named: [string, Metadata<Targets>][] = [["targets", targets], ...roles]
  const meta = named.map(([role, file]) => [`${role}.json`, metaOf(role, file, before)] as const)
  const signed = new Snapshot({
    specVersion: SPEC_VERSION,
    version: (before?.snapshot.signed.version ?? 0) + step,
    expires: tufTime(nowMs + snapshotMs),
    meta: Object.fromEntries(meta),
  })
  return signMetadata(new Metadata(signed), signers)
}

/** A file that has not changed is named as before: others may have written it in another way. */
function metaOf(
  role: string,
  file: Metadata<Targets>,
  before: FleetRepository | undefined,
): MetaFile {
  const old = role === "targets" ? before?.targets : before?.roles.get(role)
  const known = before?.snapshot.signed.meta[`${role}.json`]
  if (file === old && known !== undefined) return known
  return metaFileOf(file.signed.version, encodeMetadata(file))
}

function metaFileOf(version: number, bytes: Uint8Array): MetaFile {
  return new MetaFile({ version, length: bytes.length, hashes: { sha256: hexSha256(bytes) } })
}

function draftTimestamp(
  version: number,
  snapshotMeta: MetaFile,
  { nowMs, timestampMs = 24 * HOUR_MS }: DeskOptions,
): Metadata<Timestamp> {
  const expires = tufTime(nowMs + timestampMs)
  return new Metadata(new Timestamp({ specVersion: SPEC_VERSION, version, expires, snapshotMeta }))
}
