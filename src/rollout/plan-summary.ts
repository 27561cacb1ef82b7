/**
 * What a plan would do, in lines for whoever is asked to sign it: read from the plan itself and from what
 * the fleet has signed, and from nothing that was said about them.
 * @module
 */
import { counted } from "../core/counted.ts"
import { codeOf, messageOf } from "../core/errors.ts"
import { shownLine } from "../core/shown-text.ts"
import { type AccessList, parseAccessList } from "../fleet/access-list.ts"
import { may } from "../fleet/access-rule.ts"
import { sourceOfFiles } from "../fleet/fleet-files.ts"
import type { PeerId } from "../net/net.ts"
import { formatAssetVersion } from "../release/asset-name.ts"
import { isForNode } from "../release/audience-standing.ts"
import { keysInside } from "../release/evidence.ts"
import { type Release, readRelease } from "../release/release.ts"
import { releasePath } from "../release/release-listing.ts"
import type { NamedRelease } from "../release/signed.ts"
import { roleOfTarget } from "../trust/tuf/fleet-role.ts"
import { targetName, verifyTarget } from "../trust/tuf/target-file.ts"
import { TARGET_BYTES_MAX } from "../trust/tuf/tuf-limits.ts"
import type { NodeSelector, Plan, Wave } from "./plan.ts"
import { listedPlans, type ReadPlanDraft } from "./plan-draft-signing.ts"
import { encodePlanPredicate } from "./plan-predicate.ts"
import { rosterOf } from "./wave-choosing.ts"

const SECOND_MS = 1_000
/** Last moment that has a date. */
const DATE_MS_MAX = 8.64e15

/** Gives the lines. */
export async function describePlan(read: ReadPlanDraft): Promise<readonly string[]> {
  const { plan, digest, draft } = read
  const releases = await Promise.all(plan.releases.map((release) => releaseLine(read, release)))
  const lines = [
    `fleet ${plan.fleet}`,
    `rollout ${plan.name}, plan ${plan.version} on channel ${plan.channel}: ${digest}`,
    `decided by node ${plan.controller}, until ${timeText(plan.expiresAtMs)}`,
    "releases, in this order:",
    ...releases,
    "waves:",
    ...(await waveLines(read)),
    ...ruleLines(plan),
    ...draft.listing.drops.map((path) => `takes the place of ${path}`),
    ...keptPaths(read).map((path) => `stays listed: ${path}`),
    `listed until ${timeText(draft.listing.expiresAtMs)}, or until the next plan`,
  ]
  return lines.map(shownLine)
}

async function releaseLine(read: ReadPlanDraft, release: NamedRelease): Promise<string> {
  const isListed = (await releaseOf(read, release)) !== undefined
  const note = isListed ? "" : "  NOT LISTED by these files"
  return `  ${formatAssetVersion(release.asset)}  ${release.digest}${note}`
}

async function waveLines(read: ReadPlanDraft): Promise<readonly string[]> {
  const { plan } = read
  const nodes = await chosen(read)
  return plan.waves
    .flatMap((wave, index) => {
      const said = `  ${wave.name}: ${amountText(wave)} ${selectText(wave.select)}, stands for ${wave.soakMs / SECOND_MS} s`
      if (typeof nodes === "string") {
        const named = wave.select.kind === "list" ? wave.select.peers : []
        return [said, ...named.map((peer) => `    ${peer}`)]
      }
      const now = nodes.waves[index] ?? []
      return [`${said}; ${counted(now.length, "node")} now`, ...now.map((peer) => `    ${peer}`)]
    })
    .concat(
      typeof nodes === "string"
        ? [`  by the access list of these files it cannot be chosen: ${nodes}`]
        : [`  in no wave: ${counted(nodes.others.length, "node")}`],
    )
}

/** Who would be in which wave, if it started by these files. @returns why that cannot be told */
async function chosen(read: ReadPlanDraft): Promise<ReturnType<typeof rosterOf> | string> {
  const { plan, draft } = read
  const file = await targetOf(read, "access.json")
  if (file === undefined) return "there is none"
  const list = parseAccessList(file, draft.fleet)
  const releases = await Promise.all(plan.releases.map((release) => releaseOf(read, release)))
  const isFor = (peer: PeerId) =>
    releases.every((release) => release !== undefined && isForPeer(release, list, peer))
  try {
    return rosterOf(plan, list, isFor)
  } catch (error) {
    if (codeOf(error) !== "PLAN_INVALID") throw error
    return messageOf(error)
  }
}

function isForPeer(release: Release, list: AccessList, peer: PeerId): boolean {
  const { namespace } = release.asset
  return isForNode(release, { list, peer, may: (verb) => may(list, peer, verb, namespace) })
}

/** Its listing is signed by the role of its namespace: whoever signed the statement itself is not asked. */
async function releaseOf(
  read: ReadPlanDraft,
  { asset, digest }: NamedRelease,
): Promise<Release | undefined> {
  const envelope = await targetOf(read, releasePath(asset))
  if (envelope === undefined) return undefined
  const trust = { keys: keysInside(envelope), fleet: read.draft.fleet }
  const release = readRelease(envelope, trust, () => undefined)
  return release.digest === digest ? release.said : undefined
}

/** A target file as the roles have signed it; undefined: none is listed, or it is not in the draft. */
async function targetOf(
  { base, draft }: ReadPlanDraft,
  path: string,
): Promise<Uint8Array | undefined> {
  const listed = base.roles.get(roleOfTarget(path) ?? "")?.signed.targets
  const target = Object.hasOwn(listed ?? {}, path) ? listed?.[path] : undefined
  if (target === undefined) return undefined
  const name = targetName(path, target.hashes.sha256)
  const bytes = await sourceOfFiles(draft.files).read(name, { bytesMax: TARGET_BYTES_MAX })
  if (bytes !== undefined) await verifyTarget(target, bytes)
  return bytes
}

/** What its keys list once more by the same signature. */
function keptPaths(read: ReadPlanDraft): readonly string[] {
  return listedPlans(read).filter((path) => !read.draft.listing.drops.includes(path))
}

function ruleLines(plan: Plan): readonly string[] {
  const { success, error, window, activate, probe } = encodePlanPredicate(plan)
  const said = { success, error, window, activate, probe }
  const rows = Object.entries(said).filter(([, value]) => value !== undefined)
  return [
    ...rows.map(([name, value]) => `${name} ${JSON.stringify(value)}`),
    `a node that is silent for ${plan.reportDeadlineMs / SECOND_MS} s counts as ${plan.silence}`,
    `with nothing to go back to: ${plan.onNoRollback}`,
  ]
}

function amountText({ amount }: Wave): string {
  if (amount === undefined) return "all of"
  return amount.kind === "percent" ? `${amount.percent} % of` : `${amount.count} of`
}

function selectText(select: NodeSelector): string {
  switch (select.kind) {
    case "all":
      return "the nodes that are left"
    case "group":
      return `group ${select.group}`
    case "labels":
      return `the nodes with ${JSON.stringify(select.labels)}`
    case "list":
      return `${select.peers.length} named nodes`
  }
}

function timeText(timeMs: number): string {
  return timeMs <= DATE_MS_MAX ? new Date(timeMs).toISOString() : `${timeMs} ms after 1970`
}
