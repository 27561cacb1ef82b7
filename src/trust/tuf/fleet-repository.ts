/**
 * A fleet's repository as a value: what its authors start from and what they make
 * (protocol/tuf-profile.md §4).
 * @module
 */
import {
  Metadata,
  MetadataKind,
  type Root,
  type Snapshot,
  type Targets,
  type Timestamp,
} from "@tufjs/models"
import { assert } from "../../core/errors.ts"
import { TrustError } from "../errors.ts"
import { type AcceptedSet, CHAIN, parseMetadata } from "./accepted-set.ts"
import { parseMetadataFile } from "./metadata-file.ts"
import { type AnyMetadata, encodeMetadata } from "./tuf-bytes.ts"
import { withTufFaults } from "./tuf-fault.ts"

/** The newest file of each role. Nothing in it is ever changed: a change makes a new value. */
export interface FleetRepository {
  readonly root: Metadata<Root>
  readonly targets: Metadata<Targets>
  /** The delegated roles that have a file. */
  readonly roles: ReadonlyMap<string, Metadata<Targets>>
  readonly snapshot: Metadata<Snapshot>
  readonly timestamp: Metadata<Timestamp>
}

/**
 * Gives the repository that a reader has accepted: that is how an author starts, since what is
 * signed next stands on it.
 */
export function repositoryOf(set: AcceptedSet): FleetRepository {
  // What the snapshot names goes on, even where this reader counts an older file.
  const parsed = [...set].map(([role, { named }]) => [role, parseMetadata(role, named)] as const)
  const files = new Map<string, AnyMetadata>(parsed)
  const take = <T>(role: string) => {
    const file = files.get(role)
    assert(file !== undefined, `an accepted set has a ${role}`)
    files.delete(role)
    return file as T
  }
  return {
    root: take<Metadata<Root>>("root"),
    timestamp: take<Metadata<Timestamp>>("timestamp"),
    snapshot: take<Metadata<Snapshot>>("snapshot"),
    targets: take<Metadata<Targets>>("targets"),
    roles: files as Map<string, Metadata<Targets>>,
  }
}

/** Writes a draft, to be carried to the next signer. It is the file with fewer signatures. */
export function encodeDraft(draft: Metadata<Root> | Metadata<Targets>): Uint8Array {
  return encodeMetadata(draft)
}

/** Reads a draft of a root. @throws {@link TrustError} `TUF_MALFORMED` */
export function parseRootDraft(bytes: Uint8Array): Metadata<Root> {
  const json = parseMetadataFile("root", bytes) as never
  return withTufFaults("root", () => Metadata.fromJSON(MetadataKind.Root, json))
}

/** Reads a draft of a targets role. @throws {@link TrustError} `TUF_MALFORMED` */
export function parseTargetsDraft(role: string, bytes: Uint8Array): Metadata<Targets> {
  const json = parseMetadataFile(role, bytes) as never
  return withTufFaults(role, () => Metadata.fromJSON(MetadataKind.Targets, json))
}

/** Gives the file whose keys decide about a role. */
export function delegatorOf(
  role: string,
  { root, targets }: Pick<FleetRepository, "root" | "targets">,
): Metadata<Root> | Metadata<Targets> {
  return CHAIN.includes(role) ? root : targets
}

/** The error of a change that an author or the desk refuses. */
export function refused(
  code: ConstructorParameters<typeof TrustError>[0],
  role: string,
  reason: string,
): TrustError {
  return new TrustError(code, `${role}: ${reason}`, { details: { role } })
}
