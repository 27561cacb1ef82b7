/** Nodes of one fleet scene that may fetch and open all of `acme`; the last of them has the gate. */

import type { Labels } from "../../../src/fleet/access-field.ts"
import { createMemoryHub, type MemoryHub } from "../../../src/net/memory-network.ts"
import { approveBundle } from "../../../src/release/approving.ts"
import type { NodeOpener } from "../../../src/release/opener.ts"
import type { KnownRelease } from "../../../src/release/releases.ts"
import type { Workspace } from "../../support/workspace.ts"
import {
  deviceOf,
  EPOCHS,
  FleetScene,
  memoryHome,
  NAMES,
  newPeer,
  OPEN_TO_ALL,
  type SceneNode,
  type ScenePeer,
  sceneNode,
} from "./fleet-scene.ts"
import { sceneOpener } from "./scene-opener.ts"

interface Place {
  readonly self: ScenePeer
  readonly folder: string
  readonly node: SceneNode
}

/** Adds the approval of every party to what a node knows. */
export async function approveByAll(
  scene: FleetScene,
  node: SceneNode,
  known: KnownRelease,
): Promise<void> {
  const bundle = await node.bundles.export(known)
  for (const name of NAMES) {
    const task = { bundle, device: deviceOf(name), home: memoryHome(), nowMs: scene.clock.now() }
    const { approval, grants } = await approveBundle(task)
    await node.book.addApproval(approval, grants)
  }
}

/** One fleet, its gate, and the nodes that open what the gate holds. */
export class GatedNodes {
  readonly scene: FleetScene
  readonly #workspace: Workspace
  readonly #peers: readonly ScenePeer[]
  readonly #hub: MemoryHub = createMemoryHub()
  readonly #folder: string
  #gate: Place | undefined

  /** @param labels - of each node, the gate's last */
  static async open(workspace: Workspace, labels: readonly Labels[]): Promise<GatedNodes> {
    const peers = await Promise.all(labels.map(() => newPeer()))
    const nodes = peers.map(({ peer }, index) => ({
      ...{ peer, groups: ["edge"], labels: labels[index]! },
    }))
    const scene = await FleetScene.create({ peers, access: { nodes, rules: OPEN_TO_ALL } })
    const made = new GatedNodes(workspace, scene, peers)
    made.#gate = await made.#place(peers.length - 1)
    const { node } = made.#gate
    await sceneOpener(scene, node, {
      ...{ ...made.#gate, source: node.store, device: deviceOf("keeper") },
    })
    return made
  }

  private constructor(workspace: Workspace, scene: FleetScene, peers: readonly ScenePeer[]) {
    this.scene = scene
    this.#workspace = workspace
    this.#peers = peers
    this.#folder = `place-${peers[0]!.peer}`
  }

  /** The node with the gate, which has what is published. */
  get gate(): SceneNode {
    return this.#gate!.node
  }

  /** Brings a node up, connected to the gate's. */
  async join(index: number): Promise<Place & { readonly opener: NodeOpener }> {
    const place = await this.#place(index)
    this.#hub.connect(place.self.peer, this.#gate!.self.peer)
    const opener = await sceneOpener(this.scene, place.node, {
      ...{ ...place, source: this.gate.store, epoch: EPOCHS[0]! },
    })
    return { ...place, opener }
  }

  async #place(index: number): Promise<Place> {
    const self = this.#peers[index]!
    const folder = await this.#workspace.folder(`${this.#folder}-${index}`)
    return {
      self,
      folder,
      node: await sceneNode(this.scene, this.#hub.join({ id: self.peer }), folder),
    }
  }
}
