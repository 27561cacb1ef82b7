/**
 * Row 13 with real nodes: a node whose only peer gives it nothing new learns from what this same peer
 * carries of the fleet's witnesses that it is held back.
 */
import { randomBytes } from "node:crypto"
import { existsSync, readFileSync } from "node:fs"
import { mkdir, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import type { StatusReport } from "../../src/api/api.ts"
import { pollUntil } from "../support/process.ts"
import { done, ReleaseFleet, refused } from "../support/release-fleet.ts"
import { type NodeOptions, type SealiftNode, startNode } from "../support/sealift-node.ts"
import { openWorkspace, type Workspace } from "../support/workspace.ts"

const PARTIES = ["owner"] as const
const HEARD_MS = 60_000
const HURRY = {
  NODE_OPTIONS: `--import=${fileURLToPath(new URL("../support/eclipsed-node.ts", import.meta.url))}`,
}

let workspace: Workspace
let fleet: ReleaseFleet
/** Two witnesses that are honest, beside the first node. */
let honest: readonly SealiftNode[]
/** A witness, too, and the only peer of the node at the edge. */
let carrier: SealiftNode
let edge: SealiftNode
let later: string
let opened = 0

const out = () => fleet.path(`opened-${opened++}`)
const asJson = async <T>(node: SealiftNode, ...argv: readonly string[]): Promise<T> =>
  JSON.parse(await done(node.sealift(...argv, "--json"))) as T
const statusOf = (node: SealiftNode) => asJson<StatusReport>(node, "status")
const accessVersion = async (node: SealiftNode) =>
  (await asJson<{ readonly accessVersion: number }>(node, "fleet", "show")).accessVersion
const isSoon = (isSo: () => Promise<boolean>) => pollUntil(isSo, HEARD_MS)

async function eventsOf(node: SealiftNode, event: string): Promise<readonly unknown[]> {
  const lines = (await done(node.sealift("log", "--count", "1000", "--json"))).split("\n")
  const logged = lines.map((line) => JSON.parse(line) as { event: string; facts: unknown })
  return logged.filter((one) => one.event === event).map(({ facts }) => facts)
}

/** What witnesses have said of the access list, as far as a node keeps it. */
function saidAt({ data }: SealiftNode): readonly number[] {
  const path = join(data, "fleet", "beacons.json")
  if (!existsSync(path)) return []
  const kept = JSON.parse(readFileSync(path, "utf8")) as { beacons: { statement: string }[] }
  return kept.beacons.map(({ statement }) => {
    const { payload } = JSON.parse(Buffer.from(statement, "base64").toString("utf8"))
    return JSON.parse(Buffer.from(payload, "base64").toString("utf8")).predicate.access
  })
}

/** Publishes a release to the group at the edge, and approves it. */
async function approved(name: string): Promise<string> {
  const model = join(await workspace.folder(name), "model")
  await mkdir(model)
  await writeFile(join(model, "a.safetensors"), randomBytes(100_000))
  const flags = ["--seal", "--audience", "edge"]
  const ref = await done(fleet.anchor.sealift("publish", `acme/${name}`, model, ...flags))
  await fleet.approve(fleet.anchor, ref, PARTIES)
  return ref
}

async function again(node: SealiftNode, options: Partial<NodeOptions>): Promise<SealiftNode> {
  await node.stop()
  return await startNode(workspace, { name: node.name, ...options })
}

beforeAll(async () => {
  workspace = openWorkspace("eclipse")
  later = join(workspace.root, "later")
  fleet = await ReleaseFleet.found(workspace, { parties: PARTIES, env: HURRY })
  honest = [
    await fleet.joinAs({ name: "north", env: HURRY }),
    await fleet.joinAs({ name: "east", env: HURRY }),
  ]
  carrier = await fleet.joinAs({ name: "carrier", env: HURRY })
  edge = await fleet.joinAs({ name: "edge", env: HURRY }, "--group", "edge")
  const witnesses = [fleet.anchor, ...honest, carrier]
  const flags = witnesses.flatMap(({ peerId }) => ["--node", peerId])
  await done(fleet.anchor.sealift("fleet", "witness", "set", ...flags))
}, 180_000)
afterAll(() => workspace.close())

describe("a node whose only peer gives it nothing new, and carries what witnesses say", () => {
  let first: string
  let next: string

  test("hears the witnesses, and works", async () => {
    first = await approved("first")
    next = await approved("next")
    await done(edge.sealift("open", first, "-o", out()))
    await done(edge.sealift("stage", next))
    const newest = await accessVersion(fleet.anchor)
    const isThere = async () =>
      (await accessVersion(edge)) === newest && (await accessVersion(carrier)) === newest
    expect(await isSoon(isThere)).toBe(true)
    const peers = fleet.anchor.p2p
    carrier = await again(carrier, { peers, env: { ...HURRY, ECLIPSE_OLD: "1" } })
    edge = await again(edge, {
      peers: carrier.p2p,
      env: { ...HURRY, ECLIPSE_ONLY: carrier.peerId, ECLIPSE_LATER: later },
    })
    expect(await isSoon(async () => saidAt(edge).length === 4)).toBe(true)
    const { blocked, warnings, peerCount } = await statusOf(edge)
    expect({ blocked, warnings, peerCount }).toEqual({ blocked: [], warnings: [], peerCount: 1 })
  }, 240_000)

  test("says that it is held back, in its status and its log, and opens nothing", async () => {
    await done(fleet.anchor.sealift("fleet", "group", "add", "lab", honest[0]!.peerId))
    const newest = await accessVersion(fleet.anchor)
    const isTold = async () => saidAt(edge).filter((version) => version === newest).length === 3
    expect(await isSoon(isTold)).toBe(true)
    expect(await accessVersion(edge)).toBeLessThan(newest)
    expect((await statusOf(edge)).blocked).toEqual([])
    await writeFile(later, "")
    const isHeldBack = async () => (await statusOf(edge)).blocked[0]?.code === "FLEET_HELD_BACK"
    expect(await isSoon(isHeldBack)).toBe(true)
    const text = await done(edge.sealift("status"))
    expect(text).toMatch(/^blocked +[23] of the fleet's 4 witnesses have .+ \[FLEET_HELD_BACK\]$/m)
    await refused(edge.sealift("open", next, "-o", out()), "FLEET_HELD_BACK")
    const isLogged = async () => (await eventsOf(edge, "fleet.held-back")).length > 0
    expect(await isSoon(isLogged)).toBe(true)
    expect(await eventsOf(edge, "fleet.held-back")).toEqual([
      { witnesses: expect.any(Number), of: 4, lacks: expect.stringMatching(/timestamp.* access/) },
    ])
  }, 240_000)

  test("goes on once what is new has come by another way", async () => {
    const files = fleet.path("lab.fleet")
    await done(fleet.anchor.sealift("fleet", "export", "--out", files))
    await done(edge.sealift("fleet", "import", files))
    expect((await statusOf(edge)).blocked).toEqual([])
    const isLogged = async () => (await eventsOf(edge, "fleet.caught-up")).length === 1
    expect(await isSoon(isLogged)).toBe(true)
  }, 120_000)
})
