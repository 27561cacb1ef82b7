/**
 * Rollouts as text: waves, counts, failures, what comes next.
 * @module
 */
import type { RolloutAnswer } from "../../api/rollout-api.ts"
import { columns } from "../../cli/output.ts"
import { distanceText } from "../../cli/time-text.ts"

/** Failures that are shown to people; with `--json` all are. */
const FAILURES_SHOWN_MAX = 10

/** Gives the cells of a rollout in a list. */
export function rolloutCells(report: RolloutAnswer, nowMs: number): string[] {
  const { name, version, phase, channel, waves, decidedAtMs, isActive } = report
  const released = waves.filter(({ isReleased }) => isReleased).length
  const when = decidedAtMs === 0 ? "" : distanceText(decidedAtMs - nowMs)
  const state = isActive ? phase : `${phase} (replaced)`
  return [`${name}@${version}`, state, `wave ${released} of ${waves.length}`, channel, when]
}

/** Says how far a rollout is. */
export function rolloutText(report: RolloutAnswer, nowMs: number): string {
  const { name, version, phase, reason, releases, isController, controller, here } = report
  const why = reason === "" ? "" : `: ${reason}`
  const lines = [
    `rollout ${name}, plan ${version}: ${phase}${why}`,
    `releases ${releases.map(({ ref }) => ref).join(", then ")}`,
    columns([
      ["wave", "nodes", "healthy", "failed", "silent", "excluded", "pending", ""],
      ...report.waves.map((wave) => waveCells(wave, isController, nowMs)),
    ]),
    ...failuresOf(report),
  ]
  if (report.looksAtMs !== undefined) {
    lines.push(`the controller looks again ${distanceText(report.looksAtMs - nowMs)}`)
  }
  if (!isController) lines.push(`counts are at the controller, node ${controller}`)
  if (here !== undefined) {
    lines.push(`here: ${here.step}${here.reason === "" ? "" : ` (${here.reason})`}`)
  }
  return lines.join("\n")
}

function waveCells(
  wave: RolloutAnswer["waves"][number],
  isController: boolean,
  nowMs: number,
): string[] {
  const { name, size, releasedAtMs, healthy, failed, silent, excluded, pending } = wave
  const isCounted = isController && releasedAtMs !== undefined
  const numbers = [healthy, failed, silent, excluded, pending]
  const counts = numbers.map((count) => (isCounted ? String(count) : ""))
  const when =
    releasedAtMs === undefined ? "not released" : `released ${distanceText(releasedAtMs - nowMs)}`
  return [name, String(size), ...counts, when]
}

/** Who failed, is silent, or has not begun for a reason that the counts do not show. */
function failuresOf({ waves, late, phase }: RolloutAnswer): readonly string[] {
  const nodes = [...waves.flatMap((wave) => wave.nodes), ...late]
  const failed = nodes.filter(
    ({ standing, outcome }) => standing === "failed" || outcome === "failed",
  )
  const lines = failed.slice(0, FAILURES_SHOWN_MAX).map(({ node, outcome, reason }) => {
    return `${outcome === "rolled-back" ? "went back" : "failed"} ${node}: ${reason}`
  })
  const silent = nodes.filter(({ standing }) => standing === "silent").slice(0, FAILURES_SHOWN_MAX)
  const isWaiting = ({ standing, outcome }: (typeof nodes)[number]) =>
    phase === "running" && standing === "pending" && outcome === "waiting"
  const waiting = nodes.filter(isWaiting).slice(0, FAILURES_SHOWN_MAX)
  return [
    ...lines,
    ...silent.map(({ node }) => `silent ${node}`),
    ...waiting.map(({ node }) => `waiting ${node}: its window is closed`),
  ]
}
