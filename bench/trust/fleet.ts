/**
 * A fleet of 10,000 nodes with true keys, files and signatures, and one release that is sealed to 1,000
 * of them one by one: what the figures of `trust` are measured on.
 * @module
 */
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import type { JsonValue } from "../../src/core/json.ts"
import { silentLogger } from "../../src/core/log.ts"
import { FleetHolder } from "../../src/fleet/fleet-holder.ts"
import { openFleetHome } from "../../src/fleet/fleet-home.ts"
import type { FleetMember } from "../../src/fleet/fleet-member.ts"
import { enterFleet } from "../../src/fleet/fleet-opening.ts"
import { peerIdOf } from "../../src/net/identity.ts"
import { createMemoryHub, type MemoryHub } from "../../src/net/memory-network.ts"
import type { KnownRelease } from "../../src/release/releases.ts"
import { rawOfPublicKey } from "../../src/trust/public-key.ts"
import { createSigningKey, signingKeyFromSeed } from "../../src/trust/signing-key.ts"
import {
  FleetScene,
  newPeer,
  request,
  type SceneNode,
  type ScenePeer,
  sceneNode,
  watch,
} from "../../test/unit/release/fleet-scene.ts"

/** Nodes of the access list. */
export const NODES = 10_000
/** Nodes that the release is sealed to. */
export const RECIPIENTS = 1_000
/** Of the node that opens: it is in the network and in the list. */
const SEED: Uint8Array = new Uint8Array(32).fill(7)
const LABELS = { arch: "arm64" }
const RULES = [{ who: "all", verbs: ["find", "fetch", "seed", "open"], where: ["*"] }]

/** A fleet, its publisher, and one of the nodes that the release is for. */
export interface TrustFleet {
  readonly scene: FleetScene
  readonly hub: MemoryHub
  readonly publisher: SceneNode
  readonly release: KnownRelease
  /** The release for the road, with the keys of all recipients. */
  readonly bundle: Uint8Array
  readonly recipients: readonly ScenePeer[]
  /** The first of the recipients, as a node that runs. */
  readonly node: FleetNode
}

/** A node with a true membership on the disk. */
export interface FleetNode {
  readonly self: ScenePeer
  readonly net: ReturnType<MemoryHub["join"]>
  readonly fleet: FleetHolder
  readonly member: FleetMember
}

/** Makes everything. @param folder - of its own */
export async function makeTrustFleet(folder: string): Promise<TrustFleet> {
  const recipients = [await seededPeer(SEED)]
  while (recipients.length < RECIPIENTS) recipients.push(await newPeer())
  const hub = createMemoryHub()
  const net = hub.join()
  const others = namesOnly(NODES - RECIPIENTS - 1, recipients[0]!)
  const peers = [...recipients, { ...recipients[0]!, peer: net.id }, ...others]
  const scene = await FleetScene.create({ peers, access: accessOf(peers) })
  const publisher = await sceneNode(scene, net, join(folder, "publisher"))
  for (const one of recipients) publisher.keys.set(one.peer, await scene.nodeKey(one))
  const asset = join(folder, "weights.bin")
  writeFileSync(asset, new Uint8Array(1024))
  const audience = recipients.map(({ peer }) => `node:${peer}`)
  await publisher.publisher.publish(request([asset], { audience }), watch())
  const release = publisher.book.find({ namespace: "acme", name: "model", sequence: 1 })!
  const bundle = await publisher.bundles.export(release)
  const node = await startNode(scene, hub, { self: recipients[0]!, folder })
  return { scene, hub, publisher, release, bundle, recipients, node }
}

/** Publishes the next list: one node less, which is revoked. @returns the bytes of the file */
export async function publishNextList({ scene }: TrustFleet): Promise<Uint8Array> {
  const { peers, revoked } = scene.state
  const last = peers.at(-1)!.peer
  await scene.publishAccess({
    peers: peers.slice(0, -1),
    revoked: [...revoked, last],
    access: accessOf(peers.slice(0, -1)),
  })
  return scene.accessFile()
}

async function startNode(
  scene: FleetScene,
  hub: MemoryHub,
  { self, folder }: { self: ScenePeer; folder: string },
): Promise<FleetNode> {
  const log = silentLogger
  const fleet: FleetHolder = new FleetHolder({ log, onCut: async () => await net.recheck() })
  const net = hub.join({ seed: SEED, admission: fleet })
  const home = openFleetHome(join(folder, "node", "fleet"))
  const deps = { home, clock: scene.clock, log, peer: net.id }
  const member = await enterFleet(
    deps,
    { fleet: scene.fleet, name: "lab" },
    { source: scene.files },
  )
  await fleet.adopt(member)
  return { self, net, fleet, member }
}

async function seededPeer(seed: Uint8Array): Promise<ScenePeer> {
  const signing = signingKeyFromSeed(seed)
  const { identity } = await newPeer()
  return { peer: peerIdOf(rawOfPublicKey(signing.publicKey)), signing, identity }
}

/** Nodes that only stand in the list; nothing is sealed to them. */
function namesOnly(count: number, { identity }: ScenePeer): readonly ScenePeer[] {
  return Array.from({ length: count }, () => {
    const signing = createSigningKey()
    return { peer: peerIdOf(rawOfPublicKey(signing.publicKey)), signing, identity }
  })
}

/** Each node is in one group and has one label, as an operator would have it. */
function accessOf(peers: readonly ScenePeer[]): Record<string, JsonValue> {
  const nodes = peers.map(({ peer }) => ({ peer, groups: ["edge"], labels: LABELS }))
  return { nodes, rules: RULES }
}
