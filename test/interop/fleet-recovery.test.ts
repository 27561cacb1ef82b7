/**
 * Who of a fleet of processes opens what when somebody came late, was revoked, was not named, or lost
 * a device. Desk and anchors: fleet-partition.test.ts.
 */
import { randomBytes } from "node:crypto"
import { existsSync } from "node:fs"
import { mkdir, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { pollUntil } from "../support/process.ts"
import { digestsOf, done, ReleaseFleet, refused } from "../support/release-fleet.ts"
import { type SealiftNode, startNode } from "../support/sealift-node.ts"
import { openWorkspace, type Workspace } from "../support/workspace.ts"

const PARTIES = ["owner", "safety"] as const
const HEARD_MS = 15_000

let workspace: Workspace
let fleet: ReleaseFleet
let model: string
/** A second anchor, without any role's key. */
let second: SealiftNode
/** Members of the group `edge`. */
let edge: SealiftNode
let leaving: SealiftNode
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

/** Gives the digests of the blobs of a node. */
async function blobsOf(node: SealiftNode): Promise<readonly string[]> {
  const lines = (await done(node.sealift("ls", "--blobs", "--json"))).split("\n")
  return lines.map((line) => JSON.parse(line).digest as string).toSorted()
}

beforeAll(async () => {
  workspace = openWorkspace("fleet-recovery")
  model = join(await workspace.folder("asset"), "model")
  await mkdir(model)
  await writeFile(join(model, "a.safetensors"), randomBytes(1_000_000))
  await writeFile(join(model, "config.json"), '{"layers":2}\n')
  fleet = await ReleaseFleet.found(workspace, { parties: PARTIES })
  edge = await fleet.join("edge", "--group", "edge")
  leaving = await fleet.join("leaving", "--group", "edge")
  second = await fleet.join("second")
  await done(fleet.anchor.sealift("fleet", "admit", second.peerId, "--anchor"))
}, 120_000)
afterAll(() => workspace.close())

describe("a release to a group", () => {
  test("is opened by who joins after two revocations, with no party at hand", async () => {
    const { anchor } = fleet
    const gone = await fleet.join("gone", "--group", "edge")
    // By this one it comes to keep the secret of the group.
    const first = await publish(anchor, "first", "edge")
    await fleet.approve(anchor, first, PARTIES)
    await opens(leaving, first)
    const ref = await publish(anchor, "grouped", "edge")
    await fleet.approve(anchor, ref, PARTIES)
    await done(leaving.sealift("stage", ref))
    expect(await isState(leaving, ref, "approved")).toBe(true)
    await done(anchor.sealift("fleet", "revoke", gone.peerId))
    // It staged the release and has every approval, but was never gated to.
    await done(anchor.sealift("fleet", "revoke", leaving.peerId))
    const late = await fleet.join("late", "--group", "edge")
    await opens(late, ref)
    const out = fleet.path("lost")
    const startMs = performance.now()
    const shut = await leaving.sealift("open", ref, "-o", out)
    expect(shut.stderr).toMatch(/\[(GATE_MISSING|GATE_REFUSED|NOT_GRANTED|NOT_IN_AUDIENCE)\]/)
    expect(existsSync(out)).toBe(false)
    const tookMs = Math.round(performance.now() - startMs)
    console.info(`revoked, all staged and approved: ${shut.stderr.trim()} after ${tookMs} ms`)
    await Promise.all([gone.stop(), leaving.stop(), late.stop()])
  })
})

describe("a release to named nodes", () => {
  test("is refused to who was not named, and mended by one more approval of each party", async () => {
    const { anchor } = fleet
    const away = await startNode(workspace, { name: "away" })
    await done(anchor.sealift("fleet", "admit", away.peerId))
    const named = [`node:${edge.peerId}`, `node:${away.peerId}`]
    const ref = await publish(anchor, "strict", ...named)
    // Nobody has a key of the node that is away, so the approvals skip it.
    await fleet.approve(anchor, ref, PARTIES)
    await opens(edge, ref)
    await staysShut(second, ref, "NOT_IN_AUDIENCE")
    const { fleet: id } = JSON.parse(await done(anchor.sealift("fleet", "show", "--json")))
    await done(away.sealift("fleet", "join", `${id}@${anchor.p2p[0]}`))
    const line = await staysShut(away, ref, "NOT_GRANTED")
    expect(line).toMatch(/owner.*safety/)
    await fleet.approve(anchor, ref, ["owner"])
    const half = await staysShut(away, ref, "NOT_GRANTED")
    expect(half).not.toContain("owner")
    await fleet.approve(anchor, ref, ["safety"])
    await opens(away, ref)
    await away.stop()
  })
})

describe("a party whose device is lost", () => {
  test("gets a new one by policy, and the files are issued anew without being moved", async () => {
    const { anchor } = fleet
    const ref = await publish(anchor, "lost", "edge")
    await done(edge.sealift("stage", ref))
    await fleet.approve(anchor, ref, ["owner"])
    await fleet.makeParty("safety", "newer")
    const parties = ["--party", `owner=${fleet.keyOf("owner")}.pub`]
    const named = [...parties, "--party", `safety=${fleet.keyOf("newer")}.pub`]
    await done(anchor.sealift("fleet", "policy", "set", "acme", ...named))
    await staysShut(edge, ref, "POLICY_NOT_CURRENT")
    const next = await done(
      anchor.sealift("publish", "acme/lost", "--reissue", "1", "--audience", "edge"),
    )
    expect(next).toBe("acme/lost@2")
    const before = await blobsOf(edge)
    await fleet.approve(anchor, next, ["owner", "newer"])
    const late = anchor.sealift("approve", next, "--key", fleet.keyOf("safety"))
    await refused(late, "DEVICE_NOT_OF_PARTY")
    await opens(edge, next)
    expect(await blobsOf(edge)).toEqual(before)
  })
})
