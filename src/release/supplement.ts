/**
 * A supplement: an approval by a device that has approved the release before, for those who could not
 * be granted to then (protocol/release.md §5, approving).
 * @module
 */
import type { PublicKey } from "../trust/public-key.ts"
import type { Approval } from "./approval.ts"
import type { CarriedApproval } from "./approval-file.ts"
import type { AudienceRecipients } from "./audience-recipients.ts"
import { readEvidence } from "./evidence.ts"
import { readGrantList } from "./grant-list.ts"
import { nameOfRelease, type Release } from "./release.ts"
import { isSameRelease, type Signed } from "./signed.ts"

/** What earlier ones granted is granted again: a node keeps few approvals, and the newest longest. */
const COUNTED_MAX = 4

/** Who may have approved before. */
export interface EarlierApprover {
  readonly fleet: string
  readonly release: Signed<Release>
  readonly device: PublicKey
  readonly party: string
}

/** Whom an approval is for. */
export interface DueRecipients extends AudienceRecipients {
  /** The entries of a supplement; undefined: it is for all that can be sealed to. */
  readonly supplement: readonly string[] | undefined
}

interface OwnApproval {
  readonly said: Approval
  /** None where its list of grants is not at hand. */
  readonly granted: readonly string[]
}

/**
 * Gives the entries that a device has granted to, by its own newest approvals among those that are
 * carried. It signed them, so nobody can say that it granted what it did not; of whom nothing is known
 * is granted to once more.
 */
export function grantedBefore(
  carried: readonly CarriedApproval[],
  approver: EarlierApprover,
): ReadonlySet<string> {
  const own = carried
    .flatMap((one) => ownApproval(one, approver) ?? [])
    .sort((one, other) => one.said.notBeforeMs - other.said.notBeforeMs)
  return new Set(own.slice(-COUNTED_MAX).flatMap(({ granted }) => granted))
}

/**
 * Leaves out who has a grant already. If that is everybody the approval is for all once more: it
 * mends what a node has lost.
 */
export function dueRecipients(
  { recipients, skipped }: AudienceRecipients,
  granted: ReadonlySet<string>,
): DueRecipients {
  const due = recipients.filter(({ to }) => !granted.has(to))
  if (granted.size === 0 || due.length === 0) return { recipients, skipped, supplement: undefined }
  return {
    recipients: due,
    skipped: skipped.filter(({ entry }) => !granted.has(entry)),
    supplement: due.map(({ to }) => to),
  }
}

function ownApproval(
  { approval: envelope, grants }: CarriedApproval,
  { fleet, release, device, party }: EarlierApprover,
): OwnApproval | undefined {
  try {
    const evidence = readEvidence(envelope, { keys: new Set([device]), fleet })
    if (evidence.kind !== "approval") return undefined
    const { approval } = evidence
    const { said } = approval
    if (said.party !== party || !isSameRelease(said.release, nameOfRelease(release))) {
      return undefined
    }
    const list = grants && readGrantList(grants, approval)
    return { said, granted: list?.grants.map(({ to }) => to) ?? [] }
  } catch {
    // Another device's, or no approval: what is not ours says nothing of what we granted.
    return undefined
  }
}
