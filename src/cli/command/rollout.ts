/**
 * `sealift rollout create`, `start`, `pause`, `resume`, `abort`, `rollback`: sequencing a release.
 * @module
 */

import { resolve } from "node:path"
import type { Command } from "commander"
import type { PlanAnswer, RolloutAnswer } from "../../api/rollout-api.ts"
import { definePlanFlags, readPlan } from "../../cli/command/plan-flags.ts"
import { writePlanDraft } from "../../cli/command/rollout-draft.ts"
import { rolloutText } from "../../cli/command/rollout-text.ts"
import { CliError } from "../../cli/errors.ts"
import type { CommandSpec, Invocation } from "../../cli/invocation.ts"
import { textOf } from "../../cli/option.ts"
import { columns } from "../../cli/output.ts"
import { systemClock } from "../../core/clock.ts"
import { counted } from "../../core/counted.ts"

/** Nodes of a wave that are shown to people; with `--json` all are. */
const NODES_SHOWN_MAX = 5

export const rolloutCreateCommand: CommandSpec = {
  examples: [
    "sealift rollout create plan.yaml --dry-run",
    "sealift rollout create plan.yaml",
    "sealift rollout create plan.yaml --error 20% --on-error abort+rollback",
    "sealift rollout create --rollout model --release acme/model@1 --wave 'name: all, nodes: all'",
    "sealift rollout create plan.yaml --draft model.draft",
  ],
  define: (command: Command) =>
    definePlanFlags(command)
      .option("--dry-run", "show who would get what when; sign and publish nothing")
      .option("--draft <file>", "publish nothing: write the plan for others to sign"),
  async work(invocation) {
    const { args, options, out, connect } = invocation
    const path = args[0] === undefined ? undefined : resolve(args[0])
    const plan = await readPlan(path, options)
    const dryRun = options.dryRun === true
    const draft = textOf(options.draft)
    if (draft !== undefined) {
      if (dryRun) throw new CliError("USAGE_INVALID", "give one of --draft and --dry-run")
      await writePlanDraft(invocation, plan, draft)
      return
    }
    const node = await connect()
    const made = await node.ask<PlanAnswer>("POST", "/v1/rollouts", { plan, dryRun })
    const { name } = made
    out.note(outlineText(made))
    if (dryRun) {
      out.result(made, () => `${name}: nothing was signed`)
      out.note("next: the same without --dry-run signs it")
      return
    }
    out.answer(made, name)
    out.note(`next: "sealift rollout start ${name}" on node ${made.controller}`)
  },
}

export const rolloutStartCommand: CommandSpec = {
  examples: ["sealift rollout start model-1"],
  work: (invocation) => decide(invocation, "start"),
}

export const rolloutPauseCommand: CommandSpec = {
  examples: ['sealift rollout pause model-1 --reason "disk alarms on the canaries"'],
  define: withReason,
  work: (invocation) => decide(invocation, "pause"),
}

export const rolloutResumeCommand: CommandSpec = {
  examples: ["sealift rollout resume model-1"],
  define: withReason,
  work: (invocation) => decide(invocation, "resume"),
}

export const rolloutAbortCommand: CommandSpec = {
  examples: ["sealift rollout abort model-1"],
  define: withReason,
  work: (invocation) => decide(invocation, "abort"),
}

export const rolloutRollbackCommand: CommandSpec = {
  examples: [
    "sealift rollout rollback model-1",
    "sealift rollout rollback model-1 --wave rest --reason 'wrong answers'",
  ],
  define: (command: Command) =>
    withReason(command).option("--wave <name>", "only nodes of this wave and later ones"),
  work: (invocation) => decide(invocation, "rollback"),
}

function withReason(command: Command): Command {
  return command.option("--reason <text>", "one line for whoever reads the log")
}

async function decide({ args, options, out, connect }: Invocation, act: string): Promise<void> {
  const [name = ""] = args
  const node = await connect()
  const path = `/v1/rollouts/${encodeURIComponent(name)}/${act}`
  const { reason, wave } = options
  const report = await node.ask<RolloutAnswer>("POST", path, { reason, wave })
  out.result(report, () => rolloutText(report, systemClock.now()))
  out.note(`next: "sealift rollout status ${name} --follow"`)
}

function outlineText({ name, version, channel, releases, waves, others }: PlanAnswer): string {
  const rows = waves.map(({ name: wave, nodes }) => {
    const shown = nodes.slice(0, NODES_SHOWN_MAX).join(" ")
    const more = nodes.length - NODES_SHOWN_MAX
    return [
      `wave ${wave}`,
      counted(nodes.length, "node"),
      more > 0 ? `${shown} and ${more} more` : shown,
    ]
  })
  const rest = others.length === 0 ? [] : [["no wave", counted(others.length, "node"), ""]]
  const what = releases.map(({ ref }) => ref).join(", then ")
  const head = `${name}, plan ${version} on channel ${channel}: ${what}`
  return [head, columns([...rows, ...rest])].join("\n")
}
