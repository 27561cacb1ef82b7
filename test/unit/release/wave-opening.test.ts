/**
 * From the release of a wave to the opening: whom a node still asks, and for what. Books, exchanges,
 * approvals and the keeper are the code under test.
 */
import { readFile, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { codeOf } from "../../../src/core/errors.ts"
import { EPOCH_PROTOCOL } from "../../../src/fleet/epoch-exchange.ts"
import { createMemoryHub } from "../../../src/net/memory-network.ts"
import type { PeerNetwork } from "../../../src/net/net.ts"
import { approveBundle } from "../../../src/release/approving.ts"
import { EVIDENCE_PROTOCOL } from "../../../src/release/evidence-exchange.ts"
import { GATE_PROTOCOL } from "../../../src/release/gate-exchange.ts"
import type { NodeOpener } from "../../../src/release/opener.ts"
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
  sceneNode,
  watch,
} from "./fleet-scene.ts"
import { sceneOpener } from "./scene-opener.ts"

let workspace: Workspace
let scene: FleetScene
let anchor: SceneNode
let node: SceneNode
let opener: NodeOpener
let folder: string
let isReleased = false
/** The protocols by which the node has asked anybody, in order. */
let asked: string[] = []
/** Resolved when the keeper is asked: until then no other answer arrives. */
let gateAsked: PromiseWithResolvers<void> | undefined

const options = () => ({ signal: watch().signal })
const open = async (): Promise<string> => {
  try {
    await opener.open(findModel(node), join(folder, "out"), watch())
    return "ok"
  } catch (error) {
    return codeOf(error) ?? String(error)
  }
}

function listening(net: PeerNetwork): PeerNetwork {
  const ask: PeerNetwork["request"] = async (peer, protocol, body, how) => {
    asked.push(protocol)
    if (protocol === GATE_PROTOCOL) gateAsked?.resolve()
    const answer = await net.request(peer, protocol, body, how)
    await gateAsked?.promise
    return answer
  }
  return new Proxy(net, {
    get: (target, name) => {
      if (name === "request") return ask
      const value = Reflect.get(target, name, target)
      return typeof value === "function" ? value.bind(target) : value
    },
  })
}

beforeAll(async () => {
  workspace = openWorkspace("wave-opening")
  folder = await workspace.folder("node")
  const asset = await workspace.folder("asset")
  await writeFile(join(asset, "a"), "weights")
  const self = await newPeer()
  const keeper = await newPeer()
  const hub = createMemoryHub()
  scene = await FleetScene.create({ peers: [self, keeper], access: { rules: OPEN_TO_ALL } })
  anchor = await sceneNode(scene, hub.join({ id: keeper.peer }), await workspace.folder("anchor"))
  node = await sceneNode(scene, listening(hub.join({ id: self.peer })), folder)
  const source = anchor.store
  await sceneOpener(scene, anchor, {
    ...{ source, device: deviceOf("keeper"), folder: await workspace.folder("gate") },
    plan: { isReleased: () => isReleased },
  })
  let isKept = false
  opener = await sceneOpener(scene, node, {
    ...{ source, folder, self, epoch: EPOCHS[0]! },
    onEpoch: () => {
      // As an anchor's answer is kept: the second time nobody is asked.
      if (!isKept) asked.push(EPOCH_PROTOCOL)
      isKept = true
    },
  })
  for (const one of [anchor, node]) one.book.start()
  hub.connectAll()
  await anchor.publisher.publish(request([asset], { gate: "hold" }), watch())
  await node.catchUp()
})
afterAll(() => {
  for (const one of [anchor, node]) one?.book.stop()
  return workspace.close()
})

describe("a node that waits for its wave", () => {
  test("has the bytes before any approval, and no secret", async () => {
    await opener.stage(findModel(node), watch())
    await opener.prepare(findModel(node), options())
    expect(asked).not.toContain(EPOCH_PROTOCOL)
    expect(asked).not.toContain(GATE_PROTOCOL)
  })

  test("brings what opens it once all have approved, though its bytes are here long since", async () => {
    for (const name of NAMES) {
      const made = await approveBundle({
        bundle: await anchor.bundles.export(findModel(anchor)),
        nowMs: scene.clock.now(),
        device: deviceOf(name),
        home: memoryHome(),
      })
      await anchor.book.addApproval(made.approval, made.grants)
    }
    await node.book.gather(findModel(node), options())
    await opener.prepare(findModel(node), options())
    expect(asked).toContain(EPOCH_PROTOCOL)
    expect(asked).not.toContain(GATE_PROTOCOL)
  })

  test("asks nobody again while nothing has changed", async () => {
    asked = []
    await opener.prepare(findModel(node), options())
    expect(asked).toEqual([])
  })

  test("is refused the gate's share until then", async () => {
    expect(await open()).toBe("GATE_REFUSED")
  })

  test("then asks its keeper for the share, and meanwhile whether the release was withdrawn", async () => {
    asked = []
    gateAsked = Promise.withResolvers()
    isReleased = true
    expect(await open()).toBe("ok")
    expect(asked).toEqual([EVIDENCE_PROTOCOL, GATE_PROTOCOL])
    expect(await readFile(join(folder, "out", "a"), "utf8")).toBe("weights")
  })
})
