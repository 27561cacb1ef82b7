/**
 * `sealift limits`: show and set the limits of the traffic while the node runs.
 * @module
 */
import type { LimitsReport, LimitValues } from "../../api/api.ts"
import { CliError } from "../../cli/errors.ts"
import type { CommandSpec } from "../../cli/invocation.ts"
import { columns } from "../../cli/output.ts"
import { formatRate, parseRate, RATE } from "../../daemon/limit-value.ts"
import { humanSize } from "../../daemon/unit.ts"

/** Options and the fields that they set. */
const RATES = ["up", "down", "lanUp", "lanDown", "wanUp", "wanDown"] as const

export const limitsCommand: CommandSpec = {
  examples: [
    "sealift limits",
    "sealift limits --up 10MiB/s --wan-down 2MiB/s",
    "sealift limits --up unlimited --metered",
    "sealift limits --reset",
  ],
  define: (command) =>
    command
      .option("--up <rate>", "most that goes to other nodes in all, such as 10MiB/s, or unlimited")
      .option("--down <rate>", "most that comes from other nodes and registries in all")
      .option("--lan-up <rate>", "the same to nodes of the LAN alone")
      .option("--lan-down <rate>", "the same from nodes of the LAN alone")
      .option("--wan-up <rate>", "the same to nodes beyond the LAN")
      .option("--wan-down <rate>", "the same from nodes and registries beyond the LAN")
      .option("--metered", "fetch from the LAN only")
      .option("--no-metered", "fetch from everywhere")
      .option("--reset", "go back to what is configured"),
  async work({ options, out, connect }) {
    const fields = fieldsOf(options)
    const isChange = Object.keys(fields).length > 0
    if (isChange && options.reset === true) {
      throw new CliError("USAGE_INVALID", "--reset takes back all that was set: give it alone")
    }
    const node = await connect()
    const report =
      options.reset === true
        ? await node.ask<LimitsReport>("DELETE", "/v1/limits")
        : isChange
          ? await node.ask<LimitsReport>("POST", "/v1/limits", fields)
          : await node.ask<LimitsReport>("GET", "/v1/limits")
    out.result(report, () => describe(report))
  },
}

function fieldsOf(options: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const fields: Record<string, unknown> = {}
  for (const name of RATES) {
    const text = options[name]
    if (text === undefined) continue
    const rate = parseRate(String(text))
    if (rate === undefined) {
      const flag = `--${name.replace(/[A-Z]/, (letter) => `-${letter.toLowerCase()}`)}`
      throw new CliError("USAGE_INVALID", `${flag} is "${text}"; allowed: ${RATE.allowed}`)
    }
    fields[name] = rate === Number.POSITIVE_INFINITY ? 0 : rate
  }
  if (typeof options.metered === "boolean") fields.metered = options.metered
  return fields
}

function describe({ inForce, override, nextChangeMs, passedBytes }: LimitsReport): string {
  const sum = (bytes: Readonly<Record<string, number>>) =>
    humanSize(Object.values(bytes).reduce((total, part) => total + part, 0))
  const row = (name: string, up: keyof LimitValues, down: keyof LimitValues) => [
    name,
    rateText(inForce[up]),
    rateText(inForce[down]),
  ]
  const lines = [
    columns([
      ["", "up", "down"],
      row("in all", "up", "down"),
      row("LAN", "lanUp", "lanDown"),
      row("beyond", "wanUp", "wanDown"),
      ["passed", sum(passedBytes.up), sum(passedBytes.down)],
    ]),
  ]
  if (inForce.metered) lines.push("metered: nothing is fetched from beyond the LAN")
  if (override !== undefined) lines.push("some of it was set by hand; --reset takes that back")
  if (nextChangeMs !== undefined) {
    lines.push(`the schedule is looked at again at ${new Date(nextChangeMs).toISOString()}`)
  }
  return lines.join("\n")
}

function rateText(value: number | boolean | undefined): string {
  return typeof value !== "number" || value === 0 ? "unlimited" : formatRate(value)
}
