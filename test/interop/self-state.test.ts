/**
 * Row 45 with real nodes: a data directory that runs twice, and one that is put back from a copy three
 * steps old.
 */
import { randomBytes } from "node:crypto"
import { existsSync, readdirSync } from "node:fs"
import { cp, mkdir, rm, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import type { StatusReport } from "../../src/api/api.ts"
import type { FleetReport } from "../../src/fleet/fleet-desk.ts"
import { pollUntil } from "../support/process.ts"
import { done, ReleaseFleet, refused } from "../support/release-fleet.ts"
import { type SealiftNode, startNode } from "../support/sealift-node.ts"
import { openWorkspace, type Workspace } from "../support/workspace.ts"

const PARTIES = ["owner", "safety"] as const
/** Two rounds of telling, and what processes take. */
const FOUND_MS = 60_000
const HEARD_MS = 20_000

interface Logged {
  readonly event: string
  readonly facts: Readonly<Record<string, unknown>>
}

let workspace: Workspace
let fleet: ReleaseFleet
let edge: SealiftNode
let model: string
let opened = 0

beforeAll(async () => {
  workspace = openWorkspace("self-state")
  model = join(await workspace.folder("asset"), "model")
  await mkdir(model)
  await writeFile(join(model, "a.safetensors"), randomBytes(300_000))
  fleet = await ReleaseFleet.found(workspace, { parties: PARTIES })
  edge = await fleet.join("edge", "--group", "edge")
}, 120_000)
afterAll(() => workspace.close())

const out = () => fleet.path(`opened-${opened++}`)
const statusOf = async (node: SealiftNode) =>
  JSON.parse(await done(node.sealift("status", "--json"))) as StatusReport
const isBlocked = (node: SealiftNode, code: string | undefined) =>
  pollUntil(async () => (await statusOf(node)).blocked[0]?.code === code, FOUND_MS)
const fleetOf = async (node: SealiftNode) =>
  JSON.parse(await done(node.sealift("fleet", "show", "--json"))) as FleetReport
/** Whether a node has met the first one, and knows the list that it has. */
const hasCaughtUp = (node: SealiftNode) =>
  pollUntil(async () => {
    if ((await statusOf(node)).peerCount === 0) return false
    const [here, there] = [await fleetOf(node), await fleetOf(fleet.anchor)]
    return here.accessVersion === there.accessVersion && !here.isStale
  }, HEARD_MS)

async function eventsOf(node: SealiftNode): Promise<readonly Logged[]> {
  const lines = await done(node.sealift("log", "--count", "1000", "--json"))
  // It is empty for a moment when another one is begun.
  const written = lines.split("\n").filter((line) => line !== "")
  return written.map((line) => JSON.parse(line) as Logged)
}

/** Publishes a release to the group, and approves it. */
async function approved(name: string): Promise<string> {
  const flags = ["--seal", "--audience", "edge"]
  const ref = await done(fleet.anchor.sealift("publish", `acme/${name}`, model, ...flags))
  await fleet.approve(fleet.anchor, ref, PARTIES)
  return ref
}

/** Copies what a node keeps that is stopped, and what it listens on. */
async function copyOf({ data }: SealiftNode, name: string): Promise<string> {
  const path = await workspace.folder(name)
  await rm(path, { recursive: true })
  await cp(data, path, { recursive: true })
  return path
}

describe("a data directory that is put back from a copy three steps old", () => {
  test("is restored until it has met a peer; its log goes on as another one, which says so", async () => {
    const ref = await approved("before")
    await edge.stop()
    const copy = await copyOf(edge, "edge-old")
    edge = await startNode(workspace, { name: "edge" })
    expect(await hasCaughtUp(edge)).toBe(true)
    for (let step = 0; step < 3; step++) await done(edge.sealift("open", ref, "-o", out()))
    for (let step = 0; step < 3; step++) {
      await done(fleet.anchor.sealift("fleet", "group", "add", `step-${step}`, edge.peerId))
    }
    expect(await hasCaughtUp(edge)).toBe(true)
    const told = await eventsOf(edge)
    expect(told.filter(({ event }) => event === "release.opened").length).toBe(3)
    // So that it has told how far it came: at its next start it does so first of all.
    await edge.stop()
    edge = await startNode(workspace, { name: "edge" })
    expect(await hasCaughtUp(edge)).toBe(true)
    expect((await statusOf(edge)).blocked).toEqual([])
    await edge.stop()
    await rm(edge.data, { recursive: true })
    await cp(copy, edge.data, { recursive: true })
    edge = await startNode(workspace, { name: "edge" })
    const isNamed = async () =>
      (await eventsOf(edge)).some(({ event }) => event === "node.restored")
    expect(await pollUntil(isNamed, HEARD_MS)).toBe(true)
    const [begun] = await eventsOf(edge)
    expect(begun).toMatchObject({
      event: "log.begun",
      facts: { after: "restored", incarnation: 2, root: expect.stringMatching(/^[0-9a-f]{64}$/) },
    })
    expect(Number(begun!.facts.size)).toBeGreaterThan(told.length)
    const aside = readdirSync(edge.data).filter((name) => name.startsWith("log.restored-"))
    expect(aside.length).toBe(1)
    await done(edge.sealift("log", "--verify"))
    expect(await hasCaughtUp(edge)).toBe(true)
    expect((await statusOf(edge)).blocked).toEqual([])
    await done(edge.sealift("open", ref, "-o", out()))
  }, 240_000)

  test("of a node that was merely off is held up by nothing", async () => {
    await edge.stop()
    const ref = await approved("meanwhile")
    edge = await startNode(workspace, { name: "edge" })
    expect(await hasCaughtUp(edge)).toBe(true)
    await done(edge.sealift("open", ref, "-o", out()))
    expect((await statusOf(edge)).blocked).toEqual([])
  }, 120_000)
})

describe("a data directory that runs twice", () => {
  test("is blocked in both places, where what runs goes on, until one of them is started alone", async () => {
    const ref = await approved("twice")
    await edge.stop()
    await copyOf(edge, "edge-copy")
    edge = await startNode(workspace, { name: "edge" })
    const copy = await startNode(workspace, { name: "edge-copy" })
    expect(copy.peerId).toBe(edge.peerId)
    for (const node of [edge, copy]) {
      expect(await isBlocked(node, "NODE_CLONED")).toBe(true)
      const path = out()
      const line = await refused(node.sealift("open", ref, "-o", path), "NODE_CLONED")
      expect(line).toContain(edge.peerId)
      expect(existsSync(path)).toBe(false)
      const { stdout, stderr } = await node.sealift("releases")
      expect(stdout).toMatch(/^acme\/twice@1 +blocked /m)
      expect(stderr).toContain("[NODE_CLONED]")
      expect((await statusOf(node)).peerCount).toBeGreaterThan(0)
    }
    expect((await eventsOf(edge)).map(({ event }) => event)).toContain("node.blocked")
    await copy.stop()
    // As the guide says it: from then on it is a node of its own.
    for (const part of ["identity", "fleet", "releases", "log"]) {
      await rm(join(copy.data, part), { recursive: true })
    }
    const own = await fleet.join("edge-copy", "--group", "edge")
    expect(own.peerId).not.toBe(edge.peerId)
    expect((await statusOf(edge)).blocked[0]?.code).toBe("NODE_CLONED")
    expect((await statusOf(own)).blocked).toEqual([])
    await own.stop()
    await edge.stop()
    edge = await startNode(workspace, { name: "edge" })
    expect(await hasCaughtUp(edge)).toBe(true)
    expect(await isBlocked(edge, undefined)).toBe(true)
    await done(edge.sealift("open", ref, "-o", out()))
  }, 240_000)
})
