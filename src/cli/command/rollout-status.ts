/**
 * `sealift rollout status [NAME]`: how far rollouts are; a live table with `--follow`.
 * @module
 */
import type { RolloutAnswer, RolloutLine, RolloutsAnswer } from "../../api/rollout-api.ts"
import { rolloutCells, rolloutText } from "../../cli/command/rollout-text.ts"
import type { ControlClient } from "../../cli/control-client.ts"
import { CliError } from "../../cli/errors.ts"
import type { CommandSpec, Invocation } from "../../cli/invocation.ts"
import { columns } from "../../cli/output.ts"
import { systemClock } from "../../core/clock.ts"

/** Moves the cursor up so many lines and clears what is below it. */
const redraw = (lines: number): string => (lines === 0 ? "" : `\u001b[${lines}A\u001b[0J`)

export const rolloutStatusCommand: CommandSpec = {
  examples: [
    "sealift rollout status",
    "sealift rollout status model-1",
    "sealift rollout status model-1 --follow",
    "sealift rollout status model-1 --json",
  ],
  define: (command) => command.option("--follow", "go on until the rollout is over, or Ctrl-C"),
  async work(invocation) {
    const { args, options, out, connect } = invocation
    const [name] = args
    const node = await connect()
    if (name === undefined) {
      if (options.follow === true) throw new CliError("USAGE_INVALID", "--follow wants a NAME")
      await listAll(invocation, node)
      return
    }
    const path = `/v1/rollouts/${encodeURIComponent(name)}`
    if (options.follow === true) return await follow(invocation, node, path)
    const report = await node.ask<RolloutAnswer>("GET", path)
    out.result(report, () => rolloutText(report, systemClock.now()))
    out.note(`next: ${nextStep(report)}`)
  },
}

async function listAll({ out }: Invocation, node: ControlClient): Promise<void> {
  const answer = await node.ask<RolloutsAnswer>("GET", "/v1/rollouts")
  const { rollouts } = answer
  out.result(answer, () =>
    rollouts.length === 0
      ? "no rollouts"
      : columns(rollouts.map((report) => rolloutCells(report, systemClock.now()))),
  )
  const [newest] = rollouts
  out.note(
    `next: ${newest === undefined ? '"sealift rollout create plan.yaml" makes one' : `"sealift rollout status ${newest.name}"`}`,
  )
}

/** Draws over what it drew before on a terminal, else one text after the other. */
async function follow({ out }: Invocation, node: ControlClient, path: string): Promise<void> {
  let drawnLines = 0
  for await (const { rollout } of node.lines<RolloutLine>("GET", `${path}/follow`)) {
    const said = rolloutText(rollout, systemClock.now())
    // Nothing moves until somebody decides, and whoever follows is told no other way.
    const text = rollout.phase === "paused" ? `${said}\nnext: ${nextStep(rollout)}` : said
    if (out.isJson) out.result(rollout, () => "")
    else {
      const isTerminal = out.stdout.isTTY === true
      out.stdout.write(`${isTerminal ? redraw(drawnLines) : ""}${text}\n`)
      drawnLines = text.split("\n").length
    }
    if (rollout.phase === "completed" || rollout.phase === "aborted") {
      out.note(`next: ${nextStep(rollout)}`)
      return
    }
  }
}

function nextStep({ name, phase, isController, controller }: RolloutAnswer): string {
  const where = isController ? "" : ` on node ${controller}`
  switch (phase) {
    case "created":
      return `"sealift rollout start ${name}"${where}`
    case "running":
      return `"sealift rollout status ${name} --follow"`
    case "paused":
      return `"sealift rollout resume ${name}" once it is mended, or "sealift rollout rollback ${name}"${where}`
    case "aborted":
      return '"sealift rollout create plan.yaml" makes its next version'
    case "completed":
      return `"sealift rollout rollback ${name}"${where} takes it back`
  }
}
