/**
 * The story of a rollout as its operator types it: nodes that are processes, plans that are files, links
 * that are switched.
 */
import { rm, writeFile } from "node:fs/promises"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { stringify } from "yaml"
import type { RolloutAnswer } from "../../src/api/rollout-api.ts"
import { LinkedSites } from "../support/linked-sites.ts"
import { pollUntil } from "../support/process.ts"
import { apart, done, ReleaseFleet, refused } from "../support/release-fleet.ts"
import { createRollout, untilPhase as phaseReached, publishModel } from "../support/rollout-acts.ts"
import type { SealiftNode } from "../support/sealift-node.ts"
import { openWorkspace, type Workspace } from "../support/workspace.ts"

const PARTIES = ["owner", "safety"] as const
const WEIGHTS = "weights.bin"

let workspace: Workspace
let fleet: ReleaseFleet
let edges: readonly SealiftNode[]
let sites: LinkedSites

beforeAll(async () => {
  workspace = await openWorkspace("rollout-story")
  fleet = await ReleaseFleet.found(workspace, { parties: PARTIES })
  const names = ["edge-1", "edge-2", "edge-3"]
  const nodes: SealiftNode[] = []
  for (const name of names) nodes.push(await fleet.join(name, "--group", "edge"))
  edges = nodes
  sites = await LinkedSites.open(workspace, edges, WEIGHTS)
}, 180_000)

afterAll(async () => {
  await workspace?.close()
})

/** Publishes content of one file, approved by everybody and held by the gate. */
const publish = (content: string) =>
  publishModel(fleet, { file: WEIGHTS, content, parties: PARTIES })

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
  activate: sites.activation,
  ...more,
})

const create = (plan: object) => createRollout(fleet, plan)
const untilPhase = (phase: RolloutAnswer["phase"], name = "model") =>
  phaseReached(fleet.anchor, name, phase)
const contentAt = (node: SealiftNode) => sites.contentAt(node)
const contents = () => sites.contents(edges)

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
    const flag = sites.planned("ready")
    const probe = {
      exec: ["/usr/bin/test", "-e", flag],
      timeout: "5s",
      retries: 1,
      interval: "100ms",
    }
    const [canary, ...rest] = await inWaves(planOf(ref, { probe }))
    await writeFile(sites.at(canary!, "ready"), "")
    await done(fleet.anchor.sealift("rollout", "start", "model"))
    const paused = await untilPhase("paused")
    expect(paused.reason).toMatch(/wave rest: \d of 2 have failed/)
    expect(await contentAt(canary!)).toBe("two")

    for (const node of rest) await writeFile(sites.at(node, "ready"), "")
    await done(fleet.anchor.sealift("rollout", "resume", "model"))
    await untilPhase("completed")
    expect(await contents()).toEqual(["two", "two", "two"])
  }, 120_000)

  test("takes the nodes of a wave that fails back to what they ran", async () => {
    const ref = await publish("three")
    const probe = { exec: ["/usr/bin/test", "-e", sites.planned("good")], timeout: "5s" }
    const error = { threshold: "40%", action: "abort+rollback" }
    const [canary, ...rest] = await inWaves(planOf(ref, { probe, error }))
    await writeFile(sites.at(canary!, "good"), "")
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

describe("A plan that two of three must sign", () => {
  const sign = async (name: string, draft: string, out: string) => {
    const shown = JSON.parse(await done(fleet.anchor.sealift("fleet", "show", "--json")))
    const who = ["--key", fleet.keyOf(name), "--fleet", String(shown.fleet)]
    return await apart(
      ...["rollout", "sign", fleet.path(draft), ...who, "-o", fleet.path(out), "--quiet"],
    )
  }
  const submit = (name: string) => fleet.anchor.sealift("rollout", "submit", fleet.path(name))

  test("is carried to their keys, and goes to every node once they have signed it", async () => {
    const { anchor } = fleet
    const names = ["alice", "bob", "carol"]
    for (const name of names) await fleet.makeParty(name)
    const by = names.flatMap((name) => ["--by", `${fleet.keyOf(name)}.pub`])
    const held = fleet.path("held.draft")
    await done(anchor.sealift("fleet", "hold", "plan", ...by, "--threshold", "2", "-o", held))
    await done(anchor.sealift("fleet", "submit", held))
    const ref = await publish("four")
    const path = fleet.path("held.yaml")
    // It is no fleet of one person any more: what is run on a node that node's own settings allow.
    await writeFile(path, stringify(planOf(ref, { rollout: "held", activate: undefined })))
    await refused(anchor.sealift("rollout", "create", path), "ROLE_KEY_MISSING")
    const drafted = anchor.sealift("rollout", "create", path, "--draft", fleet.path("plan.draft"))
    expect((await drafted).stderr).toContain(
      `  canary: 1 of group edge, stands for 0.5 s; 1 node now`,
    )

    const shown = await done(apart("rollout", "sign", fleet.path("plan.draft"), "--dry-run"))
    expect(shown).toContain(`  ${ref}  sha256:`)
    for (const { peerId } of edges) expect(shown).toContain(`    ${peerId}\n`)
    await refused(submit("plan.draft"), "TUF_SIGNATURES_MISSING")
    await done(sign("alice", "plan.draft", "one.draft"))
    await refused(sign("alice", "one.draft", "twice.draft"), "DRAFT_SIGNED")
    await done(sign("bob", "one.draft", "two.draft"))
    await refused(submit("two.draft"), "TUF_SIGNATURES_MISSING")
    await done(sign("alice", "two.draft", "all.draft"))
    expect(await done(submit("all.draft"))).toBe("held")
    await refused(submit("all.draft"), "DRAFT_OUTDATED")

    await done(anchor.sealift("rollout", "start", "held"))
    const { waves } = await untilPhase("completed", "held")
    expect(waves.map(({ healthy }) => healthy)).toEqual([1, 2])
  }, 120_000)
})

/** Makes a plan, and gives its nodes: first the canary, then the others. */
async function inWaves(plan: object): Promise<readonly SealiftNode[]> {
  const outcome = await createRollout(fleet, plan, "--json")
  const { waves } = JSON.parse(outcome) as { waves: { nodes: string[] }[] }
  return waves
    .flatMap(({ nodes }) => nodes)
    .map((peer) => edges.find(({ peerId }) => peerId === peer)!)
}
