/**
 * `sealift usage`: what this node gave to others and took from them, and which releases it opened.
 * @module
 */
import type { UsageReport } from "../../api/log-api.ts"
import { type Exchanged, USAGE_CLASSES } from "../../audit/usage.ts"
import type { CommandSpec } from "../../cli/invocation.ts"
import { durationOf } from "../../cli/option.ts"
import { columns } from "../../cli/output.ts"
import { minuteText } from "../../cli/time-text.ts"
import { humanSize } from "../../daemon/unit.ts"

/** Peers, days and openings that are shown as text; `--json` has all. */
const SHOWN_MAX = 20

export const usageCommand: CommandSpec = {
  examples: ["sealift usage", "sealift usage --since 24h", "sealift usage --since 30d --json"],
  define: (command) =>
    command.option("--since <duration>", "how far back, such as 24h or 7d (default: 30d)"),
  async work({ options, out, connect }) {
    const backMs = durationOf(options.since, "--since")
    const node = await connect()
    const query = backMs === undefined ? "" : `?since=${Math.max(1, Date.now() - backMs)}`
    const report = await node.ask<UsageReport>("GET", `/v1/usage${query}`)
    out.answer(report, describe(report))
    if (!report.isWhole) out.note("NOT ALL: the log is longer than what is read for one answer")
    const { opened } = report
    if (opened.length > 0) out.note('"sealift log --prove N" proves the opening or record number N')
  },
}

function describe({ sinceMs, untilMs, records, ...report }: UsageReport): string {
  const { classes, peers, days, opened } = report
  const span = `from ${timeText(sinceMs)} to ${timeText(untilMs)}: ${records} records`
  return [
    span,
    columns([
      ["", "to others", "from others"],
      ...USAGE_CLASSES.map((name) => [name, ...sizes(classes[name])]),
    ]),
    columns(days.slice(-SHOWN_MAX).map((one) => [one.day, ...sizes(one)])),
    columns(peers.slice(0, SHOWN_MAX).map((one) => [one.peer ?? "others", ...sizes(one)])),
    columns(
      opened
        .slice(-SHOWN_MAX)
        .map(({ index, atMs, release }) => [`${index}`, timeText(atMs), `opened ${release}`]),
    ),
  ]
    .filter((text) => text !== "")
    .join("\n\n")
}

const sizes = ({ upBytes, downBytes }: Exchanged) => [humanSize(upBytes), humanSize(downBytes)]
const timeText = (timeMs: number) => minuteText(new Date(timeMs))
