/**
 * `sealift rollout create --draft`, `rollout sign`, `rollout submit`: plans that keys in several places
 * sign, away from every node.
 * @module
 */
import type { Command } from "commander"
import type { PlanAnswer } from "../../api/rollout-api.ts"
import { addSigningOptions, apart, openDraftSigner } from "../../cli/draft-signer.ts"
import type { CommandSpec, Invocation } from "../../cli/invocation.ts"
import { readLocalFile, writeLocalFile } from "../../cli/local-file.ts"
import { requiredText, textOf } from "../../cli/option.ts"
import { isSigned, signaturesText } from "../../fleet/draft-signing.ts"
import {
  encodePlanDraft,
  mergePlanDrafts,
  PLAN_DRAFT_BYTES_MAX,
  type PlanDraft,
  parsePlanDraft,
} from "../../rollout/plan-draft.ts"
import {
  type ReadPlanDraft,
  readDraftedPlan,
  signPlanDraft,
  standingOfPlan,
} from "../../rollout/plan-draft-signing.ts"
import { describePlan } from "../../rollout/plan-summary.ts"

/** Has a node make a plan for others to sign, shows it, and writes it where `--draft` says. */
export async function writePlanDraft(
  { out, connect }: Invocation,
  plan: unknown,
  path: string,
): Promise<void> {
  const node = await connect()
  const file = await node.file("POST", "/v1/rollouts/draft", { plan })
  await writeLocalFile(path, file)
  const draft = parsePlanDraft(file)
  const read = await readDraftedPlan(draft, apart(draft.fleet))
  out.note((await describePlan(read)).join("\n"))
  out.result({ file: path, ...factsOf(read) }, () => `wrote ${path}`)
  noteStanding(out, read, path)
}

export const rolloutSignCommand: CommandSpec = {
  examples: [
    "sealift rollout sign model.draft --dry-run",
    "sealift rollout sign model.draft --key alice.key -o alice.draft",
    "sealift rollout sign alice.draft bob.draft --signer ./hsm-signer --state ./hsm.state -o all.draft",
  ],
  define: (command: Command) => addSigningOptions(command, "show the plan; sign nothing"),
  async work(invocation) {
    const { args, options, out, signal } = invocation
    const draft = await readCopies(args)
    if (options.dryRun === true) {
      const read = await readDraftedPlan(draft, apart(textOf(options.fleet)))
      const shown = await describePlan(read)
      out.answer({ ...factsOf(read), shown }, shown.join("\n"))
      noteStanding(out, read, args[0]!)
      return
    }
    const target = requiredText(options.out, "--out")
    const { signer, home } = await openDraftSigner(invocation, draft.fleet)
    const place = { ...home, expectedFleet: textOf(options.fleet) }
    const read = await readDraftedPlan(draft, place)
    out.note((await describePlan(read)).join("\n"))
    const signing = { state: home.state, isAgain: options.again === true, signal }
    const signed = await signPlanDraft(read, signer, signing)
    await writeLocalFile(target, encodePlanDraft(signed.read.draft))
    const parts = signed.parts.map((part) => `the ${part}`).join(" and ")
    const result = { file: target, key: signer.publicKey, parts: signed.parts }
    out.result({ ...result, ...factsOf(signed.read) }, () => `signed ${parts}: wrote ${target}`)
    noteStanding(out, signed.read, target)
  },
}

export const rolloutSubmitCommand: CommandSpec = {
  examples: ["sealift rollout submit all.draft", "sealift rollout submit alice.draft bob.draft"],
  async work({ args, out, connect }) {
    const body = encodePlanDraft(await readCopies(args))
    const node = await connect()
    const made = await node.ask<PlanAnswer>("POST", "/v1/rollouts/submit", body)
    out.answer(made, made.name)
    out.note(`next: "sealift rollout start ${made.name}" on node ${made.controller}`)
  },
}

async function readCopies(paths: readonly string[]): Promise<PlanDraft> {
  const files = await Promise.all(paths.map((path) => readLocalFile(path, PLAN_DRAFT_BYTES_MAX)))
  return mergePlanDrafts(files.map(parsePlanDraft))
}

function factsOf(read: ReadPlanDraft): object {
  const { name, version } = read.plan
  const standing = standingOfPlan(read)
  return { fleet: read.draft.fleet, rollout: name, version, digest: read.digest, standing }
}

function noteStanding(out: Invocation["out"], read: ReadPlanDraft, path: string): void {
  const [plan, list] = standingOfPlan(read)
  out.note(`the plan: ${signaturesText(plan)}`)
  if (isSigned(plan)) out.note(`the list that names it: ${signaturesText(list)}`)
  const isDone = isSigned(plan) && isSigned(list)
  out.note(
    isDone
      ? `next, on a node of the fleet that is its desk: "sealift rollout submit ${path}"`
      : `next, where another key is: "sealift rollout sign ${path} --key FILE -o SIGNED"`,
  )
}
