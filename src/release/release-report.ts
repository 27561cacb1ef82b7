/**
 * A release as people are shown it: how far it is on this node, and who has approved it.
 * @module
 */
import { existsSync } from "node:fs"
import type { Clock } from "../core/clock.ts"
import { CodedError, codeOf } from "../core/errors.ts"
import type { Delivery } from "../delivery/delivery.ts"
import { blockedBy } from "../fleet/blocked.ts"
import type { Fleet } from "../fleet/fleet.ts"
import type { SelfStanding } from "../fleet/self-standing.ts"
import type { BlobStore } from "../store/store.ts"
import { type Policy } from "../trust/policy.ts"
import { entriesOf } from "./audience-standing.ts"
import { faultOfApproval } from "./counting.ts"
import type { Decision } from "./decision.ts"
import { type GateAsker, gateThreshold } from "./gate-asking.ts"
import type { GateGrantFiles } from "./gate-grant-files.ts"
import { type CarriedFile, carriedFiles } from "./release.ts"
import type { KnownRelease, ReleaseBook, ReleaseReport, ReleaseState } from "./releases.ts"
import { isStaged, labelsHere, stagedBytes, wantedFiles } from "./staging.ts"

export interface ReportDeps {
  readonly book: ReleaseBook
  readonly fleet: Fleet
  readonly store: BlobStore
  readonly delivery: Delivery
  readonly files: GateGrantFiles
  readonly gate: GateAsker
  /** Left out: nothing can be known against this node. */
  readonly self?: SelfStanding | undefined
  readonly clock: Clock
}

/** What the state follows from. */
interface Findings {
  readonly decision: Decision
  /** The files of this node's variant; undefined: none is for it. */
  readonly wanted: readonly CarriedFile[] | undefined
  readonly openedAt: string | undefined
  readonly isKeyed: boolean
}

/** Gives the report of a release. Nothing is asked of other nodes. */
export async function reportRelease(deps: ReportDeps, known: KnownRelease): Promise<ReleaseReport> {
  const { said, digest } = known.release
  const { decision } = await decisionOf(deps.book, known)
  const policy = await policyOf(deps.book, known)
  const wanted = wantedHere(deps.fleet, known)
  const openedAt = await openedAtOf(deps.files, known)
  const isKeyed = decision.kind === "approved" && (await isKeyedHere(deps, known, policy))
  const files = wanted ?? carriedFiles(said)
  const sealed = said.content.visibility === "sealed" ? said.content.sealed : undefined
  return {
    asset: said.asset,
    digest,
    state: stateOf(deps, { decision, wanted, openedAt, isKeyed }),
    createdAtMs: said.createdAtMs,
    expiresAtMs: said.expiresAtMs,
    visibility: said.content.visibility,
    gate: sealed?.fields.gate,
    audience: sealed?.fields.audience ?? [],
    policyVersion: said.policy.version,
    files: files.length,
    sizeBytes: files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
    stagedBytes: stagedBytes(deps.store, files),
    parties: partiesOf(deps, known, { decision, policy }),
    decision: decision.kind,
    missing: decision.kind === "missing" ? decision.parties : [],
    openedAt,
  }
}

function stateOf(
  { store, delivery, self, fleet }: Pick<ReportDeps, "store" | "delivery" | "self" | "fleet">,
  { decision, wanted, openedAt, isKeyed }: Findings,
): ReleaseState {
  if (decision.kind === "withdrawn") return "withdrawn"
  // What was opened stays: the end of a release ends what is begun anew.
  if (openedAt !== undefined) return "opened"
  if (decision.kind === "expired") return "expired"
  const [fault] = blockedBy({ self, membership: fleet.membership })
  if (fault !== undefined) return fault.code === "NODE_RESTORED" ? "restored" : "blocked"
  if (decision.kind === "policy-not-current" || wanted === undefined) return "blocked"
  if (isStaged(store, wanted)) {
    if (decision.kind !== "approved") return "staged"
    return isKeyed ? "keyed" : "approved"
  }
  const digests = new Set(wanted.map(({ digest }) => digest))
  const isFlying = delivery.flights().some((one) => digests.has(one.digest))
  return isFlying || stagedBytes(store, wanted) > 0 ? "fetching" : "announced"
}

/** Whether what opens it is here, as far as can be told without opening anything. */
async function isKeyedHere(
  { fleet, gate }: Pick<ReportDeps, "fleet" | "gate">,
  known: KnownRelease,
  policy: Policy | undefined,
): Promise<boolean> {
  const { release } = known
  const { content } = release.said
  const { membership } = fleet
  const list = membership?.access()?.list
  if (membership === undefined || list === undefined || policy === undefined) return false
  if (content.visibility !== "sealed") return true
  const { sealed } = content
  const node = membership.peer
  if (entriesOf(sealed.fields.audience, list, node).length === 0) return false
  const target = { known, release, sealed, policy, node, nowMs: membership.nowMs() }
  return (await gate.keptCount(target)) >= gateThreshold(target)
}

function partiesOf(
  { book, fleet, clock }: Pick<ReportDeps, "book" | "fleet" | "clock">,
  known: KnownRelease,
  { decision, policy }: { readonly decision: Decision; readonly policy: Policy | undefined },
): ReleaseReport["parties"] {
  const nowMs = fleet.membership?.nowMs() ?? clock.now()
  const { said } = known.release
  const counting = book.evidence(known).approvals.filter(({ approval }) => {
    if (policy === undefined) return false
    return faultOfApproval(approval.said, known.release, { policy, nowMs }) === undefined
  })
  return said.parties.map((name) => {
    const own = counting.filter(({ approval }) => approval.said.party === name)
    const party = policy?.parties.find((one) => one.name === name)
    const devices = new Set(own.map(({ approval }) => approval.said.device))
    const isEnough = party !== undefined && devices.size >= party.threshold
    return {
      name,
      // An approved release stays approved, whatever becomes of devices.
      isApproved: decision.kind === "approved" || isEnough,
      approvals: own.map(({ approval: { said: one } }) => ({
        device: one.device,
        accessVersion: one.access.version,
      })),
    }
  })
}

/**
 * Decides, where deciding itself may fail: another release may have named a file's key before. Then
 * nothing is opened by any policy.
 */
export async function decisionOf(
  book: ReleaseBook,
  known: KnownRelease,
): Promise<{ readonly decision: Decision; readonly fault: string | undefined }> {
  try {
    return { decision: await book.decide(known), fault: undefined }
  } catch (error) {
    if (!(error instanceof CodedError)) throw error
    return { decision: { kind: "policy-not-current" }, fault: error.code }
  }
}

/** Gives the current policy of a release; undefined when there is none. */
export async function policyOf(
  book: ReleaseBook,
  known: KnownRelease,
): Promise<Policy | undefined> {
  try {
    return (await book.policyOf(known)).policy
  } catch (error) {
    if (error instanceof CodedError) return undefined
    throw error
  }
}

/** Gives the files that are for this node; undefined when no variant is. */
export function wantedHere(
  fleet: Fleet,
  { release }: KnownRelease,
): readonly CarriedFile[] | undefined {
  try {
    return wantedFiles(release.said, labelsHere(fleet))
  } catch (error) {
    if (codeOf(error) === "NO_VARIANT") return undefined
    throw error
  }
}

async function openedAtOf(
  files: GateGrantFiles,
  { release }: KnownRelease,
): Promise<string | undefined> {
  try {
    const path = await files.openedAt(release.said.asset)
    return path !== undefined && existsSync(path) ? path : undefined
  } catch (error) {
    if (error instanceof CodedError) return undefined
    throw error
  }
}
