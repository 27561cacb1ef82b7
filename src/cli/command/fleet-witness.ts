/**
 * `sealift fleet witness set`, `show`, `key`: who cosigns the fleet's logs, and says what time it is.
 * @module
 */

import type { WitnessesReport, WitnessKeyReport, WitnessSetRequest } from "../../api/fleet-api.ts"
import { writeDraft } from "../../cli/command/fleet-draft.ts"
import { CliError } from "../../cli/errors.ts"
import type { CommandSpec } from "../../cli/invocation.ts"
import { collect, countOf, listOf } from "../../cli/option.ts"
import { columns } from "../../cli/output.ts"
import { counted } from "../../core/counted.ts"
import type { WitnessReceipt } from "../../fleet/fleet-desk.ts"

const ALONE_WARNING = [
  "ONE WITNESS: it notices when another node's log is changed, cut off or told in two ways, as long as",
  "it is honest and is not restored itself. Of its own log nobody but itself is a witness, and whoever",
  "has that machine can lie about everything, the time included. Four nodes bear one that lies.",
].join("\n")

export const fleetWitnessSetCommand: CommandSpec = {
  examples: [
    "sealift fleet witness set --node 12D3KooW…",
    "sealift fleet witness set --node A --node B --node C --node D --threshold 3",
    "sealift fleet witness set --node A --node B=KEY --draft witnesses.draft",
  ],
  define: (command) =>
    command
      .option(
        "--node <peerid>",
        "a node that is a witness, with =KEY where it cannot be asked; repeatable",
        collect,
      )
      .option("--threshold <count>", "how many must cosign (default: the fewest that are enough)")
      .option("--draft <file>", "write a draft that the keys of targets sign elsewhere"),
  async work(invocation) {
    const { options, out, connect } = invocation
    const nodes = listOf(options.node)
    if (nodes.length === 0) {
      throw new CliError("USAGE_INVALID", "no node is named; give --node PEERID for each")
    }
    const threshold = countOf(options.threshold, "--threshold")
    const request: WitnessSetRequest = {
      nodes,
      ...(threshold === undefined ? {} : { threshold }),
    }
    if (options.draft !== undefined) {
      return await writeDraft(invocation, { act: "witness", ...request })
    }
    const node = await connect()
    const receipt = await node.ask<WitnessReceipt>("POST", "/v1/fleet/witness", request)
    out.result(receipt, () => describeReceipt(receipt))
    if (receipt.witnesses.length === 1) out.note(ALONE_WARNING)
    else if (receipt.faultyMax === 0) out.note("NONE MAY LIE: four nodes bear one that does")
    out.note('next: "sealift log --cosign" has this node\'s log cosigned now')
  },
}

export const fleetWitnessShowCommand: CommandSpec = {
  examples: ["sealift fleet witness show", "sealift fleet witness show --json"],
  async work({ out, connect }) {
    const node = await connect()
    const report = await node.ask<WitnessesReport>("GET", "/v1/fleet/witness")
    out.answer(report, describe(report))
    const gone = report.witnesses.filter(({ isEnrolled }) => !isEnrolled)
    for (const { peer } of gone) {
      out.note(`NOT IN THE FLEET: ${peer} is named and can cosign nothing; name others`)
    }
    if (report.witnesses.length === 1) out.note(ALONE_WARNING)
    out.note('next: "sealift log --verify" says which of them have cosigned this node\'s log')
  },
}

export const fleetWitnessKeyCommand: CommandSpec = {
  examples: ["sealift fleet witness key"],
  async work({ out, connect }) {
    const node = await connect()
    const report = await node.ask<WitnessKeyReport>("POST", "/v1/fleet/witness/key", {})
    out.answer(report, report.key)
    out.note("it cosigns nothing until the fleet names it; next, where the keys of targets are:")
    out.note(`"sealift fleet witness set --node ${report.peer}=${report.key} …"`)
  },
}

function describeReceipt({ version, threshold, faultyMax, witnesses }: WitnessReceipt): string {
  const nodes = counted(witnesses.length, "node")
  return `witnesses ${version}: ${threshold} of ${nodes} must cosign, ${faultyMax} may lie`
}

function describe(report: WitnessesReport): string {
  const { version, digest, isStale, threshold, faultyMax, witnesses } = report
  return columns([
    ["witnesses", `${version}${isStale ? "  STALE" : ""}`],
    ["digest", digest],
    ["must cosign", `${threshold} of ${witnesses.length}`],
    ["may lie", String(faultyMax)],
    ...witnesses.map(({ peer, key, isConnected }) => [
      peer,
      `${key}${isConnected ? "" : "  not connected"}`,
    ]),
  ])
}
