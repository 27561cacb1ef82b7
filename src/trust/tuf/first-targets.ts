/**
 * A fleet's first root that names the first targets: so its id stands for both, and nobody who carries
 * them can put other targets beside it (protocol/tuf-profile.md §4, fleet id).
 * @module
 */
import { Metadata, Root, type Targets } from "@tufjs/models"
import { hexSha256, signedBytesOf } from "./tuf-bytes.ts"

/** Readers of TUF ignore it, as any field that they do not know; signatures cover it. */
const FIELD = "first_targets"

/** Gives a root that says what it said, and names targets. Nobody has signed it yet. */
export function namingTargets(root: Metadata<Root>, targets: Metadata<Targets>): Metadata<Root> {
  const unrecognizedFields = { [FIELD]: hexSha256(signedBytesOf(targets)) }
  return new Metadata(new Root({ ...root.signed, unrecognizedFields }))
}

/** Whether a root names just these targets. */
export function namesTargets(root: Metadata<Root>, targets: Metadata<Targets>): boolean {
  return root.signed.unrecognizedFields[FIELD] === hexSha256(signedBytesOf(targets))
}
