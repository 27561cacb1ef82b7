/** A rollout of real nodes that are one another's witnesses: what is decided, and when nobody acts on it. */
import { existsSync } from "node:fs"
import { mkdir, readFile, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { stringify } from "yaml"
import type { RolloutAnswer } from "../../src/api/rollout-api.ts"
import { pollUntil } from "../support/process.ts"
import { done, ReleaseFleet, refused } from "../support/release-fleet.ts"
import { type SealiftNode, startNode } from "../support/sealift-node.ts"
import { openWorkspace, type Workspace } from "../support/workspace.ts"

const NAMES = ["north", "east", "south"] as const
const WEIGHTS = "weights.bin"
/** Filled in on each node. */
const NODE = "$\u007bnode}"
const MET_MS = 60_000

let workspace: Workspace
let fleet: ReleaseFleet
let edges: SealiftNode[]
let site: string

beforeAll(async () => {
  workspace = openWorkspace("rollout-witnesses")
  fleet = await ReleaseFleet.found(workspace, { parties: ["owner"] })
  edges = []
  for (const name of NAMES) edges.push(await fleet.join(name, "--group", "edge"))
  site = await workspace.folder("site")
  for (const { peerId } of edges) await mkdir(join(site, peerId))
  const flags = [fleet.anchor, ...edges].flatMap(({ peerId }) => ["--node", peerId])
  await done(fleet.anchor.sealift("fleet", "witness", "set", ...flags))
  const isKnown = async () => {
    const shown = await Promise.all(edges.map((node) => node.sealift("fleet", "witness", "show")))
    return shown.every(({ code }) => code === 0)
  }
  if (!(await pollUntil(isKnown, MET_MS))) throw new Error("the witnesses are not known")
}, 180_000)
afterAll(() => workspace?.close())

/** Publishes content of one file, and the plan of it. */
async function plan(content: string): Promise<void> {
  const { anchor } = fleet
  const folder = await workspace.folder("model")
  await writeFile(join(folder, WEIGHTS), content)
  const flags = ["--seal", "--hold", "--audience", "edge"]
  const ref = await done(anchor.sealift("publish", "acme/model", folder, ...flags))
  await fleet.approve(anchor, ref, ["owner"])
  const terms = {
    ...{ rollout: "model", releases: [ref] },
    waves: [{ name: "all", nodes: { group: "edge" }, soak: "0s" }],
    activate: { files: { path: join(site, NODE, "current") } },
  }
  await writeFile(fleet.path("plan.yaml"), stringify(terms))
  await done(anchor.sealift("rollout", "create", fleet.path("plan.yaml")))
}

const phase = async (node: SealiftNode) => {
  const { code, stdout } = await node.sealift("rollout", "status", "model", "--json")
  return code === 0 ? (JSON.parse(stdout) as RolloutAnswer).phase : undefined
}
const untilCompleted = () =>
  pollUntil(async () => (await phase(fleet.anchor)) === "completed", MET_MS)

const contents = async (): Promise<readonly (string | undefined)[]> =>
  await Promise.all(
    edges.map(async ({ peerId }) => {
      const path = join(site, peerId, "current", WEIGHTS)
      return existsSync(path) ? await readFile(path, "utf8") : undefined
    }),
  )

describe("a rollout in a fleet of four witnesses", () => {
  test("is decided with them, from a start right after its plan on", async () => {
    await plan("one")
    await done(fleet.anchor.sealift("rollout", "start", "model"))
    expect(await untilCompleted()).toBe(true)
    expect(await contents()).toEqual(["one", "one", "one"])
  }, 120_000)

  test("is acted on by nobody while two of them are away, and goes on once they are back", async () => {
    await plan("two")
    await edges[1]!.kill9()
    await edges[2]!.kill9()
    await refused(fleet.anchor.sealift("rollout", "start", "model"), "COSIGNATURES_MISSING")
    expect([await phase(fleet.anchor), await phase(edges[0]!)]).toEqual(["created", "created"])
    expect((await contents())[0]).toBe("one")
    for (const index of [1, 2]) {
      edges[index] = await startNode(workspace, { name: NAMES[index]!, peers: fleet.anchor.p2p })
    }
    expect(await untilCompleted()).toBe(true)
    expect(await contents()).toEqual(["two", "two", "two"])
  }, 180_000)
})
