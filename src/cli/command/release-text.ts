/**
 * Releases as text: who has approved, how far each is.
 * @module
 */
import type { Named, ReleaseDetails } from "../../api/release-api.ts"
import { activationText } from "../../cli/command/activation-text.ts"
import { columns } from "../../cli/output.ts"
import { distanceText, momentText } from "../../cli/time-text.ts"
import { GATE } from "../../core/name.ts"
import { humanSize } from "../../daemon/unit.ts"
import type { ReleaseReport } from "../../release/releases.ts"

/** Files, nodes and labels of one kind that are shown to people; with `--json` all are. */
const SHOWN_MAX = 20

/** Says in one line how many parties have approved, and who is missing. */
export function approvalText({ parties, missing, decision }: ReleaseReport): string {
  const count = parties.filter(({ isApproved }) => isApproved).length
  const waiting = missing.length === 0 ? "" : `, waiting for ${missing.join(", ")}`
  const other = decision === "approved" || decision === "missing" ? "" : ` (${decision})`
  return `approved ${count}/${parties.length}${waiting}${other}`
}

/** Says how what every party has approved is opened. */
export function openingText({ ref, gate }: Pick<Named<ReleaseReport>, "ref" | "gate">): string {
  if (gate === "hold")
    return `"sealift rollout create plan.yaml", which releases ${ref} to its nodes`
  return `"sealift open ${ref}" on a node of the audience`
}

/** Gives the cells of a release in a list. */
export function releaseCells(report: Named<ReleaseReport>, nowMs: number): string[] {
  const { ref, state, sizeBytes, stagedBytes, expiresAtMs, visibility } = report
  const staged = stagedBytes === sizeBytes ? "staged" : `${percent(stagedBytes, sizeBytes)} staged`
  const ends = `${expiresAtMs < nowMs ? "ended" : "ends"} ${distanceText(expiresAtMs - nowMs)}`
  return [ref, state, approvalText(report), visibility, humanSize(sizeBytes), staged, ends]
}

/** Says all that a party signs. */
export function detailsText(details: ReleaseDetails, nowMs: number): string {
  const { policy, access, visibility } = details
  const rows = [
    ["release", details.ref],
    ["digest", details.digest],
    ["fleet", details.fleet],
    ["made", momentText(details.createdAtMs, nowMs)],
    ["ends", momentText(details.expiresAtMs, nowMs)],
    [
      "policy",
      `${policy.version}  ${policy.digest}${policy.isCurrent ? "" : "  NOT THE CURRENT ONE"}`,
    ],
    ["access list", access === undefined ? "none" : accessText(access, nowMs)],
    ["visibility", visibility === "public" ? "PUBLIC: for everybody" : visibility],
    ...(visibility === "sealed" ? sealRows(details) : []),
    ...details.parties.map((party) => ["party", partyText(details, party)]),
    ...choiceRows(details),
  ]
  return `${columns(rows)}\n\n${filesText(details)}`
}

function accessText(access: NonNullable<ReleaseDetails["access"]>, nowMs: number): string {
  const age = distanceText(access.issuedAtMs - nowMs)
  return `${access.version}, made ${age}${access.isStale ? "  STALE: nothing new counts" : ""}`
}

function sealRows(details: ReleaseDetails): string[][] {
  const gate = details.holders.find(({ name }) => name === GATE)
  const keepers = gate === undefined ? "" : `, ${gate.threshold} of ${gate.devices.length} devices`
  return [
    ...limited(details.audience).map((entry) => ["audience", entry]),
    [
      "gate",
      details.gate === "none" ? "NONE: no share is given late" : `${details.gate}${keepers}`,
    ],
    ["post-quantum", details.isPostQuantum === true ? "yes" : "NO"],
    ...(details.inspectors.length === 0
      ? [["inspectors", "none"]]
      : details.inspectors.map((recipient) => ["INSPECTOR", `${recipient.slice(0, 40)}…`])),
  ]
}

function partyText(
  { holders }: ReleaseDetails,
  { name, isApproved, approvals }: ReleaseReport["parties"][number],
): string {
  const holder = holders.find((one) => one.name === name)
  const devices =
    (holder?.devices.length ?? 0) > 1
      ? ` (${holder?.threshold} of ${holder?.devices.length} devices)`
      : ""
  const by = approvals.map(
    ({ device, accessVersion }) => `${device.slice(0, 16)}… for access list ${accessVersion}`,
  )
  return [`${name}${devices}: ${isApproved ? "approved" : "not yet"}`, ...by].join("  ")
}

function choiceRows(details: ReleaseDetails): string[][] {
  const { activation, floor, reissues, requires, variants } = details
  const labelled = variants.filter(({ slots }) => Object.keys(slots).length > 0)
  return [
    ...(activation === undefined ? [] : [["activation", activationText(activation)]]),
    ...(floor === undefined ? [] : [["floor", `none below ${floor} becomes active any more`]]),
    ...(reissues === undefined ? [] : [["reissues", String(reissues)]]),
    ...requires.map(({ release }) => ["requires", release]),
    ...limited(
      labelled.map(({ slots, files }) => {
        const labels = Object.entries(slots).map(([key, value]) => `${key}=${value}`)
        return `${files.length} files for ${labels.join(", ")}`
      }),
    ).map((text) => ["variant", text]),
  ]
}

function filesText({ contents }: ReleaseDetails): string {
  const total = contents.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
  const rows = contents.slice(0, SHOWN_MAX).map(({ digest, sizeBytes, path, unpack }) => {
    const inside =
      unpack === undefined
        ? ""
        : `unpacked: ${unpack.entries} entries, ${humanSize(unpack.sizeBytes)}`
    return ["", humanSize(sizeBytes), digest, path ?? "", inside]
  })
  const more = contents.length - rows.length
  const rest = more > 0 ? `\n… and ${more} more (--json lists all)` : ""
  return `${contents.length} files, ${humanSize(total)}\n${columns(rows)}${rest}`
}

function limited(texts: readonly string[]): readonly string[] {
  const more = texts.length - SHOWN_MAX
  return more > 0 ? [...texts.slice(0, SHOWN_MAX), `… and ${more} more (--json lists all)`] : texts
}

function percent(part: number, whole: number): string {
  return `${whole === 0 ? 100 : Math.floor((part / whole) * 100)} %`
}
