/**
 * Judges the waves of a rollout by the reports of their nodes: what a controller decides next. Pure
 * (protocol/rollout.md §5, judging).
 * @module
 */
import type { PeerId } from "../net/net.ts"
import type { Act } from "./decision.ts"
import type { Plan } from "./plan.ts"
import type { HealthReport } from "./report.ts"
import type { RolloutView } from "./rollout-view.ts"

/** The newest report of a node, and when the controller got it by its trusted time. */
export interface ReceivedReport {
  readonly said: HealthReport
  readonly receivedAtMs: number
}

/** What a controller looks at. */
export interface Findings {
  readonly plan: Plan
  readonly view: RolloutView
  /** The nodes of each wave. */
  readonly waves: readonly (readonly PeerId[])[]
  readonly reports: ReadonlyMap<PeerId, ReceivedReport>
  readonly nowMs: number
}

/** How a node of a released wave stands. */
export type Standing = "healthy" | "failed" | "silent" | "excluded" | "pending"

/** How many nodes of a wave stand how. */
export interface WaveCount {
  readonly size: number
  readonly healthy: number
  /** Those that said so, and the silent ones where silence is failure. */
  readonly failed: number
  readonly silent: number
  readonly excluded: number
  readonly pending: number
  /** When the next pending node will have been silent for too long; undefined: none is pending. */
  readonly silentAtMs: number | undefined
}

/** What comes next, or when to look again. */
export interface Judgement {
  readonly act: Act | undefined
  /** For people; empty without an act. */
  readonly reason: string
  /** Milliseconds since 1970; undefined: nothing changes by the passing of time. */
  readonly lookAtMs: number | undefined
}

/** Decides what is next. The error rule of every released wave wins over the success of the last. */
export function judge(findings: Findings): Judgement {
  const { plan, view, waves } = findings
  if (view.phase !== "running") return nothing(undefined)
  const released = view.releasedAtMs.length
  if (released === 0) return release(0, "the rollout was started")
  const counts = view.releasedAtMs.map((_, wave) => countWave(findings, wave))
  for (const [wave, count] of counts.entries()) {
    const fault = faultOf(plan, count)
    if (fault !== undefined) return stop(plan, wave, `wave ${plan.waves[wave]?.name}: ${fault}`)
  }
  const last = released - 1
  const count = counts[last]!
  const { name, soakMs } = plan.waves[last]!
  if (count.size === 0) return next(plan, last, `wave ${name} has no nodes`)
  const goodAtMs = goodSinceMs(findings, last, count)
  if (goodAtMs !== undefined) {
    const soakedAtMs = goodAtMs + soakMs
    if (findings.nowMs < soakedAtMs) return nothing(soakedAtMs)
    return next(plan, last, `wave ${name}: ${count.healthy} of ${count.size} are healthy`)
  }
  if (count.pending > 0) return nothing(count.silentAtMs)
  const reason = `wave ${name} is inconclusive: ${count.healthy} of ${waves[last]?.length} are healthy`
  return { act: { kind: "pause" }, reason, lookAtMs: undefined }
}

/** Counts the nodes of a released wave. */
export function countWave(findings: Findings, wave: number): WaveCount {
  const nodes = findings.waves[wave] ?? []
  const tally = { healthy: 0, failed: 0, silent: 0, excluded: 0, pending: 0 }
  let silentAtMs: number | undefined
  for (const node of nodes) {
    const standing = standingOf(findings, node, wave)
    if (standing.kind === "pending") {
      silentAtMs = Math.min(silentAtMs ?? Number.POSITIVE_INFINITY, standing.silentAtMs)
    }
    if (standing.kind === "silent")
      tally[findings.plan.silence === "failure" ? "failed" : "excluded"]++
    tally[standing.kind]++
  }
  return { size: nodes.length, ...tally, silentAtMs }
}

/** Tells how a node of a released wave stands. */
export function standingOf(
  findings: Findings,
  node: PeerId,
  wave: number,
):
  | { readonly kind: Exclude<Standing, "pending"> }
  | { readonly kind: "pending"; readonly silentAtMs: number } {
  const { plan, view, reports, nowMs } = findings
  const report = reports.get(node)?.said
  const { outcome } = report ?? {}
  if (outcome === "healthy") return { kind: "healthy" }
  if (outcome === "staged") return { kind: "excluded" }
  // What failed before the rollout was resumed may try again, and is waited for anew.
  const isOld = report !== undefined && report.attempt < view.attempt
  if ((outcome === "failed" || outcome === "rolled-back") && !isOld) return { kind: "failed" }
  const fromMs = Math.max(view.releasedAtMs[wave] ?? 0, view.resumedAtMs, report?.opensAtMs ?? 0)
  const silentAtMs = fromMs + plan.reportDeadlineMs
  return nowMs < silentAtMs ? { kind: "pending", silentAtMs } : { kind: "silent" }
}

function faultOf({ error }: Plan, count: WaveCount): string | undefined {
  const { failed, silent } = count
  const counted = count.size - count.excluded
  const isTooMany = failed > 0 && failed * 100 >= error.percent * counted
  const isCount = error.count !== undefined && failed >= error.count
  if (!isTooMany && !isCount) return undefined
  const quiet = silent > 0 ? ` (${silent} silent)` : ""
  return `${failed} of ${counted} have failed${quiet}`
}

/** Since when a wave has been good enough, never before its release; undefined: it is not. */
function goodSinceMs(
  { plan, view, waves, reports }: Findings,
  wave: number,
  count: WaveCount,
): number | undefined {
  const { percent, minSample } = plan.success
  const counted = count.size - count.excluded
  const needed = Math.max(Math.ceil((percent * counted) / 100), Math.min(minSample, count.size), 1)
  if (count.healthy < needed) return undefined
  const releasedAtMs = view.releasedAtMs[wave] ?? 0
  const times = (waves[wave] ?? []).flatMap((node) => {
    const report = reports.get(node)
    if (report?.said.outcome !== "healthy") return []
    return [Math.max(report.receivedAtMs, releasedAtMs)]
  })
  return times.sort((one, other) => one - other)[needed - 1]
}

function next(plan: Plan, wave: number, reason: string): Judgement {
  if (wave + 1 < plan.waves.length) return release(wave + 1, reason)
  return { act: { kind: "complete" }, reason, lookAtMs: undefined }
}

function release(wave: number, reason: string): Judgement {
  return { act: { kind: "release", wave }, reason, lookAtMs: undefined }
}

function stop({ error }: Plan, wave: number, reason: string): Judgement {
  if (error.action === "abort+rollback") {
    return { act: { kind: "rollback", wave }, reason, lookAtMs: undefined }
  }
  return { act: { kind: error.action }, reason, lookAtMs: undefined }
}

function nothing(lookAtMs: number | undefined): Judgement {
  return { act: undefined, reason: "", lookAtMs }
}
