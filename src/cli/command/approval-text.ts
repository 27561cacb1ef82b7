/**
 * What a party signs, in lines for people.
 * @module
 */
import { activationText } from "../../cli/command/activation-text.ts"
import { columns } from "../../cli/output.ts"
import { distanceText } from "../../cli/time-text.ts"
import { humanSize } from "../../daemon/unit.ts"
import type { ApprovalSummary } from "../../release/approval-summary.ts"
import { formatAssetVersion } from "../../release/asset-name.ts"

/** Entries of one kind that are shown. */
const SHOWN_MAX = 20

/** Says what was signed, what was left out, and what is not as it was last time. */
export function summaryText(summary: ApprovalSummary): string {
  const { asset, party, accessVersion, accessAgeMs, policyVersion, gate } = summary
  const rows = [
    ["release", formatAssetVersion(asset)],
    ["as", party ?? "nobody"],
    ["fleet", `${summary.fleet}${summary.isFirst ? "  FIRST TIME: compare this id" : ""}`],
    ["audience", shown(summary.audience)],
    ...(summary.supplement === undefined
      ? []
      : [["SUPPLEMENT", `for ${shown(summary.supplement)}; the others have your grants`]]),
    ["access list", `${accessVersion}, made ${distanceText(-accessAgeMs)}`],
    ["policy", String(policyVersion)],
    ["parties", summary.parties.join(", ")],
    ...(gate === undefined ? [] : [["gate", gate === "none" ? "NONE" : gate]]),
    ...(summary.activation === undefined
      ? []
      : [["activation", activationText(summary.activation)]]),
    ["files", `${summary.files.length}, ${humanSize(summary.sizeBytes)}`],
    ...(summary.isPostQuantum || gate === undefined ? [] : [["post-quantum", "NO"]]),
    ...summary.inspectors.map((recipient) => ["INSPECTOR", `${recipient.slice(0, 40)}…`]),
    ...summary.skipped
      .slice(0, SHOWN_MAX)
      .map(({ entry, reason }) => ["skipped", `${entry}: ${reason}`]),
    ...summary.changes.map(({ what, before, after }) => [
      "changed",
      `${what}: ${before} → ${after}`,
    ]),
  ]
  return columns(rows)
}

function shown(entries: readonly string[]): string {
  const more = entries.length - SHOWN_MAX
  const rest = more > 0 ? `, and ${more} more` : ""
  return entries.length === 0 ? "all" : `${entries.slice(0, SHOWN_MAX).join(", ")}${rest}`
}
