/**
 * What can be said for sure of a release on this node: who signed it, which rules it meets, whether
 * every byte of it is right (protocol/release.md §5).
 * @module
 */
import { encodeHex } from "../core/byte-text.ts"
import { hexOf } from "../core/digest.ts"
import { CodedError } from "../core/errors.ts"
import { GATE } from "../core/name.ts"
import { type SealedRelease, verifyRelease } from "../seal/sealed-release.ts"
import { formatAssetVersion } from "./asset-name.ts"
import type { Release } from "./release.ts"
import {
  decisionOf,
  policyOf,
  type ReportDeps,
  reportRelease,
  wantedHere,
} from "./release-report.ts"
import type { KnownRelease, ReleaseReport, VerifyReport, Watch } from "./releases.ts"
import type { UnsealingDeps } from "./unsealing.ts"
import { type Verdict, verifyPlainFiles, verifyStoredFiles } from "./verifying-files.ts"
import { textOfWithdrawer } from "./withdrawal.ts"

export interface VerifyingDeps extends ReportDeps, UnsealingDeps {}

type Rule = VerifyReport["rules"][number]

/**
 * Verifies a release.
 * @param options - `isDeep`: opens the files too, and checks what comes out without writing it
 * @returns what was found; whether something is wrong is no fault of this
 */
export async function verifyHere(
  deps: VerifyingDeps,
  known: KnownRelease,
  { isDeep, ...watch }: { readonly isDeep: boolean } & Watch,
): Promise<VerifyReport> {
  const files = wantedHere(deps.fleet, known) ?? []
  const stored = await verifyStoredFiles(deps.store, files, watch)
  const deep = isDeep ? [await verifyPlainFiles(deps, known, watch)] : []
  // Opening brings what was still elsewhere, such as the gate's grant: that counts as well.
  const report = await reportRelease(deps, known)
  const verdicts = [stored, ...deep]
  const rules = [
    signatureRule(deps, known),
    await policyRule(deps, known, report),
    ...partyRules(report),
    withdrawalRule(deps, known, report),
    lifeRule(known.release.said, report),
    ...(await sealRules(deps, known, report)),
    ...verdicts.map(({ rule, isMet, by }) => ({ rule, isMet, by })),
  ]
  return { ...report, rules, wrongFiles: verdicts.flatMap((verdict: Verdict) => verdict.wrong) }
}

function signatureRule({ fleet }: VerifyingDeps, { release }: KnownRelease): Rule {
  const { namespace } = release.said.asset
  const holders = fleet.membership?.roleHolders(`releases.${namespace}`)
  const signers = [...release.signers].filter((key) => holders?.keys.has(key) === true)
  return {
    rule: `signed by a key that may publish in ${namespace}`,
    isMet: signers.length > 0,
    by: signers.join(", "),
  }
}

async function policyRule(
  { book }: VerifyingDeps,
  known: KnownRelease,
  { decision }: ReleaseReport,
): Promise<Rule> {
  const { policy, asset } = known.release.said
  const current = await policyOf(book, known)
  return {
    rule: `under policy ${policy.version} of ${asset.namespace}, which counts`,
    isMet: current !== undefined && decision !== "policy-not-current",
    by: `${hexOf(policy.digest)}${current === undefined ? "" : `, now ${current.version}`}`,
  }
}

function partyRules({ parties }: ReleaseReport): readonly Rule[] {
  return parties.map(({ name, isApproved, approvals }) => ({
    rule: `approved by ${name}`,
    isMet: isApproved,
    by: [...new Set(approvals.map(({ device }) => device))].join(", "),
  }))
}

function withdrawalRule(
  { book }: VerifyingDeps,
  known: KnownRelease,
  { decision }: ReleaseReport,
): Rule {
  const said = book.evidence(known).withdrawals.map((one) => one.said.said)
  return {
    rule: "not taken back",
    isMet: decision !== "withdrawn",
    by: said.map(({ by, reason }) => `${textOfWithdrawer(by)}: ${reason}`).join("; "),
  }
}

function lifeRule({ expiresAtMs }: Release, { decision }: ReleaseReport): Rule {
  return {
    rule: "not over",
    isMet: decision !== "expired",
    by: `until ${new Date(expiresAtMs).toISOString()}`,
  }
}

/** What concerns sealed releases alone. */
async function sealRules(
  deps: VerifyingDeps,
  known: KnownRelease,
  { gate, audience, state }: ReleaseReport,
): Promise<readonly Rule[]> {
  const { content, asset } = known.release.said
  if (content.visibility !== "sealed") return []
  const { sealed } = content
  const fault = faultOfSeal(sealed)
  const conflict = (await decisionOf(deps.book, known)).fault
  const node = deps.fleet.membership?.peer
  const isAllowed = node !== undefined && deps.fleet.may(node, "open", asset.namespace)
  const keepers = sealed.holders.find(({ name }) => name === GATE)
  return [
    {
      rule: `shares bound to ${formatAssetVersion(asset)}, its parties, audience and files`,
      isMet: fault === undefined,
      by: fault ?? `context ${encodeHex(sealed.context)}`,
    },
    {
      rule: "one key for each file, committed to",
      isMet: fault === undefined && conflict === undefined,
      by: conflict ?? `${sealed.files.length} commitments`,
    },
    { rule: "this node may open in the namespace", isMet: isAllowed, by: audience.join(", ") },
    {
      rule: keepers === undefined ? "no gate" : `gate ${gate}, ${keepers.threshold} grants`,
      isMet: gate === "none" || state === "keyed" || state === "opened",
      by: keepers === undefined ? "" : await givenBy(deps, known),
    },
  ]
}

function faultOfSeal(sealed: SealedRelease): string | undefined {
  try {
    verifyRelease(sealed, () => undefined)
    return undefined
  } catch (error) {
    if (error instanceof CodedError) return error.code
    throw error
  }
}

/** The gate's devices whose grants are kept here. */
async function givenBy(deps: VerifyingDeps, known: KnownRelease): Promise<string> {
  const { content, asset } = known.release.said
  if (content.visibility !== "sealed") return ""
  const policy = await policyOf(deps.book, known)
  const devices = policy?.gate?.devices.map(({ key }) => key) ?? []
  const kept = await Promise.all(
    devices.map(async (device) => (await deps.files.gateGrant(asset, device)) && device),
  )
  return kept.filter((device) => device !== undefined).join(", ")
}
