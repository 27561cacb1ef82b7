/**
 * `sealift fleet rule list`, `rule add`, `rule remove`: who may do what in which namespace.
 * @module
 */
import type { Command } from "commander"
import type { RuleChangeRequest } from "../../api/fleet-api.ts"
import { CliError } from "../../cli/errors.ts"
import type { CommandSpec } from "../../cli/invocation.ts"
import { collect, listOf, requiredText } from "../../cli/option.ts"
import { columns } from "../../cli/output.ts"
import { parseCountText } from "../../core/count-text.ts"
import type { FleetReceipt, FleetReport } from "../../fleet/fleet-desk.ts"

export const fleetRuleListCommand: CommandSpec = {
  examples: ["sealift fleet rule list"],
  async work({ out, connect }) {
    const node = await connect()
    const { rules, accessVersion } = await node.ask<FleetReport>("GET", "/v1/fleet")
    const rows = rules.map((rule, index) => [String(index + 1), ...cellsOf(rule)])
    out.answer({ accessVersion, rules }, columns([["", "who", "may", "where"], ...rows]))
    out.note("whatever no rule allows is denied")
    out.note('next: "sealift fleet rule add" allows more, "sealift fleet rule remove N" less')
  },
}

export const fleetRuleAddCommand: CommandSpec = {
  examples: [
    "sealift fleet rule add --who group:edge --verb fetch --verb open --where acme",
    "sealift fleet rule add --who all --verb find --verb fetch --verb seed --where 'docker.io/*'",
  ],
  define: (command: Command) =>
    command
      .option("--who <who>", "all, group:NAME or node:PEERID")
      .option("--verb <verb>", "what it may do; repeatable", collect)
      .option(
        "--where <place>",
        "namespace or registry/name; * is every one, NAME/* all below",
        collect,
      ),
  async work({ options, out, connect }) {
    const request: RuleChangeRequest = {
      action: "add",
      who: requiredText(options.who, "--who"),
      verbs: listOf(options.verb),
      where: listOf(options.where),
    }
    const node = await connect()
    const receipt = await node.ask<FleetReceipt>("POST", "/v1/fleet/rule", request)
    out.result(
      receipt,
      () => `access list ${receipt.accessVersion}: ${cellsOf(request).join("  ")}`,
    )
    out.note("a wider rule goes on to count beside it until it is removed")
    out.note('next: "sealift fleet rule list"')
  },
}

export const fleetRuleRemoveCommand: CommandSpec = {
  examples: ["sealift fleet rule remove 1"],
  async work({ args, out, connect }) {
    const number = parseCountText(args[0]!)
    const node = await connect()
    const { rules } = await node.ask<FleetReport>("GET", "/v1/fleet")
    const rule = rules[(number ?? 0) - 1]
    if (rule === undefined) {
      const message = `there is no rule ${args[0]!.slice(0, 80)}: "sealift fleet rule list" numbers them 1 to ${rules.length}`
      throw new CliError("USAGE_INVALID", message)
    }
    // By its words, not by its number: somebody may have changed the list meanwhile.
    const request: RuleChangeRequest = { action: "remove", ...rule }
    const receipt = await node.ask<FleetReceipt>("POST", "/v1/fleet/rule", request)
    out.result(receipt, () => `removed: ${cellsOf(rule).join("  ")}`)
    out.note("what it alone allowed is denied, and cut, from now on")
    out.note('next: "sealift fleet rule list"')
  },
}

function cellsOf({ who, verbs, where }: FleetReport["rules"][number]): string[] {
  return [who, verbs.join(" "), where.join(" ")]
}
