/**
 * The second act: a model that nobody can open until three parties have signed, on nodes of two groups.
 * Every line is a command of the command line, as a user would type it.
 * @module
 */
import { mkdir, writeFile } from "node:fs/promises"
import { join } from "node:path"
import type { Workspace } from "../../test/support/workspace.ts"
import { NodeProcess } from "../node-process.ts"
import { attempt, refusal, run } from "./command.ts"
import { compare, writeModel } from "./model-files.ts"
import type { Story } from "./story.ts"

export const PARTIES = ["owner", "safety", "legal"] as const
export const ASSET = "acme/model"
const EXIT_REFUSED = 3
const EXIT_APPROVALS = 5

/** What the act is played with. */
export interface Stage {
  readonly story: Story
  readonly workspace: Workspace
  readonly signal: AbortSignal
  /** Of the anchor, by registry: where images come from that it publishes. */
  readonly upstreams: Readonly<Record<string, string>>
}

/** What it leaves: nodes that go on running, the parties' keys, and the folder of the model. */
export interface Fleet extends Stage {
  readonly anchor: NodeProcess
  readonly edge: NodeProcess
  readonly leaving: NodeProcess
  /** Enrolled, in the other group. */
  readonly office: NodeProcess
  readonly keys: string
  readonly model: string
}

/** Plays it. */
export async function tellOfModel(stage: Stage): Promise<Fleet> {
  const { story, workspace } = stage
  story.title("A model that opens only when every party has signed")
  const model = join(workspace.root, "model")
  const keys = join(workspace.root, "parties")
  await story.step("Make a model of five files", () => writeModel(model))
  const fleet = await story.step("Make a fleet: an anchor, two nodes of edge, one of office", () =>
    foundFleet(stage, { keys, model }),
  )
  await publishAndOpen(fleet)
  await revoke(fleet)
  return fleet
}

async function foundFleet(
  stage: Stage,
  { keys, model }: Pick<Fleet, "keys" | "model">,
): Promise<Fleet> {
  await mkdir(keys)
  const [anchor, edge, leaving, office] = await startNodes(stage)
  await run(anchor!, "fleet", "init", "--name", "demo")
  for (const [node, group] of [
    [edge!, "edge"],
    [leaving!, "edge"],
    [office!, "office"],
  ] as const) {
    const token = await run(anchor!, "fleet", "invite", "--group", group)
    await run(node, "fleet", "join", token)
  }
  for (const party of PARTIES)
    await run(undefined, "party", "init", party, "--out", keyOf(keys, party))
  const named = PARTIES.flatMap((party) => ["--party", `${party}=${keyOf(keys, party)}.pub`])
  await run(anchor!, "fleet", "policy", "set", "acme", ...named)
  return { ...stage, keys, model, anchor: anchor!, edge: edge!, leaving: leaving!, office: office! }
}

async function startNodes({ workspace, signal, upstreams }: Stage): Promise<NodeProcess[]> {
  const nodes: NodeProcess[] = []
  for (const name of ["anchor", "edge", "leaving", "office"]) {
    const own = name === "anchor" ? upstreams : {}
    const plan = { name, folder: workspace.root, peers: [], upstreams: own }
    const node = await NodeProcess.start(plan, { signal })
    workspace.defer(() => node.stop())
    nodes.push(node)
  }
  return nodes
}

async function publishAndOpen(fleet: Fleet): Promise<void> {
  const { story, workspace, anchor, edge, leaving, office, model } = fleet
  const ref = await story.step("Publish it, sealed, for the group edge", () =>
    run(anchor, "publish", ASSET, model, "--seal", "--audience", "edge"),
  )
  await story.step(`Stage ${ref} on both nodes of edge: ciphertext, which opens nothing`, () =>
    Promise.all([edge, leaving].map((node) => run(node, "stage", ref))),
  )
  await story.step("owner and safety approve; legal has not", async () => {
    for (const party of ["owner", "safety"]) await approve(fleet, ref, party)
  })
  const out = join(workspace.root, "opened")
  story.say(await refusal(EXIT_APPROVALS, edge, "open", ref, "-o", out))
  await story.step("legal approves on a machine without a network: a file there, a file back", () =>
    approveApart(fleet, ref),
  )
  await story.step(`Open it on edge`, () => run(edge, "open", ref, "-o", out))
  const files = await compare(model, out)
  story.say(`${files} files, every byte the same`)
  story.say("an enrolled node outside the audience, with all approvals at hand:")
  story.say(await refusal(EXIT_REFUSED, office, "open", ref, "-o", join(workspace.root, "never")))
}

async function revoke(fleet: Fleet): Promise<void> {
  const { story, workspace, anchor, edge, leaving, model } = fleet
  const ref = await story.step(
    "Revoke one node of edge, then publish the next version",
    async () => {
      await run(anchor, "fleet", "revoke", leaving.peerId)
      await writeFile(join(model, "config.json"), '{"layers":3}\n')
      return await run(anchor, "publish", ASSET, model, "--seal", "--audience", "edge")
    },
  )
  for (const party of PARTIES) await approve(fleet, ref, party)
  const lost = await attempt(leaving, "open", ref, "-o", join(workspace.root, "lost"))
  if (lost.code === 0) throw new Error("a revoked node opened the next version")
  story.say(lost.text)
  const out = join(workspace.root, "opened-next")
  await story.step(`The other one opens ${ref}`, () => run(edge, "open", ref, "-o", out))
  await compare(model, out)
}

/** Has a party approve, whose key lies on the same machine as the anchor. */
export async function approve({ anchor, keys }: Fleet, ref: string, party: string): Promise<void> {
  await run(anchor, "approve", ref, "--key", keyOf(keys, party))
}

async function approveApart({ edge, keys, workspace }: Fleet, ref: string): Promise<void> {
  const [bundle, approval] = ["m.release", "legal.approval"].map((it) => join(workspace.root, it))
  await run(edge, "release", "export", ref, "--out", bundle!)
  const words = ["--release", bundle!, "--key", keyOf(keys, "legal"), "--out", approval!]
  await run(undefined, "approve", ...words)
  await run(edge, "approve", "--import", approval!)
}

function keyOf(folder: string, party: string): string {
  return join(folder, `${party}.key`)
}
