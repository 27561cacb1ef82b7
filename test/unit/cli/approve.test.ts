/** `sealift approve`: a real bundle, real key files, with a node and without one. */
import { readdir, readFile, rm, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest"
import { writeDeviceFiles } from "../../../src/fleet/device-file.ts"
import { createMemoryHub } from "../../../src/net/memory-network.ts"
import { parseApprovalFile } from "../../../src/release/approval-file.ts"
import { readEvidence } from "../../../src/release/evidence.ts"
import { openWorkspace, type Workspace } from "../../support/workspace.ts"
import { openReleaseWorld, type ReleaseWorld } from "../api/release-world.ts"
import {
  deviceOf,
  FleetScene,
  findModel,
  request,
  sceneNode,
  watch,
} from "../release/fleet-scene.ts"
import { type CommandWorld, openCommandWorld, runSealift } from "./command-world.ts"

const REF = "acme/model@1"
const OWNER = deviceOf("owner")
let workspace: Workspace
let bundle: Uint8Array
let fleet: string
let folder: string
const at = (name: string) => join(folder, name)

beforeAll(async () => {
  workspace = openWorkspace("approve-command")
  const asset = await workspace.folder("asset")
  await writeFile(join(asset, "a"), "x")
  // The command line looks at the machine's clock.
  const scene = await FleetScene.create({ peers: [] }, Date.now() - 1_000)
  const node = await sceneNode(scene, createMemoryHub().join(), await workspace.folder("node"))
  await node.publisher.publish(request([asset], { audience: ["edge"] }), watch())
  bundle = await node.bundles.export(findModel(node))
  fleet = scene.fleet
})
afterAll(() => workspace.close())

beforeEach(async () => {
  folder = await workspace.folder(`run-${Math.random()}`)
  await writeFile(at("m.release"), bundle)
  await writeDeviceFiles(OWNER, at("owner.key"))
})

const apart = (...more: readonly string[]) =>
  runSealift(["approve", "--release", at("m.release"), "--key", at("owner.key"), ...more])

describe("apart from any node", () => {
  test("gives a file with what the device signed, and says what that was", async () => {
    const { code, stdout, stderr } = await apart("--out", at("owner.approval"))
    expect({ code, stdout }).toEqual({ code: 0, stdout: `wrote ${at("owner.approval")}\n` })
    for (const part of [fleet, "FIRST TIME", "group:edge", "owner", "approve --import"]) {
      expect(stderr).toContain(part)
    }
    const { approval, grants } = parseApprovalFile(await readFile(at("owner.approval")))
    const read = readEvidence(approval, { keys: new Set([OWNER.key]), fleet })
    expect(read).toMatchObject({ kind: "approval", approval: { said: { party: "owner" } } })
    expect(grants).toBeDefined()
    expect((await readdir(folder)).toSorted()).toContain("owner.key.fleet")
  })

  test("prints what would be signed before that, and remembers nothing of it", async () => {
    const argv = ["inspect", "--release", at("m.release"), "--key", at("owner.key")]
    const { code, stdout } = await runSealift(argv)
    expect(code).toBe(0)
    expect(stdout).toMatch(/release +acme\/model@1\nas +owner\n/)
    expect((await readdir(folder)).includes("owner.key.fleet")).toBe(false)
    const keyless = await runSealift(["inspect", "--release", at("m.release"), "--json"])
    expect(JSON.parse(keyless.stdout)).toMatchObject({ fleet, isFirst: true })
  })

  test("refuses another fleet than the one that is expected", async () => {
    const { code, stderr } = await apart("--out", at("x"), "--fleet", "0".repeat(64))
    expect({ code, stderr }).toEqual({ code: 3, stderr: expect.stringContaining("[FLEET_WRONG]") })
    expect((await readdir(folder)).includes("x")).toBe(false)
  })

  test("refuses a device of no party, a broken file, and to write over a file", async () => {
    await writeDeviceFiles({ ...deviceOf("owner"), party: "safety" }, at("wrong.key"))
    const wrong = ["approve", "--release", at("m.release"), "--key", at("wrong.key")]
    const stranger = await runSealift([...wrong, "--out", at("x")])
    expect(stranger).toMatchObject({ code: 3 })
    expect(stranger.stderr).toContain("[DEVICE_NOT_OF_PARTY]")
    await writeFile(at("there"), "mine")
    expect((await apart("--out", at("there"))).stderr).toContain("[OUTPUT_EXISTS]")
    expect(await readFile(at("there"), "utf8")).toBe("mine")
    await writeFile(at("m.release"), bundle.subarray(0, 1000))
    expect((await apart("--out", at("x"))).stderr).toContain("[BUNDLE_INVALID]")
  })

  test.each([
    [["approve"]],
    [["approve", REF, "--import", "a"]],
    [["approve", "--release", "m.release", "--import", "a"]],
    [["approve", "--release", "m.release", "--key", "k"]],
    [["approve", REF]],
    [["inspect", REF, "--release", "m.release"]],
  ])("%j is bad usage", async (argv) => {
    const { code, stderr } = await runSealift(argv)
    expect({ code, stderr }).toEqual({ code: 2, stderr: expect.stringContaining("USAGE_INVALID") })
  })
})

describe("through a node", () => {
  let rooms: ReleaseWorld
  let world: CommandWorld
  let nodeFleet: string
  beforeEach(async () => {
    rooms = await openReleaseWorld()
    await rooms.arrive(1)
    nodeFleet = fleet
    const { desk } = rooms.fleet
    const report = async () => ({ ...(await desk.report()), fleet: nodeFleet })
    const bundles = { ...rooms.releases.bundles, export: async () => bundle }
    world = await openCommandWorld({
      fleet: { ...rooms.fleet, desk: { ...desk, report } },
      releases: { ...rooms.releases, bundles },
    })
  })
  afterEach(() => world.close())
  const given = () => rooms.calls.filter(([act]) => act === "addApproval")

  test("gives the node what the device signed; the key stays where it is", async () => {
    const { code, stdout, stderr } = await world.run("approve", REF, "--key", at("owner.key"))
    expect({ code, stdout }).toEqual({ code: 0, stdout: `owner approved ${REF}\n` })
    expect(stderr).toContain("waiting for safety")
    const [, envelope, grants] = given()[0]!
    const trust = { keys: new Set([OWNER.key]), fleet }
    expect(readEvidence(envelope as Uint8Array, trust).kind).toBe("approval")
    expect(grants).toBeInstanceOf(Uint8Array)
  })

  test("takes in an approval that was made apart", async () => {
    await apart("--out", at("owner.approval"))
    const { code, stdout } = await world.run("approve", "--import", at("owner.approval"))
    expect({ code, stdout }).toEqual({ code: 0, stdout: `owner approved ${REF}\n` })
    expect(given()).toHaveLength(1)
  })

  test("approves nothing that is not of the node's own fleet", async () => {
    nodeFleet = "1".repeat(64)
    const { code, stderr } = await world.run("approve", REF, "--key", at("owner.key"))
    expect({ code, stderr }).toEqual({ code: 3, stderr: expect.stringContaining("[FLEET_WRONG]") })
    expect(given()).toEqual([])
  })

  test("withdraws in the name of the party whose key it is", async () => {
    const argv = ["withdraw", REF, "--reason", "a wrong licence", "--key", at("owner.key")]
    expect((await world.run(...argv)).code).toBe(0)
    const [, sequence, reason, envelope] = rooms.calls.find(([act]) => act === "withdraw")!
    expect([sequence, reason]).toEqual([1, "a wrong licence"])
    const read = readEvidence(envelope as Uint8Array, {
      keys: new Set([OWNER.key]),
      fleet: "ab".repeat(32),
    })
    expect(read).toMatchObject({
      kind: "withdrawal",
      said: { said: { reason: "a wrong licence" } },
    })
    await rm(at("owner.key"))
    expect((await world.run(...argv)).stderr).toContain("no such file")
  })
})
