/**
 * A repository with files laid over it that were signed and not accepted yet: an author goes on from
 * what it has signed, or a crash would make it sign one version twice (protocol/tuf-profile.md §5).
 * @module
 */
import type { Metadata, Root, Snapshot, Targets, Timestamp } from "@tufjs/models"
import { parseMetadata } from "./accepted-set.ts"
import type { FleetRepository } from "./fleet-repository.ts"
import { TIMESTAMP_NAME } from "./metadata-file.ts"
import type { NamedBytes } from "./publication.ts"
import type { AnyMetadata } from "./tuf-bytes.ts"

const VERSIONED = /^metadata\/[1-9][0-9]*\.(?<role>.+)\.json$/

/** Gives the version of a timestamp's file. */
export function timestampVersionOf(bytes: Uint8Array): number {
  return parseMetadata("timestamp", bytes).signed.version
}

/** Gives a repository with newer files of its author's laid over it. */
export function withFiles(
  { root, targets, snapshot, timestamp, roles }: FleetRepository,
  files: readonly NamedBytes[],
): FleetRepository {
  const newest = new Map<string, AnyMetadata>([
    ...Object.entries({ root, targets, snapshot, timestamp }),
    ...roles,
  ])
  for (const { name, bytes } of files) {
    const role = name === TIMESTAMP_NAME ? "timestamp" : VERSIONED.exec(name)?.groups?.role
    if (role === undefined) continue
    const metadata = parseMetadata(role, bytes)
    const known = newest.get(role)
    if (known === undefined || metadata.signed.version > known.signed.version) {
      newest.set(role, metadata)
    }
  }
  const take = <T>(role: string) => {
    const file = newest.get(role)
    newest.delete(role)
    // Each was put there by its role.
    return file as T
  }
  return {
    root: take<Metadata<Root>>("root"),
    targets: take<Metadata<Targets>>("targets"),
    snapshot: take<Metadata<Snapshot>>("snapshot"),
    timestamp: take<Metadata<Timestamp>>("timestamp"),
    roles: newest as Map<string, Metadata<Targets>>,
  }
}
