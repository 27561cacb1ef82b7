/**
 * What the desk looks at before it names a file as the newest (protocol/tuf-profile.md §5).
 * @module
 */
import type { Metadata, TargetFile, Targets } from "@tufjs/models"
import { assert } from "../../core/errors.ts"
import { delegatorOf, type FleetRepository, refused } from "./fleet-repository.ts"
import { checkFleetForm } from "./fleet-rules.ts"
import { verifySigners } from "./fleet-signatures.ts"
import { parseMetadataFile } from "./metadata-file.ts"
import { verifyTarget } from "./target-file.ts"
import { type AnyMetadata, encodeMetadata } from "./tuf-bytes.ts"
import type { FleetChange } from "./tuf-desk.ts"

/** All files but those of the desk. */
export type CheckedFiles = Pick<FleetRepository, "root" | "targets" | "roles">

/**
 * Checks a change.
 * @returns the files as they shall be
 * @throws {@link TrustError}
 */
export async function checkChange(
  before: FleetRepository | undefined,
  change: FleetChange,
  nowMs: number,
): Promise<CheckedFiles> {
  const root = change.root ?? before?.root
  const targets = change.targets ?? before?.targets
  assert(root !== undefined && targets !== undefined, "a fleet's first change has root and targets")
  const after = {
    root,
    targets,
    roles: new Map([...(before?.roles ?? []), ...(change.roles ?? [])]),
  }
  for (const [role, metadata] of changedFiles(change)) {
    checkNewFile(role, metadata, { old: fileOf(before, role), nowMs })
  }
  checkSigners(before, after, change)
  for (const [role, file] of targetsRoles(after)) {
    const old = targetsRoles(before).get(role)
    if (role.startsWith("releases.")) {
      checkReleases(role, old, { file: isDelegated(role, after) ? file : undefined, change })
    }
    await checkContents(role, old, { file, contents: change.contents ?? new Map() })
  }
  return after
}

function isDelegated(role: string, { targets }: CheckedFiles): boolean {
  return role === "targets" || Object.hasOwn(targets.signed.delegations?.roles ?? {}, role)
}

function changedFiles({ root, targets, roles }: FleetChange): [string, AnyMetadata][] {
  const top = Object.entries({ root, targets })
  return [...top, ...(roles ?? [])].flatMap(([role, file]) => (file ? [[role, file]] : []))
}

function fileOf(before: FleetRepository | undefined, role: string): AnyMetadata | undefined {
  return role === "root" ? before?.root : targetsRoles(before).get(role)
}

function targetsRoles(
  files: Pick<FleetRepository, "targets" | "roles"> | undefined,
): ReadonlyMap<string, Metadata<Targets>> {
  return new Map(files === undefined ? [] : [["targets", files.targets], ...files.roles])
}

/** A new file: what a reader would check, so that no reader stumbles over it. */
function checkNewFile(
  role: string,
  metadata: AnyMetadata,
  { old, nowMs }: { readonly old: AnyMetadata | undefined; readonly nowMs: number },
): void {
  checkFleetForm(role, parseMetadataFile(role, encodeMetadata(metadata)))
  const { version } = metadata.signed
  const oldVersion = old?.signed.version ?? 0
  // Readers take roots one after the other; of other files any later version.
  const isNext = role === "root" ? version === oldVersion + 1 : version > oldVersion
  if (!isNext) throw refused("TUF_ROLLBACK", role, `version ${version} after ${oldVersion}`)
  if (metadata.signed.isExpired(new Date(nowMs))) throw refused("TUF_EXPIRED", role, "expired")
}

/** Every file, also one that has not changed: the keys that decide about it may have. */
function checkSigners(
  before: FleetRepository | undefined,
  after: CheckedFiles,
  { root, roles, mayLack }: FleetChange,
): void {
  verifySigners({ role: "root", metadata: after.root, delegator: after.root })
  if (root !== undefined && before !== undefined) {
    verifySigners({ role: "root", metadata: root, delegator: before.root })
  }
  for (const [role, metadata] of targetsRoles(after)) {
    if (mayLack?.has(role) === true) continue
    // A role that is no longer delegated stays listed: no reader takes a snapshot that lists less.
    if (!isDelegated(role, after) && roles?.has(role) !== true) continue
    verifySigners({ role, metadata, delegator: delegatorOf(role, after) })
  }
}

/** A release that was published stays as it is until it may be dropped. */
function checkReleases(
  role: string,
  old: Metadata<Targets> | undefined,
  { file, change }: { readonly file: Metadata<Targets> | undefined; readonly change: FleetChange },
): void {
  for (const [path, release] of Object.entries(old?.signed.targets ?? {})) {
    const next = file?.signed.targets[path]
    if (next === undefined && change.mayDrop?.has(path) === true) continue
    if (next !== undefined && isSameFile(next, release)) continue
    if (next !== undefined && change.mayResign?.has(path) === true) continue
    throw refused("TUF_RELEASE_DROPPED", role, `${path} is live and would be dropped or changed`)
  }
}

/** A target file that is new comes with its bytes: no repository names what it does not have. */
async function checkContents(
  role: string,
  old: Metadata<Targets> | undefined,
  {
    file,
    contents,
  }: { readonly file: Metadata<Targets> } & Required<Pick<FleetChange, "contents">>,
): Promise<void> {
  for (const [path, target] of Object.entries(file.signed.targets)) {
    const known = old?.signed.targets[path]
    if (known !== undefined && isSameFile(known, target)) continue
    const bytes = contents.get(path)
    if (bytes === undefined)
      throw refused("TUF_TARGET_WRONG", role, `the bytes of ${path} are missing`)
    await verifyTarget(target, bytes)
  }
}

function isSameFile(one: TargetFile, other: TargetFile): boolean {
  return one.length === other.length && one.hashes.sha256 === other.hashes.sha256
}
