/**
 * Files to write, in the order in which no reader ever finds half of them (protocol/tuf-profile.md
 * §5).
 * @module
 */
import type { FleetRepository } from "./fleet-repository.ts"
import { repositoryName, TIMESTAMP_NAME } from "./metadata-file.ts"
import { targetName } from "./target-file.ts"
import { type AnyMetadata, encodeMetadata, hexSha256 } from "./tuf-bytes.ts"
import type { TufFiles } from "./tuf-source.ts"

/** A file of a repository. */
export interface NamedBytes {
  readonly name: string
  readonly bytes: Uint8Array
}

/** A repository, and what was not in the one before, in the order of writing. */
export interface Publication {
  readonly repository: FleetRepository
  readonly files: readonly NamedBytes[]
}

/**
 * Gives what has to be written.
 *
 * Readers go from the root by way of timestamp, snapshot and targets to the files; this is the way
 * back. Each file is there before anything names it, and until the timestamp is replaced all
 * readers find what was there before. A new root is last: what it changes was signed by the keys
 * before it too.
 */
export function publicationOf(
  before: FleetRepository | undefined,
  after: FleetRepository,
  contents: ReadonlyMap<string, Uint8Array>,
): Publication {
  const roles = [...after.roles].filter(([role, file]) => before?.roles.get(role) !== file)
  const files: NamedBytes[] = [
    ...[...contents].map(([path, bytes]) => ({ name: targetName(path, hexSha256(bytes)), bytes })),
    ...roles.map(([role, file]) => versioned(role, file)),
  ]
  if (after.targets !== before?.targets) files.push(versioned("targets", after.targets))
  if (after.snapshot !== before?.snapshot) files.push(versioned("snapshot", after.snapshot))
  files.push({ name: TIMESTAMP_NAME, bytes: encodeMetadata(after.timestamp) })
  if (after.root !== before?.root) files.push(versioned("root", after.root))
  return { repository: after, files }
}

/** Writes a publication. When it is cut off, writing the same one again completes it. */
export async function writePublication(
  { files }: Publication,
  to: Pick<TufFiles, "write">,
): Promise<void> {
  for (const { name, bytes } of files) await to.write(name, bytes)
}

function versioned(role: string, metadata: AnyMetadata): NamedBytes {
  return { name: repositoryName(role, metadata.signed.version), bytes: encodeMetadata(metadata) }
}
