/**
 * The story of a rollout as its operator types it: nodes that are processes, plans that are files, links
 * that are switched.
 */
import { existsSync } from "node:fs"
import { mkdir, readFile, rm, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { stringify } from "yaml"
import type { RolloutAnswer } from "../../src/api/rollout-api.ts"
import { pollUntil } from "../support/process.ts"
import { done, ReleaseFleet, refused } from "../support/release-fleet.ts"
import type { SealiftNode } from "../support/sealift-node.ts"
import { openWorkspace, type Workspace } from "../support/workspace.ts"

const PARTIES = ["owner", "safety"] as const
const WEIGHTS = "weights.bin"
/** Filled in on each node. */
const NODE = "$\u007bnode}"

let workspace: Workspace
let fleet: ReleaseFleet
let edges: readonly SealiftNode[]
let site: string

beforeAll(async () => {
  workspace = await openWorkspace("rollout-story")
  fleet = await ReleaseFleet.found(workspace, { parties: PARTIES })
  const names = ["edge-1", "edge-2", "edge-3"]
  const nodes: SealiftNode[] = []
  for (const name of names) nodes.push(await fleet.join(name, "--group", "edge"))
  edges = nodes
  site = await workspace.folder("site")
  for (const { peerId } of edges) await mkdir(join(site, peerId))
}, 180_000)

afterAll(async () => {
  await workspace?.close()
})

/** Publishes content of one file, approved by everybody and held by the gate. */
async function publish(content: string): Promise<string> {
  const folder = await workspace.folder("model")
  await writeFile(join(folder, WEIGHTS), content)
  const { anchor } = fleet
  const flags = ["--seal", "--hold", "--audience", "edge"]
  const ref = await done(anchor.sealift("publish", "acme/model", folder, ...flags))
  await fleet.approve(anchor, ref, PARTIES)
  return ref
}

/** The fields of a plan that every story has: a canary, then all the others. */
const planOf = (release: string, more: object = {}): object => ({
  rollout: "model",
  releases: [release],
  waves: [
    { name: "canary", nodes: { group: "edge", count: 1 }, soak: "500ms" },
    { name: "rest", nodes: { group: "edge" }, soak: "0s" },
  ],
  success: { threshold: "90%", minSample: 1 },
  error: { threshold: "40%", action: "pause" },
  reportDeadline: "60s",
  activate: { files: { path: join(site, NODE, "current") } },
  ...more,
})

async function create(plan: object): Promise<string> {
  const path = fleet.path("plan.yaml")
  await writeFile(path, stringify(plan))
  return await done(fleet.anchor.sealift("rollout", "create", path))
}

async function statusOf(node: SealiftNode, name = "model"): Promise<RolloutAnswer> {
  return JSON.parse(await done(node.sealift("rollout", "status", name, "--json"))) as RolloutAnswer
}

async function untilPhase(phase: RolloutAnswer["phase"]): Promise<RolloutAnswer> {
  let status = await statusOf(fleet.anchor)
  const isThere = await pollUntil(async () => {
    status = await statusOf(fleet.anchor)
    return status.phase === phase
  }, 60_000)
  if (!isThere) throw new Error(`the rollout is not ${phase}: ${JSON.stringify(status)}`)
  return status
}

/** What the link of a node leads to. */
async function contentAt({ peerId }: SealiftNode): Promise<string | undefined> {
  const path = join(site, peerId, "current", WEIGHTS)
  return existsSync(path) ? await readFile(path, "utf8") : undefined
}

const contents = async (): Promise<readonly (string | undefined)[]> =>
  await Promise.all(edges.map(contentAt))

describe("A release that is held", () => {
  test("is opened by nobody before a plan, and wave by wave after its start", async () => {
    const ref = await publish("one")
    const [first] = edges
    await refused(first!.sealift("open", ref, "-o", fleet.path("early")), "GATE_REFUSED")

    const name = await create(planOf(ref))
    expect(name).toBe("model")
    await refused(first!.sealift("open", ref, "-o", fleet.path("early")), "GATE_REFUSED")
    expect(await contents()).toEqual([undefined, undefined, undefined])

    await done(fleet.anchor.sealift("rollout", "start", name))
    const status = await untilPhase("completed")
    expect(status.waves.map(({ size, healthy }) => [size, healthy])).toEqual([
      [1, 1],
      [2, 2],
    ])
    expect(await contents()).toEqual(["one", "one", "one"])
  }, 120_000)

  test("goes on after what failed was mended", async () => {
    const ref = await publish("two")
    const flag = join(site, NODE, "ready")
    const probe = {
      exec: ["/usr/bin/test", "-e", flag],
      timeout: "5s",
      retries: 1,
      interval: "100ms",
    }
    const [canary, ...rest] = await inWaves(planOf(ref, { probe }))
    await writeFile(join(site, canary!.peerId, "ready"), "")
    await done(fleet.anchor.sealift("rollout", "start", "model"))
    const paused = await untilPhase("paused")
    expect(paused.reason).toMatch(/wave rest: \d of 2 have failed/)
    expect(await contentAt(canary!)).toBe("two")

    for (const { peerId } of rest) await writeFile(join(site, peerId, "ready"), "")
    await done(fleet.anchor.sealift("rollout", "resume", "model"))
    await untilPhase("completed")
    expect(await contents()).toEqual(["two", "two", "two"])
  }, 120_000)

  test("takes the nodes of a wave that fails back to what they ran", async () => {
    const ref = await publish("three")
    const probe = { exec: ["/usr/bin/test", "-e", join(site, NODE, "good")], timeout: "5s" }
    const error = { threshold: "40%", action: "abort+rollback" }
    const [canary, ...rest] = await inWaves(planOf(ref, { probe, error }))
    await writeFile(join(site, canary!.peerId, "good"), "")
    await done(fleet.anchor.sealift("rollout", "start", "model"))
    await untilPhase("aborted")
    const isBack = async (node: SealiftNode) => (await contentAt(node)) === "two"
    const areBack = async () => (await isBack(rest[0]!)) && (await isBack(rest[1]!))
    expect(await pollUntil(areBack, 20_000)).toBe(true)
    expect(await contentAt(canary!)).toBe("three")
    // By hand, and with no party anywhere: the canary, too.
    await done(fleet.anchor.sealift("rollout", "rollback", "model", "--reason", "all of it"))
    expect(await pollUntil(() => isBack(canary!), 20_000)).toBe(true)
  }, 120_000)

  test("cannot be decided by another node than its controller", async () => {
    await refused(edges[0]!.sealift("rollout", "resume", "model"), "NOT_CONTROLLER")
    await refused(edges[0]!.sealift("rollout", "status", "nothing"), "PLAN_NOT_FOUND")
    await rm(fleet.path("plan.yaml"))
  })
})

/** Makes a plan, and gives its nodes: first the canary, then the others. */
async function inWaves(plan: object): Promise<readonly SealiftNode[]> {
  const path = fleet.path("plan.yaml")
  await writeFile(path, stringify(plan))
  const outcome = await done(fleet.anchor.sealift("rollout", "create", path, "--json"))
  const { waves } = JSON.parse(outcome) as { waves: { nodes: string[] }[] }
  return waves
    .flatMap(({ nodes }) => nodes)
    .map((peer) => edges.find(({ peerId }) => peerId === peer)!)
}
