/**
 * `sealift log`: what happened on a node, following it, and proving it to others.
 * @module
 */
import type {
  CosignedReport,
  EntryProofReport,
  LogLine,
  LogReport,
  LogVerdictReport,
} from "../../api/log-api.ts"
import type { LoggedEvent } from "../../audit/event.ts"
import type { ControlClient } from "../../cli/control-client.ts"
import { CliError } from "../../cli/errors.ts"
import type { CommandSpec, Invocation } from "../../cli/invocation.ts"
import { countOf } from "../../cli/option.ts"
import { CodedError } from "../../core/errors.ts"

const SHOWN = 20

export const logCommand: CommandSpec = {
  examples: [
    "sealift log",
    "sealift log --count 100 --json",
    "sealift log --follow",
    "sealift log --verify",
    "sealift log --cosign",
    "sealift log --prove 12 --json",
  ],
  define: (command) =>
    command
      .option("-n, --count <count>", `how many of the newest are shown (default: ${SHOWN})`)
      .option("--follow", "go on with what comes, until Ctrl-C")
      .option("--verify", "read the whole log, and compare it with what this node signed")
      .option("--cosign", "have the fleet's witnesses cosign what the log is now")
      .option("--prove <index>", "give an entry with the proof that it is in the log"),
  async work(invocation) {
    const { options, connect } = invocation
    const { follow, verify: isVerify, cosign: isCosign, prove: place } = options
    const acts = [follow, isVerify, isCosign, place].filter((act) => act !== undefined)
    if (acts.length > 1) {
      throw new CliError("USAGE_INVALID", "give one of --follow, --verify, --cosign and --prove")
    }
    const node = await connect()
    if (options.verify === true) await verify(invocation, node)
    else if (options.cosign === true) await cosign(invocation, node)
    else if (options.prove !== undefined) await prove(invocation, node)
    else await show(invocation, node)
  },
}

async function show(invocation: Invocation, node: ControlClient): Promise<void> {
  const { options, out } = invocation
  const count = countOf(options.count, "--count") ?? SHOWN
  const report = await node.ask<LogReport>("GET", `/v1/log?count=${count}`)
  for (const event of report.events) tell(invocation, event)
  if (report.droppedCount > 0) out.note(`LOST: ${report.droppedCount} events were not logged`)
  if (options.follow !== true) return
  const lines = node.lines<LogLine>("GET", `/v1/log/follow?start=${report.size}`)
  for await (const { event } of lines) tell(invocation, event)
}

function tell({ out }: Invocation, event: LoggedEvent): void {
  out.answer(event, lineOf(event))
}

async function verify({ out }: Invocation, node: ControlClient): Promise<void> {
  const verdict = await node.ask<LogVerdictReport>("POST", "/v1/log/verify")
  const { size, root, clockWentBackAt } = verdict
  const { cosigned, refusals } = verdict
  out.result(verdict, () => {
    const line = `all ${size} entries are those that this node signed: root ${root}`
    return cosigned === undefined ? line : `${line}\n${cosignedText(cosigned)}`
  })
  if (cosigned === undefined) out.note("NOT COSIGNED: no set of witnesses vouches for this log")
  for (const { peer, code } of refusals) out.note(`witness ${peer} has not cosigned: ${code}`)
  if (clockWentBackAt.length === 0) return
  const message = `the clock went back at entry ${clockWentBackAt.slice(0, 10).join(", ")}`
  throw new CodedError("VERIFY_FAILED", message, { details: { clockWentBackAt } })
}

async function cosign({ out }: Invocation, node: ControlClient): Promise<void> {
  const cosigned = await node.ask<CosignedReport>("POST", "/v1/log/cosign")
  out.result(cosigned, () => cosignedText(cosigned))
}

function cosignedText({ size, threshold, total, by }: CosignedReport): string {
  const head = `the first ${size} are cosigned by ${by.length} of ${total} witnesses, ${threshold} must:`
  const rows = by.map(({ peer, atMs }) => `  ${peer}  ${new Date(atMs).toISOString()}`)
  return [head, ...rows].join("\n")
}

async function prove({ options, out }: Invocation, node: ControlClient): Promise<void> {
  const text = String(options.prove)
  if (!/^\d{1,15}$/.test(text)) throw new CliError("USAGE_INVALID", "--prove wants a number from 0")
  const proof = await node.ask<EntryProofReport>("GET", `/v1/log/proof?start=${Number(text)}`)
  const entry = Buffer.from(proof.entry, "base64").toString("utf8")
  const lines = [entry, `entry ${proof.index} of ${proof.size}`, ...proof.hashes, proof.checkpoint]
  out.answer(proof, lines.join("\n").trimEnd())
  if (!proof.isCosigned) out.note("NOT COSIGNED: no set of witnesses has seen this entry yet")
}

function lineOf({ index, atMs, event, facts }: LoggedEvent): string {
  const words = Object.entries(facts).map(([name, value]) => `${name}=${value}`)
  return [index, new Date(atMs).toISOString(), event, ...words].join("  ")
}
