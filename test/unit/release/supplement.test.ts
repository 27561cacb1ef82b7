/** Late joiners of a strict audience: a second approval by each party mends what one before left out. */
import { readFile, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { summaryText } from "../../../src/cli/command/approval-text.ts"
import { codeOf } from "../../../src/core/errors.ts"
import { createMemoryHub } from "../../../src/net/memory-network.ts"
import type { Approval } from "../../../src/release/approval.ts"
import { approveBundle, inspectBundle, type MadeApproval } from "../../../src/release/approving.ts"
import type { DeviceHome } from "../../../src/release/device-pin.ts"
import { keysInside, readEvidence } from "../../../src/release/evidence.ts"
import { encodeGrantList, type Grant, readGrantList } from "../../../src/release/grant-list.ts"
import type { NodeOpener } from "../../../src/release/opener.ts"
import { encodeBundle, parseBundle } from "../../../src/release/release-bundle.ts"
import { openWorkspace, type Workspace } from "../../support/workspace.ts"
import {
  deviceOf,
  EPOCHS,
  FleetScene,
  findModel,
  memoryHome,
  NAMES,
  newPeer,
  OPEN_TO_ALL,
  request,
  type SceneNode,
  type ScenePeer,
  sceneNode,
  watch,
} from "./fleet-scene.ts"
import { sceneOpener } from "./scene-opener.ts"

let workspace: Workspace
let scene: FleetScene
let anchor: SceneNode
let late: SceneNode
let opener: NodeOpener
/** The node that had no key when the parties approved, and one that had. */
let peer: ScenePeer
let early: ScenePeer
let folder: string
const homes = new Map<string, DeviceHome>(NAMES.map((name) => [name, memoryHome()]))

const bundleOf = () => anchor.bundles.export(findModel(anchor))
const approve = async (name: string, change: { isWhole?: boolean; bundle?: Uint8Array } = {}) =>
  await approveBundle({
    ...{ bundle: await bundleOf(), nowMs: scene.clock.now() },
    ...{ device: deviceOf(name), home: homes.get(name)! },
    ...change,
  })
const hand = async (made: MadeApproval) => await anchor.book.addApproval(made.approval, made.grants)
async function open(name: string): Promise<{ code: unknown; holders?: unknown }> {
  try {
    await opener.open(findModel(late), join(folder, name), watch())
    return { code: "ok" }
  } catch (error) {
    const { details } = error as { details?: { holders?: unknown } }
    return { code: codeOf(error), holders: details?.holders }
  }
}
const said = (made: MadeApproval): { said: Approval; to: readonly string[] } => {
  const trust = { keys: keysInside(made.approval), fleet: scene.fleet }
  const evidence = readEvidence(made.approval, trust)
  if (evidence.kind !== "approval") throw new TypeError("no approval")
  const { grants } = readGrantList(made.grants!, evidence.approval)
  return { said: evidence.approval.said, to: grants.map(({ to }: Grant) => to) }
}

beforeAll(async () => {
  workspace = openWorkspace("supplement")
  folder = await workspace.folder("late")
  const asset = await workspace.folder("asset")
  await writeFile(join(asset, "a"), "weights")
  peer = await newPeer()
  early = await newPeer()
  const keeper = await newPeer()
  const hub = createMemoryHub()
  scene = await FleetScene.create({ peers: [peer, early, keeper], access: { rules: OPEN_TO_ALL } })
  anchor = await sceneNode(scene, hub.join({ id: keeper.peer }), await workspace.folder("anchor"))
  late = await sceneNode(scene, hub.join({ id: peer.peer }), folder)
  anchor.keys.set(early.peer, await scene.nodeKey(early))
  const source = anchor.store
  const device = deviceOf("keeper")
  await sceneOpener(scene, anchor, { source, device, folder: await workspace.folder("gate") })
  opener = await sceneOpener(scene, late, { source, folder, self: peer })
  for (const node of [anchor, late]) node.book.start()
  const audience = [`node:${early.peer}`, `node:${peer.peer}`]
  await anchor.publisher.publish(request([asset], { audience }), watch())
  await late.catchUp()
  hub.connectAll()
})
afterAll(() => {
  for (const node of [anchor, late]) node?.book.stop()
  return workspace.close()
})

describe("a node that had no key when the parties approved", () => {
  test("is named by each of them, and not granted to", async () => {
    for (const name of NAMES) {
      const made = await approve(name)
      expect(made.summary).toMatchObject({
        supplement: undefined,
        skipped: [{ entry: `node:${peer.peer}`, reason: "no-key" }],
      })
      expect(said(made).to).toEqual([`node:${early.peer}`])
      await hand(made)
    }
    expect(await open("first")).toEqual({ code: "NOT_GRANTED", holders: [...NAMES] })
  })

  test("is still not granted to while its key is not known: the others are, once more", async () => {
    const made = await approve("owner")
    expect(made.summary).toMatchObject({ supplement: undefined })
    expect(said(made).to).toEqual([`node:${early.peer}`])
  })

  test("opens once each party has made a supplement, and not before", async () => {
    anchor.keys.set(peer.peer, await scene.nodeKey(peer))
    for (const [index, name] of NAMES.entries()) {
      expect(await open(`before-${name}`)).toEqual({
        code: "NOT_GRANTED",
        holders: NAMES.slice(index),
      })
      const looked = await inspectBundle({
        ...{ bundle: await bundleOf(), nowMs: scene.clock.now() },
        ...{ device: deviceOf(name), home: homes.get(name)! },
      })
      expect(looked.supplement).toEqual([`node:${peer.peer}`])
      const made = await approve(name)
      expect(made.summary).toMatchObject({
        supplement: [`node:${peer.peer}`],
        skipped: [],
        lastSequence: 1,
      })
      expect(summaryText(made.summary)).toMatch(/SUPPLEMENT +for node:/)
      expect(said(made).to).toEqual([`node:${peer.peer}`])
      await hand(made)
    }
    expect(await open("out")).toEqual({ code: "ok" })
    expect(await readFile(join(folder, "out", "a"), "utf8")).toBe("weights")
    expect(anchor.book.evidence(findModel(anchor)).approvals).toHaveLength(6)
  })

  test("has its grant then: who approves once more does so for all", async () => {
    const both = [`node:${early.peer}`, `node:${peer.peer}`].sort()
    const made = await approve("owner")
    expect(made.summary.supplement).toBeUndefined()
    expect(said(made).to).toEqual(both)
  })
})

describe("a supplement", () => {
  /** A bundle with some of the approvals that the anchor has. */
  const bundleWith = async (
    choose: (
      all: ReturnType<typeof parseBundle>["approvals"],
    ) => ReturnType<typeof parseBundle>["approvals"],
  ) => {
    const bundle = parseBundle(await bundleOf())
    return encodeBundle({ ...bundle, approvals: choose(bundle.approvals) })
  }
  const supplementOf = async (
    name: string,
    choose: Parameters<typeof bundleWith>[0],
    isWhole = false,
  ) =>
    (await approve(name, { bundle: await bundleWith(choose), isWhole })).summary.supplement?.length

  test("is made from the device's own word only: what is not carried, or not its own, counts not", async () => {
    const onlyFirst = (all: Parameters<Parameters<typeof bundleWith>[0]>[0]) => all.slice(0, 3)
    expect(await supplementOf("safety", onlyFirst)).toBe(1)
    expect(await supplementOf("safety", () => [])).toBeUndefined()
    expect(await supplementOf("safety", (all) => [all[0]!, all[2]!])).toBeUndefined()
    // Its list was left out, or is another's: nobody knows whom it granted to.
    const bare = (all: Parameters<typeof onlyFirst>[0]) =>
      all.slice(0, 3).map(({ approval }) => ({ approval, grants: undefined }))
    expect(await supplementOf("safety", bare)).toBeUndefined()
    const swapped = (all: Parameters<typeof onlyFirst>[0]) => [
      { approval: all[1]!.approval, grants: all[0]!.grants },
    ]
    expect(await supplementOf("safety", swapped)).toBeUndefined()
    const forged = (all: Parameters<typeof onlyFirst>[0]) => {
      const grants = encodeGrantList({ approval: findModel(anchor).release.digest, grants: [] })
      return [{ approval: all[1]!.approval, grants }]
    }
    expect(await supplementOf("safety", forged)).toBeUndefined()
  })

  test("counts what the newest four granted: of more, a node may have dropped the oldest", async () => {
    const { approvals } = parseBundle(await bundleOf())
    const first = approvals[1]!
    const second = approvals[4]!
    const times = (count: number) => [first, ...Array.from({ length: count }, () => second)]
    expect(await supplementOf("safety", () => times(3))).toBeUndefined()
    const made = await approve("safety", { bundle: await bundleWith(() => times(4)) })
    expect(made.summary.supplement).toEqual([`node:${early.peer}`])
  })

  test("is not made where the approval is asked for all", async () => {
    expect(await supplementOf("safety", (all) => all.slice(0, 3), true)).toBeUndefined()
  })
})

describe("groups", () => {
  test("need none: who comes into one later opens what it was granted", async () => {
    const asset = await workspace.folder("asset-of-group")
    await writeFile(join(asset, "b"), "for a group")
    const name = "grouped"
    await anchor.publisher.publish({ ...request([asset]), name }, watch())
    const known = anchor.book.find({ namespace: "acme", name })!
    const bundle = await anchor.bundles.export(known)
    for (const party of NAMES) await hand(await approve(party, { bundle }))
    const self = await newPeer()
    await scene.publishAccess({ peers: [...scene.state.peers, self] })
    const hub = createMemoryHub()
    const place = await workspace.folder("joiner")
    const joiner = await sceneNode(scene, hub.join({ id: self.peer }), place)
    await anchor.catchUp()
    for (const { approval, envelope } of anchor.book.evidence(known).approvals) {
      const list = await anchor.book.grantList(known, { approval, envelope })
      await joiner.book.addApproval(envelope, list)
    }
    const options = { source: anchor.store, folder: place, self, epoch: EPOCHS[0]! }
    const device = deviceOf("keeper")
    const own = await sceneOpener(scene, joiner, { ...options, device })
    const found = joiner.book.find({ namespace: "acme", name })!
    await own.open(found, join(place, "out"), watch())
    expect(await readFile(join(place, "out", "b"), "utf8")).toBe("for a group")
    joiner.book.stop()
  })
})
