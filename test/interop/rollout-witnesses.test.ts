/** A rollout of real nodes that are one another's witnesses: what is decided, and when nobody acts on it. */
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { LinkedSites } from "../support/linked-sites.ts"
import { pollUntil } from "../support/process.ts"
import { done, ReleaseFleet, refused } from "../support/release-fleet.ts"
import { createRollout, publishModel, rolloutAt, untilPhase } from "../support/rollout-acts.ts"
import { type SealiftNode, startNode } from "../support/sealift-node.ts"
import { openWorkspace, type Workspace } from "../support/workspace.ts"

const NAMES = ["north", "east", "south"] as const
const WEIGHTS = "weights.bin"
const MET_MS = 60_000

let workspace: Workspace
let fleet: ReleaseFleet
let edges: SealiftNode[]
let sites: LinkedSites

beforeAll(async () => {
  workspace = openWorkspace("rollout-witnesses")
  fleet = await ReleaseFleet.found(workspace, { parties: ["owner"] })
  edges = []
  for (const name of NAMES) edges.push(await fleet.join(name, "--group", "edge"))
  sites = await LinkedSites.open(workspace, edges, WEIGHTS)
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
  const ref = await publishModel(fleet, { file: WEIGHTS, content, parties: ["owner"] })
  await createRollout(fleet, {
    ...{ rollout: "model", releases: [ref] },
    waves: [{ name: "all", nodes: { group: "edge" }, soak: "0s" }],
    activate: sites.activation,
  })
}

const phase = async (node: SealiftNode) => (await rolloutAt(node, "model"))?.phase
const contents = () => sites.contents(edges)

describe("a rollout in a fleet of four witnesses", () => {
  test("is decided with them, from a start right after its plan on", async () => {
    await plan("one")
    await done(fleet.anchor.sealift("rollout", "start", "model"))
    await untilPhase(fleet.anchor, "model", "completed")
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
    await untilPhase(fleet.anchor, "model", "completed")
    expect(await contents()).toEqual(["two", "two", "two"])
  }, 180_000)
})
