/**
 * `sealift config`: the effective configuration, with the source of each value.
 * @module
 */
import type { ConfigReport } from "../../api/api.ts"
import { addNodeOptions, flagsOf } from "../../cli/command/node-options.ts"
import type { CommandSpec, Invocation } from "../../cli/invocation.ts"
import { columns } from "../../cli/output.ts"
import { codeOf } from "../../core/errors.ts"

export const configCommand: CommandSpec = {
  examples: ["sealift config", "sealift config --lan --json"],
  define: addNodeOptions,
  async work(invocation) {
    const report = await readReport(invocation)
    invocation.out.answer(report, describe(report))
  },
}

async function readReport(invocation: Invocation): Promise<ConfigReport & { running: boolean }> {
  const { data: _data, ...flags } = flagsOf(invocation.options)
  if (Object.keys(flags).length === 0) {
    try {
      const node = await invocation.connect()
      return { ...(await node.ask<ConfigReport>("GET", "/v1/config")), running: true }
    } catch (error) {
      // Without a node, what the next one would use is shown.
      if (codeOf(error) !== "NODE_NOT_RUNNING") throw error
    }
  }
  const { loadConfig } = await import("../../daemon/config.ts")
  const { env } = invocation.host
  const { entries } = await loadConfig({ flags: flagsOf(invocation.options), env })
  return { entries, running: false }
}

function describe({ entries }: ConfigReport): string {
  return columns(entries.map(({ key, value, source }) => [key, shown(value), `# ${source}`]))
}

function shown(value: unknown): string {
  if (value === null) return "–"
  return typeof value === "string" ? value : JSON.stringify(value)
}
