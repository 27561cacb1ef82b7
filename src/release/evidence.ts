/**
 * What was said of a release, read from bytes: an approval or a withdrawal
 * (protocol/release.md §5, reading the others).
 * @module
 */
import type { Digest } from "../core/digest.ts"
import { codeOf } from "../core/errors.ts"
import { parseEnvelope } from "../trust/envelope.ts"
import { TrustError } from "../trust/errors.ts"
import { countingDevices, type Party, type Policy } from "../trust/policy.ts"
import { type PublicKey, parsePublicKey } from "../trust/public-key.ts"
import { type Approval, readApproval } from "./approval.ts"
import type { KeptApproval, KeptEvidence } from "./releases.ts"
import type { NamedRelease, ReaderTrust } from "./signed.ts"
import { readWithdrawal } from "./withdrawal.ts"

/** Largest envelope of an approval or a withdrawal. */
export const EVIDENCE_BYTES_MAX: number = 64 * 1024
/** Approvals of one release that are kept, beside the first one of each device. */
export const APPROVALS_MAX = 64
/** Withdrawals of one release that are kept. */
export const WITHDRAWALS_MAX = 16

/** A withdrawal that is kept, with what was signed. */
export type KeptWithdrawal = KeptEvidence["withdrawals"][number]

/** One statement about a release. */
export type ReadEvidence =
  | ({ readonly kind: "approval" } & KeptApproval)
  | ({ readonly kind: "withdrawal" } & KeptWithdrawal)

/**
 * Reads an approval or a withdrawal.
 * @throws {@link ReleaseError} `APPROVAL_INVALID`, `WITHDRAWAL_INVALID`; {@link TrustError} as
 * `readStatement`, and `ENVELOPE_TOO_LARGE`
 */
export function readEvidence(envelope: Uint8Array, trust: ReaderTrust): ReadEvidence {
  if (envelope.length > EVIDENCE_BYTES_MAX) {
    const message = `${envelope.length} bytes of one statement, at most ${EVIDENCE_BYTES_MAX}`
    throw new TrustError("ENVELOPE_TOO_LARGE", message)
  }
  try {
    return { kind: "approval", approval: readApproval(envelope, trust), envelope }
  } catch (error) {
    if (codeOf(error) !== "KIND_WRONG") throw error
  }
  return { kind: "withdrawal", said: readWithdrawal(envelope, trust), envelope }
}

/** Gives the release that a statement is about, and the digest of the statement. */
export function subjectOfEvidence(evidence: ReadEvidence): {
  readonly release: NamedRelease
  readonly digest: Digest
} {
  const { said, digest } = evidence.kind === "approval" ? evidence.approval : evidence.said
  return { release: said.release, digest }
}

/**
 * The keys that an envelope itself names: for what this node kept. It was read by its policy's keys
 * when it came in, and each time it is counted the policy of the day is asked again.
 */
export function keysInside(envelope: Uint8Array): ReadonlySet<PublicKey> {
  return new Set(parseEnvelope(envelope).signatures.map(({ keyid }) => parsePublicKey(keyid)))
}

/** The keys whose word on a release may count: devices of all parties, and the targets role's. */
export function evidenceKeys(
  { parties }: Pick<Policy, "parties">,
  targetsKeys: ReadonlySet<PublicKey>,
): ReadonlySet<PublicKey> {
  return new Set([...parties.flatMap(countingKeys), ...targetsKeys])
}

/**
 * Gives the approval that has to go when one more comes and there are many: first one that does not
 * count, then the oldest of the device that has given most. The first one of each device stays: the
 * policy bounds how many devices there are.
 * @returns undefined when none has to; `next` when it is the one itself
 */
export function surplusOf(
  kept: readonly Approval[],
  next: Approval,
  counts: (approval: Approval) => boolean,
): Approval | undefined {
  if (kept.length < APPROVALS_MAX) return undefined
  const all = [next, ...kept]
  const useless = all.find((approval) => !counts(approval))
  if (useless !== undefined) return useless
  const totals = new Map<PublicKey, number>()
  for (const { device } of all) totals.set(device, (totals.get(device) ?? 0) + 1)
  const most = Math.max(...totals.values())
  if (most === 1) return undefined
  const candidates = all.filter(({ device }) => totals.get(device) === most)
  return candidates.toSorted((one, other) => one.notBeforeMs - other.notBeforeMs)[0]
}

function countingKeys(party: Party): readonly PublicKey[] {
  return countingDevices(party).map(({ key }) => key)
}
