/**
 * The second act: a model that nobody can open until three parties have signed, on nodes of two groups.
 * Every line is a command of the command line, as a user would type it.
 * @module
 */
import { execFile } from "node:child_process"
import { createHash, randomBytes } from "node:crypto"
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises"
import { join } from "node:path"
import type { Workspace } from "../../test/support/workspace.ts"
import { NodeProcess } from "../node-process.ts"
import { packageFile } from "../package-file.ts"
import type { Story } from "./story.ts"

const COMMAND = packageFile("bin/sealift.js")
const PARTIES = ["owner", "safety", "legal"] as const
const WEIGHTS_BYTES: readonly number[] = [12_000_000, 9_000_000, 3_000_000]
const ASSET = "acme/model"
const COMMAND_MS_MAX = 60_000
const EXIT_REFUSED = 3
const EXIT_APPROVALS = 5

/** What the act is played with. */
export interface Stage {
  readonly story: Story
  readonly workspace: Workspace
  readonly signal: AbortSignal
}

interface Fleet extends Stage {
  readonly anchor: NodeProcess
  readonly edge: NodeProcess
  readonly leaving: NodeProcess
  /** Enrolled, in the other group. */
  readonly office: NodeProcess
  readonly keys: string
  readonly model: string
}

interface Outcome {
  readonly code: number
  readonly text: string
}

/** Plays it. @returns the nodes, which go on running */
export async function tellOfModel(stage: Stage): Promise<readonly NodeProcess[]> {
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
  const { anchor, edge, leaving, office } = fleet
  return [anchor, edge, leaving, office]
}

async function foundFleet(
  stage: Stage,
  { keys, model }: { readonly keys: string; readonly model: string },
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

async function startNodes({ workspace, signal }: Stage): Promise<NodeProcess[]> {
  const nodes: NodeProcess[] = []
  for (const name of ["anchor", "edge", "leaving", "office"]) {
    const plan = { name, folder: workspace.root, peers: [], upstreams: {} }
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

async function approve({ anchor, keys }: Fleet, ref: string, party: string): Promise<void> {
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

async function writeModel(folder: string): Promise<void> {
  await mkdir(join(folder, "weights"), { recursive: true })
  await writeFile(join(folder, "config.json"), '{"layers":2}\n')
  await writeFile(join(folder, "tokenizer.json"), '{"version":"1.0"}\n')
  for (const [index, sizeBytes] of WEIGHTS_BYTES.entries()) {
    await writeFile(join(folder, "weights", `${index}.safetensors`), randomBytes(sizeBytes))
  }
}

/** Compares two folders file by file. @returns how many files there are */
async function compare(one: string, other: string): Promise<number> {
  const [left, right] = await Promise.all([digestsOf(one), digestsOf(other)])
  if (JSON.stringify(left) !== JSON.stringify(right)) throw new Error("what was opened differs")
  return left.length
}

async function digestsOf(folder: string): Promise<readonly (readonly [string, string])[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  const paths = entries.filter((entry) => entry.isFile()).map((it) => join(it.parentPath, it.name))
  const rows = paths.toSorted().map(async (path) => {
    const digest = createHash("sha256")
      .update(await readFile(path))
      .digest("hex")
    return [path.slice(folder.length + 1), digest] as const
  })
  return await Promise.all(rows)
}

async function run(node: NodeProcess | undefined, ...words: readonly string[]): Promise<string> {
  const { code, text } = await attempt(node, ...words)
  if (code !== 0) throw new Error(`sealift ${words[0]}: exit ${code}: ${text}`)
  return text
}

/** Runs what must be refused. @returns the one line of the refusal */
async function refusal(exit: number, node: NodeProcess, ...words: string[]): Promise<string> {
  const { code, text } = await attempt(node, ...words)
  if (code !== exit)
    throw new Error(`sealift ${words[0]}: exit ${code} instead of ${exit}: ${text}`)
  return text
}

function attempt(node: NodeProcess | undefined, ...words: readonly string[]): Promise<Outcome> {
  const data = node === undefined ? [] : ["--data", node.data]
  const argv = [COMMAND, ...words, ...data, "--quiet"]
  const { promise, resolve } = Promise.withResolvers<Outcome>()
  const options = { timeout: COMMAND_MS_MAX, encoding: "utf8" as const }
  execFile(process.execPath, argv, options, (error, stdout, stderr) => {
    const code = error === null ? 0 : Number(error.code ?? 1)
    resolve({ code, text: (code === 0 ? stdout : stderr).trim() })
  })
  return promise
}
