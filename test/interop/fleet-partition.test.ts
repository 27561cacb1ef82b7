/**
 * What a fleet of processes still does while its desk, which is its first anchor, is away or lost, and
 * how it goes on elsewhere.
 */
import { randomBytes } from "node:crypto"
import { existsSync } from "node:fs"
import { cp, mkdir, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { createIdentity } from "../../src/net/identity.ts"
import { pollUntil } from "../support/process.ts"
import { apart, digestsOf, done, ReleaseFleet, refused } from "../support/release-fleet.ts"
import { type SealiftNode, startNode } from "../support/sealift-node.ts"
import { openWorkspace, type Workspace } from "../support/workspace.ts"

const PARTIES = ["owner", "safety"] as const
const HEARD_MS = 15_000

let workspace: Workspace
let fleet: ReleaseFleet
let model: string
/** A second anchor, without any role's key. */
let second: SealiftNode
/** A member of the group `edge`. */
let edge: SealiftNode
let opened = 0

/** Publishes for an audience, by the node that has the keys. */
async function publish(node: SealiftNode, name: string, ...audience: string[]): Promise<string> {
  const flags = audience.flatMap((entry) => ["--audience", entry])
  return done(node.sealift("publish", `acme/${name}`, model, "--seal", ...flags))
}

/** Opens a release and checks that every byte is there. */
async function opens(node: SealiftNode, ref: string): Promise<void> {
  const out = fleet.path(`opened-${opened++}`)
  await done(node.sealift("open", ref, "-o", out))
  expect(await digestsOf(out)).toEqual(await digestsOf(model))
}

/** Tries to open a release; it must be refused with a code, and leave nothing. */
async function staysShut(node: SealiftNode, ref: string, code: string): Promise<string> {
  const out = fleet.path(`opened-${opened++}`)
  const line = await refused(node.sealift("open", ref, "-o", out), code)
  expect(existsSync(out)).toBe(false)
  return line
}

const isState = (node: SealiftNode, ref: string, state: string) =>
  pollUntil(async () => {
    const { stdout } = await node.sealift("releases", ref, "--json")
    return stdout.includes(`"${state}"`)
  }, HEARD_MS)

async function accessVersion(node: SealiftNode): Promise<number> {
  return JSON.parse(await done(node.sealift("fleet", "show", "--json"))).accessVersion
}

async function restart(
  node: SealiftNode,
  peers: readonly SealiftNode[] = [],
): Promise<SealiftNode> {
  await node.stop()
  return startNode(workspace, { name: node.name, peers: peers.flatMap(({ p2p }) => p2p) })
}

beforeAll(async () => {
  workspace = openWorkspace("fleet-partition")
  model = join(await workspace.folder("asset"), "model")
  await mkdir(model)
  await writeFile(join(model, "a.safetensors"), randomBytes(1_000_000))
  await writeFile(join(model, "config.json"), '{"layers":2}\n')
  fleet = await ReleaseFleet.found(workspace, { parties: PARTIES })
  edge = await fleet.join("edge", "--group", "edge")
  second = await fleet.join("second")
  await done(fleet.anchor.sealift("fleet", "admit", second.peerId, "--anchor"))
}, 120_000)
afterAll(() => workspace.close())

describe("without the desk", () => {
  /** Staged on the island, which was away while it was approved. */
  let granted: string
  /** One approval is missing when the desk goes. */
  let half: string
  let island: SealiftNode

  test("what was published is approved by file, granted and opened in any order", async () => {
    const { anchor } = fleet
    island = await fleet.join("island", "--group", "edge")
    granted = await publish(anchor, "granted", "edge")
    half = await publish(anchor, "half", "edge")
    const first = await publish(anchor, "first", "edge")
    await fleet.approve(anchor, first, PARTIES)
    // So the gate's keeper comes to know the island's key: it is had from nowhere else.
    await opens(island, first)
    for (const ref of [granted, half]) {
      await done(edge.sealift("stage", ref))
      await done(island.sealift("stage", ref))
      await done(second.sealift("stage", ref))
    }
    await island.stop()
    await fleet.approve(anchor, granted, PARTIES)
    await fleet.approve(anchor, half, ["owner"])
    expect(await isState(edge, granted, "approved")).toBe(true)
    const isHalf = async () => {
      const { stderr } = await edge.sealift("open", half, "-o", fleet.path("none"))
      return stderr.includes('waiting for "safety"')
    }
    expect(await pollUntil(isHalf, HEARD_MS)).toBe(true)
    const grant = fleet.path("gate.grant")
    await done(anchor.sealift("gate", "grant", granted, "--node", island.peerId, "--out", grant))
    const bundle = fleet.path("half.release")
    const approval = fleet.path("safety.approval")
    await anchor.stop()
    island = await restart(island, [edge, second])
    await done(island.sealift("gate", "import", grant))
    await opens(island, granted)
    await done(edge.sealift("release", "export", half, "--out", bundle))
    const key = fleet.keyOf("safety")
    await done(apart("approve", "--release", bundle, "--key", key, "--out", approval))
    await done(edge.sealift("approve", "--import", approval))
    await staysShut(edge, half, "GATE_MISSING")
  })

  test("another node that takes the keeper's device opens it, too", async () => {
    const [device, out] = [join(fleet.anchor.data, "fleet", "gate.key"), fleet.path("gate.pub")]
    await done(second.sealift("gate", "key", "--import", device, "--out", out))
    const isOpen = async () =>
      (await edge.sealift("open", half, "-o", fleet.path("by-second"))).code === 0
    expect(await pollUntil(isOpen, HEARD_MS)).toBe(true)
    expect(await digestsOf(fleet.path("by-second"))).toEqual(await digestsOf(model))
    await opens(island, half)
  })

  test("a new release is refused, with who can do it", async () => {
    const publishing = second.sealift("publish", "acme/new", model, "--seal", "--audience", "edge")
    const line = await refused(publishing, "ROLE_KEY_MISSING")
    console.info(`publishing without the desk: ${line.trim()}`)
    await refused(second.sealift("fleet", "invite"), "ROLE_KEY_MISSING")
    await refused(second.sealift("fleet", "desk", "take"), "ROLE_KEY_MISSING")
  })

  test("the desk is taken by a node that gets its keys, and all goes on there", async () => {
    const before = await accessVersion(edge)
    await cp(join(fleet.anchor.data, "fleet", "keys"), join(second.data, "fleet", "keys"), {
      recursive: true,
    })
    await done(second.sealift("fleet", "desk", "take"))
    const token = await done(second.sealift("fleet", "invite", "--group", "edge"))
    const newcomer = await startNode(workspace, { name: "newcomer" })
    await done(newcomer.sealift("fleet", "join", token))
    // The first anchor is lost: its secrets of groups and the gate's share come from the second one.
    await opens(newcomer, granted)
    const heard = async () => (await accessVersion(edge)) > before
    expect(await pollUntil(heard, HEARD_MS)).toBe(true)
    const third = await startNode(workspace, { name: "third", peers: second.p2p })
    await done(second.sealift("fleet", "admit", third.peerId, "--anchor"))
    const ref = await publish(second, "new", "edge")
    await fleet.approve(second, ref, PARTIES)
    await opens(edge, ref)
    await Promise.all([newcomer.stop(), third.stop()])
  })

  test("the old desk comes back, learns what was signed meanwhile, and signs over it", async () => {
    fleet.anchor = await startNode(workspace, { name: "anchor", peers: second.p2p })
    const { anchor } = fleet
    const isKnown = async () => (await accessVersion(anchor)) === (await accessVersion(second))
    expect(await pollUntil(isKnown, HEARD_MS)).toBe(true)
    const before = await accessVersion(second)
    await done(anchor.sealift("fleet", "group", "add", "edge", second.peerId))
    expect(await pollUntil(async () => (await accessVersion(second)) > before, HEARD_MS)).toBe(true)
  })

  test("a site with no contact takes a new release in by file", async () => {
    await island.stop()
    const { anchor } = fleet
    await done(anchor.sealift("fleet", "admit", createIdentity().id))
    const ref = await publish(anchor, "carried", "edge")
    await fleet.approve(anchor, ref, PARTIES)
    const bundle = fleet.path("carried.release")
    const files = fleet.path("lab.fleet")
    await done(anchor.sealift("release", "export", ref, "--out", bundle))
    await done(anchor.sealift("fleet", "export", "--out", files))
    await Promise.all([anchor.stop(), second.stop(), edge.stop()])
    island = await startNode(workspace, { name: "island" })
    await refused(island.sealift("inspect", ref), "RELEASE_UNKNOWN")
    const before = await accessVersion(island)
    await done(island.sealift("fleet", "import", files))
    expect(await accessVersion(island)).toBeGreaterThan(before)
    await done(island.sealift("release", "import", bundle))
    expect(await isState(island, ref, "approved")).toBe(true)
  })

  test("a node that never met anybody is approved for and granted to by file", async () => {
    const stranger = await startNode(workspace, { name: "stranger" })
    const anchor = await startNode(workspace, { name: "anchor" })
    fleet.anchor = anchor
    await done(anchor.sealift("fleet", "desk", "take"))
    const [files, keys] = [fleet.path("unmet.fleet"), fleet.path("unmet.nodekeys")]
    await done(anchor.sealift("fleet", "admit", stranger.peerId))
    await done(anchor.sealift("fleet", "export", "--out", files))
    const id = JSON.parse(await done(anchor.sealift("fleet", "show", "--json"))).fleet
    await done(stranger.sealift("fleet", "join", id, "--files", files))
    await done(stranger.sealift("fleet", "node-key", "export", "--out", keys))
    await done(anchor.sealift("fleet", "node-key", "import", keys))
    const ref = await publish(anchor, "unmet", `node:${stranger.peerId}`)
    const [bundle, grant] = [fleet.path("unmet.release"), fleet.path("unmet.grant")]
    await done(anchor.sealift("release", "export", ref, "--out", bundle))
    for (const party of PARTIES) {
      const approval = fleet.path(`unmet.${party}`)
      const signs = ["--key", fleet.keyOf(party), "--out", approval]
      await done(apart("approve", "--release", bundle, ...signs))
      await done(anchor.sealift("approve", "--import", approval))
    }
    await done(anchor.sealift("gate", "grant", ref, "--node", stranger.peerId, "--out", grant))
    const whole = fleet.path("unmet-approved.release")
    await done(anchor.sealift("release", "export", ref, "--out", whole))
    await done(stranger.sealift("release", "import", whole))
    await done(stranger.sealift("gate", "import", grant))
    // Ciphertext comes from a node that can give nothing else: it keeps no gate, and is no anchor.
    edge = await startNode(workspace, { name: "edge", peers: anchor.p2p })
    await done(edge.sealift("stage", ref))
    await anchor.stop()
    await opens(await restart(stranger, [edge]), ref)
  })
})
