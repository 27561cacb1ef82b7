/**
 * What the log says of releases: names, digests and keys, and no content (protocol/audit-log.md §4).
 * @module
 */
import type { Event } from "../audit/event.ts"
import { formatAssetVersion } from "../release/asset-name.ts"
import type { ReadEvidence } from "../release/evidence.ts"
import type { GrantNote } from "../release/gate-keeper.ts"
import type { OpenedNote } from "../release/opener.ts"
import type { PublishedRelease } from "../release/releases.ts"
import { textOfWithdrawer } from "../release/withdrawal.ts"

/** Longest reason that is copied. */
const REASON_CHARACTERS_MAX = 500

/** A release that this node has made. */
export function eventOfPublishing({ asset, digest, files, sizeBytes }: PublishedRelease): Event {
  const facts = { release: formatAssetVersion(asset), digest, files, sizeBytes }
  return { event: "release.published", facts }
}

/** An approval or a withdrawal that this node has come to keep. */
export function eventOfEvidence(evidence: ReadEvidence): Event {
  if (evidence.kind === "approval") {
    const { said, digest } = evidence.approval
    const release = formatAssetVersion(said.release.asset)
    const { party, device } = said
    return { event: "release.approved", facts: { release, digest, party, device } }
  }
  const { said, digest } = evidence.said
  const release = formatAssetVersion(said.release.asset)
  const reason = said.reason.slice(0, REASON_CHARACTERS_MAX).toWellFormed()
  const facts = { release, digest, by: textOfWithdrawer(said.by), reason }
  return { event: "release.withdrawn", facts }
}

/** A release that was opened into a folder. */
export function eventOfOpening({ release, path }: OpenedNote): Event {
  const { said, digest } = release.release
  return {
    event: "release.opened",
    facts: { release: formatAssetVersion(said.asset), digest, path },
  }
}

/** A share of the gate that this node gave. */
export function eventOfGrant({ release, node, device }: GrantNote): Event {
  const { said, digest } = release.release
  const facts = { release: formatAssetVersion(said.asset), digest, node, device }
  return { event: "gate.granted", facts }
}
