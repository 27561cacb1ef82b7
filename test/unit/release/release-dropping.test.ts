/** A namespace's list has bounds: what has ended or was withdrawn goes, what lives stays. */
import { writeFile } from "node:fs/promises"
import { join } from "node:path"
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest"
import { createMemoryHub } from "../../../src/net/memory-network.ts"
import { assetOfPath } from "../../../src/release/release-listing.ts"
import { openWorkspace, type Workspace } from "../../support/workspace.ts"
import { FleetScene, request, type SceneNode, sceneNode, watch } from "./fleet-scene.ts"

let workspace: Workspace
let asset: string
let scene: FleetScene
let node: SceneNode
let count = 0

beforeAll(async () => {
  workspace = openWorkspace("dropping")
  asset = await workspace.folder("asset")
  await writeFile(join(asset, "a"), "x")
})
afterAll(() => workspace.close())
beforeEach(async () => {
  scene = await FleetScene.create()
  const folder = await workspace.folder(`node-${++count}`)
  node = await sceneNode(scene, createMemoryHub().join(), folder, { listedMax: 3 })
})

async function publish(name: string, lifeMs = 1_000_000): Promise<void> {
  await scene.clock.advance(1)
  const plain = { visibility: "fleet", audience: [] } as const
  await node.publisher.publish(request([asset], { name, lifeMs, ...plain }), watch())
}
const listed = () =>
  node.member
    .targets()
    .flatMap(({ path }) => assetOfPath(path) ?? [])
    .map(({ name, sequence }) => `${name}@${sequence}`)
    .sort()

test("that has room drops nothing, and one that has none drops nothing that lives", async () => {
  await publish("a", 10)
  await publish("a")
  await scene.clock.advance(100)
  await publish("a")
  expect(listed()).toEqual(["a@1", "a@2", "a@3"])
  await publish("a")
  expect(listed()).toEqual(["a@2", "a@3", "a@4"])
  await publish("a")
  expect(listed()).toEqual(["a@2", "a@3", "a@4", "a@5"])
})

test("drops the oldest first, withdrawn ones too, and as few as it can", async () => {
  for (const lifeMs of [10, 10, 10]) await publish("a", lifeMs)
  await scene.clock.advance(100)
  await publish("a")
  expect(listed()).toEqual(["a@2", "a@3", "a@4"])
  const known = node.book.find({ namespace: "acme", name: "a", sequence: 4 })!
  await node.publisher.withdraw(known, "it was wrong", undefined)
  await publish("a")
  await publish("a")
  expect(listed()).toEqual(["a@4", "a@5", "a@6"])
  await publish("a")
  expect(listed()).toEqual(["a@5", "a@6", "a@7"])
})

test("keeps the newest of each name, so that no sequence is used twice", async () => {
  for (const name of ["a", "b", "c"]) await publish(name, 10)
  await scene.clock.advance(100)
  await publish("d")
  expect(listed()).toEqual(["a@1", "b@1", "c@1", "d@1"])
  await publish("a")
  expect(listed()).toEqual(["a@1", "a@2", "b@1", "c@1", "d@1"])
  await publish("a")
  expect(listed()).toEqual(["a@2", "a@3", "b@1", "c@1", "d@1"])
})
