/**
 * What a party is asked to sign, for people to read before they do (protocol/release.md §5, approving).
 * @module
 */
import type { Digest } from "../core/digest.ts"
import type { JsonObject } from "../core/json.ts"
import type { AssetVersion } from "./asset-name.ts"
import type { SkippedEntry } from "./audience-recipients.ts"
import type { FleetWord } from "./bundle-verifying.ts"
import type { LastApproval } from "./device-pin.ts"
import { type CarriedFile, carriedFiles, type Release } from "./release.ts"
import type { Signed } from "./signed.ts"
import type { DueRecipients } from "./supplement.ts"

/** One thing that is not as it was when this device approved last. */
export interface ApprovalChange {
  readonly what:
    | "sequence"
    | "audience-added"
    | "audience-removed"
    | "parties"
    | "gate"
    | "inspectors"
    | "recipients"
    | "policy"
    | "access"
    | "files"
    | "bytes"
  readonly before: string
  readonly after: string
}

/** What a device would sign, or has signed. */
export interface ApprovalSummary {
  readonly fleet: string
  /** What its operator calls the fleet: nothing vouches for it. */
  readonly fleetName: string
  /** True where the device has no fleet yet: compare the id before you sign. */
  readonly isFirst: boolean
  readonly asset: AssetVersion
  readonly digest: Digest
  readonly createdAtMs: number
  readonly expiresAtMs: number
  readonly visibility: "sealed" | "fleet" | "public"
  readonly parties: readonly string[]
  /** The party that this device approves for; undefined where no device was given. */
  readonly party: string | undefined
  readonly audience: readonly string[]
  readonly skipped: readonly SkippedEntry[]
  /**
   * For whom this approval is, where the device has approved before and the others have its grants;
   * undefined: it is for all.
   */
  readonly supplement: readonly string[] | undefined
  readonly accessVersion: number
  readonly accessAgeMs: number
  readonly policyVersion: number
  /** `open`, `hold`, `none`; undefined for what is not sealed. */
  readonly gate: string | undefined
  readonly inspectors: readonly string[]
  readonly isPostQuantum: boolean
  /** Of what the torrents carry, with the paths where they are not sealed. */
  readonly files: readonly (CarriedFile & { readonly path: string | undefined })[]
  readonly sizeBytes: number
  readonly reissues: number | undefined
  /** How nodes make it run, whatever a plan says. */
  readonly activation: JsonObject | undefined
  /** Since this device's last approval of this name; none: nothing, or there was none. */
  readonly changes: readonly ApprovalChange[]
  readonly lastSequence: number | undefined
}

/** What a summary is made of. */
export interface SummaryParts {
  readonly word: FleetWord
  readonly fleetName: string
  readonly isFirst: boolean
  readonly release: Signed<Release>
  readonly party: string | undefined
  readonly due: Pick<DueRecipients, "skipped" | "supplement">
  readonly last: LastApproval | undefined
  readonly nowMs: number
}

export function summaryOf(parts: SummaryParts): ApprovalSummary {
  const { word, release, last, nowMs } = parts
  const { said, digest } = release
  const next = lastOf(said, word)
  const { content } = said
  return {
    fleet: word.fleet,
    fleetName: parts.fleetName,
    isFirst: parts.isFirst,
    asset: said.asset,
    digest,
    createdAtMs: said.createdAtMs,
    expiresAtMs: said.expiresAtMs,
    visibility: content.visibility,
    parties: said.parties,
    party: parts.party,
    audience: next.audience,
    skipped: parts.due.skipped,
    supplement: parts.due.supplement,
    accessVersion: next.accessVersion,
    accessAgeMs: Math.max(0, nowMs - word.access.issuedAtMs),
    policyVersion: next.policyVersion,
    gate: content.visibility === "sealed" ? next.gate : undefined,
    inspectors: next.inspectors,
    isPostQuantum: next.isPostQuantum,
    files: carriedFiles(said).map((file, index) => ({
      ...file,
      path: content.visibility === "sealed" ? undefined : content.files[index]?.path,
    })),
    sizeBytes: next.sizeBytes,
    reissues: said.reissues,
    activation: said.activation,
    changes: last === undefined ? [] : changesBetween(last, next),
    lastSequence: last?.sequence,
  }
}

/** Gives what a device remembers of a release, for the next one. */
export function lastOf(
  release: Release,
  { access, policy }: Pick<FleetWord, "access" | "policy">,
): LastApproval {
  const { content, asset, parties } = release
  const sealed = content.visibility === "sealed" ? content.sealed : undefined
  const files = carriedFiles(release)
  return {
    sequence: asset.sequence,
    audience: sealed?.fields.audience ?? [],
    parties,
    gate: sealed?.fields.gate ?? content.visibility,
    inspectors: sealed?.inspectors.map(({ recipient }) => recipient) ?? [],
    isPostQuantum: sealed?.fields.isPostQuantum ?? true,
    policyVersion: policy.version,
    accessVersion: access.version,
    files: files.length,
    sizeBytes: files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
  }
}

function changesBetween(last: LastApproval, next: LastApproval): readonly ApprovalChange[] {
  const added = next.audience.filter((entry) => !last.audience.includes(entry))
  const removed = last.audience.filter((entry) => !next.audience.includes(entry))
  const kind = ({ isPostQuantum }: LastApproval) => (isPostQuantum ? "post-quantum" : "classical")
  const rows: readonly (readonly [ApprovalChange["what"], string, string])[] = [
    ["sequence", `${last.sequence}`, `${next.sequence}`],
    ["audience-added", "", added.join(", ")],
    ["audience-removed", removed.join(", "), ""],
    ["parties", last.parties.join(", "), next.parties.join(", ")],
    ["gate", last.gate, next.gate],
    ["inspectors", last.inspectors.join(", "), next.inspectors.join(", ")],
    ["recipients", kind(last), kind(next)],
    ["policy", `${last.policyVersion}`, `${next.policyVersion}`],
    ["access", `${last.accessVersion}`, `${next.accessVersion}`],
    ["files", `${last.files}`, `${next.files}`],
    ["bytes", `${last.sizeBytes}`, `${next.sizeBytes}`],
  ]
  return rows.flatMap(([what, before, after]) =>
    before === after ? [] : [{ what, before, after }],
  )
}
