/** Which secrets of groups releases need: nothing that may still be opened loses one. */
import { writeFile } from "node:fs/promises"
import { join } from "node:path"
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest"
import { createMemoryHub } from "../../../src/net/memory-network.ts"
import { ReleaseEpochNeeds } from "../../../src/release/epoch-needs.ts"
import { GateGrantFiles } from "../../../src/release/gate-grant-files.ts"
import type { PublishRequest } from "../../../src/release/releases.ts"
import { openWorkspace, type Workspace } from "../../support/workspace.ts"
import {
  DAY_MS,
  FleetScene,
  newPeer,
  request,
  type SceneNode,
  sceneNode,
  watch,
} from "./fleet-scene.ts"

const { signal } = new AbortController()
let workspace: Workspace
let asset: string
let scene: FleetScene
let node: SceneNode
let needs: ReleaseEpochNeeds
let files: GateGrantFiles
let count = 0

beforeAll(async () => {
  workspace = openWorkspace("epoch-needs")
  asset = await workspace.folder("asset")
  await writeFile(join(asset, "a"), "x")
})
afterAll(() => workspace.close())
beforeEach(async () => {
  scene = await FleetScene.create({ peers: [await newPeer()] })
  node = await sceneNode(scene, createMemoryHub().join(), await workspace.folder(`node-${++count}`))
  files = new GateGrantFiles(node.files)
  needs = new ReleaseEpochNeeds({ membership: node.member, book: node.book, files })
})

const publish = (name: string, change: Partial<PublishRequest> = {}) =>
  node.publisher.publish(request([asset], { name, ...change }), watch())
const earliest = async (whose: "own" | "all" = "all") =>
  Object.fromEntries(await needs.earliest(whose, { signal }))
const find = (name: string) => node.book.find({ namespace: "acme", name })!

describe("a release", () => {
  test("needs the epoch that it names, and the earliest of several counts", async () => {
    expect(await earliest()).toEqual({})
    await publish("a")
    await scene.publishAccess({ epoch: 2 })
    await node.catchUp()
    await publish("b")
    expect(await earliest()).toEqual({ edge: 1 })
    await node.publisher.withdraw(find("a"), "wrong", undefined)
    expect(await earliest()).toEqual({ edge: 2 })
  })

  test("that is for nodes alone, or not sealed, needs none", async () => {
    const { peer } = scene.state.peers[0]!
    await publish("a", { audience: [`node:${peer}`] })
    await publish("b", { visibility: "fleet", audience: [] })
    expect(await earliest()).toEqual({})
  })

  test("that has ended needs none, two days later", async () => {
    await publish("a", { lifeMs: DAY_MS })
    await scene.clock.advance(2 * DAY_MS)
    expect(await earliest()).toEqual({ edge: 1 })
    await scene.clock.advance(DAY_MS + 1)
    expect(await earliest()).toEqual({})
  })

  test("that is open on this node needs none for it, and for others as before", async () => {
    await publish("a")
    await files.writeOpenedAt(find("a").release.said.asset, "/srv/a")
    expect(await earliest("own")).toEqual({})
    expect(await earliest("all")).toEqual({ edge: 1 })
  })

  test("that is listed and refused here so far needs it all the same", async () => {
    await publish("a")
    const other = await sceneNode(
      scene,
      createMemoryHub().join(),
      await workspace.folder(`other-${count}`),
    )
    const nothing = { list: () => [], find: () => undefined, decide: other.book.decide }
    needs = new ReleaseEpochNeeds({ membership: other.member, book: nothing, files })
    expect(await earliest("own")).toEqual({ edge: 1 })
  })

  test("whose file cannot be had leaves it open what is needed", async () => {
    await publish("a")
    const fault = new Error("nobody has it")
    const membership = {
      fleet: node.member.fleet,
      nowMs: () => node.member.nowMs(),
      targets: () => node.member.targets(),
      readTarget: () => Promise.reject(fault),
    }
    const nothing = { list: () => [], find: () => undefined, decide: node.book.decide }
    needs = new ReleaseEpochNeeds({ membership, book: nothing, files })
    await expect(earliest()).rejects.toThrow(fault)
  })
})
