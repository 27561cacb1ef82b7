/**
 * `npm run demo`: five nodes pull one image at the same moment, the registry sends it about once, and
 * when it is gone a sixth node still gets it. Then a sealed model that three parties must sign, and
 * only some nodes may open. Then a plan that brings the model and an image in two waves, and the proof
 * of what was decided. Everything is real: processes, sockets, files, hashes, keys.
 * `--keep` leaves the nodes running with their dashboards.
 * @module
 */
import { once } from "node:events"
import { parseArgs } from "node:util"
import { findTool } from "../../test/support/process.ts"
import { skopeoPull } from "../../test/support/skopeo.ts"
import { openWorkspace, type Workspace } from "../../test/support/workspace.ts"
import { buildImage, type Image, type LayerRecipe } from "../layered-image.ts"
import { NodeProcess } from "../node-process.ts"
import { OriginRegistry } from "../origin-registry.ts"
import { type Pull, pullImage } from "../registry-client.ts"
import { type Align, showBytes, showSeconds } from "../table.ts"
import { readReceipts } from "./arrivals.ts"
import { tellOfModel } from "./model.ts"
import { tellOfRollout } from "./rollout.ts"
import { Story } from "./story.ts"
import { serveWebImage } from "./web-image.ts"

const NODES = 5
const WEIGHTS_BYTES = 16 * 1024 * 1024
/** The registry's name in the nodes' configuration, the repository in it, and the tag. */
const REGISTRY = "demo"
const REPOSITORY = "team/app"
const TAG = "1.0"
const DEMO_MS_MAX = 600_000

/** Real files that every clone has: the runtime, packages, this project, and bytes like a model's. */
const LAYERS: readonly LayerRecipe[] = [
  { name: "runtime", file: process.execPath },
  { name: "packages", folders: ["node_modules/libp2p", "node_modules/@libp2p"] },
  { name: "application", folders: ["bin", "src", "docs"] },
  { name: "weights", randomBytes: WEIGHTS_BYTES, seed: 1 },
]

/** What the steps share. */
interface Scene {
  readonly story: Story
  readonly workspace: Workspace
  readonly image: Image
  readonly registry: OriginRegistry
  readonly nodes: NodeProcess[]
  readonly signal: AbortSignal
}

async function tell(workspace: Workspace, signal: AbortSignal): Promise<Scene> {
  const story = new Story()
  story.title("Sealift: five machines want one image at the same moment")
  const image = await story.step("Build an image out of real files", () =>
    buildImage(`${workspace.root}/image`, LAYERS),
  )
  const layers = image.layers.map(({ name, size }) => `${name} ${showBytes(size)}`).join(", ")
  story.say(`${showBytes(image.sizeBytes)} in ${image.layers.length} layers: ${layers}`)
  const registry = new OriginRegistry(image, { repository: REPOSITORY, tag: TAG })
  await registry.start()
  workspace.defer(() => registry.kill())
  const scene: Scene = { story, workspace, image, registry, nodes: [], signal }
  await story.step(`Start a registry that counts, and ${NODES} nodes`, () => startAll(scene))
  story.say(`registry ${registry.url}, each node a process with its own data directory`)
  await pullEverywhere(scene)
  await pullBySkopeo(scene)
  await pullWithoutRegistry(scene)
  const web = await serveWebImage(workspace)
  const fleet = await tellOfModel({ ...scene, upstreams: web.upstreams })
  const { anchor, edge, leaving, office } = fleet
  scene.nodes.push(anchor, edge, leaving, office, ...(await tellOfRollout(fleet, web)))
  return scene
}

async function startOne({ workspace, registry, nodes, signal }: Scene): Promise<NodeProcess> {
  const plan = {
    name: `n${nodes.length + 1}`,
    folder: workspace.root,
    peers: nodes.map(({ p2p }) => p2p[0]!),
    upstreams: { [REGISTRY]: registry.url },
  }
  const node = await NodeProcess.start(plan, { signal })
  workspace.defer(() => node.stop())
  nodes.push(node)
  return node
}

async function startAll(scene: Scene): Promise<void> {
  // One after the other: each is told the addresses of those before it.
  for (let count = 0; count < NODES; count++) await startOne(scene)
}

function pullFrom({ image, signal }: Scene, node: NodeProcess): Promise<Pull> {
  const repository = `${REGISTRY}/${REPOSITORY}`
  return pullImage({ base: node.http, repository, tag: TAG }, { signal }).then((pull) => {
    if (pull.digest !== image.digest) throw new Error(`${node.name} gave ${pull.digest}`)
    return pull
  })
}

async function pullEverywhere(scene: Scene): Promise<void> {
  const { story, nodes, image, registry } = scene
  const pulls = await story.step(
    `All ${NODES} pull ${REGISTRY}/${REPOSITORY}:${TAG} at once, over HTTP like a container engine`,
    () => Promise.all(nodes.map((node) => pullFrom(scene, node))),
  )
  const names = new Map(nodes.map(({ peerId, name }) => [peerId, name]))
  const heading = ["node", "took", "from registry", ...nodes.map(({ name }) => `from ${name}`)]
  const rows = nodes.map((node, position) => {
    const { fromOrigin, fromPeers } = readReceipts(node)
    const given = [...names.keys()].map((peer) => showCount(fromPeers.get(peer) ?? 0))
    return [node.name, showSeconds(pulls[position]!.seconds), showCount(fromOrigin), ...given]
  })
  story.table(heading, rows, alignment(heading))
  const copies = registry.blobBytes / image.sizeBytes
  story.say(
    `the registry sent ${showBytes(registry.blobBytes)}: ${copies.toFixed(2)} × the image, ` +
      `where ${NODES} direct pulls are ${NODES}.00 ×`,
  )
  story.say("every layer's SHA-256 was checked by the client, every piece's by the nodes")
}

async function pullBySkopeo({ story, workspace, nodes }: Scene): Promise<void> {
  if (findTool("skopeo") === undefined) return
  const node = nodes[2]!
  const reference = `${node.host}/${REGISTRY}/${REPOSITORY}:${TAG}`
  await story.step(`skopeo copies it from ${node.name}`, () =>
    skopeoPull(reference, `${workspace.root}/skopeo`),
  )
}

async function pullWithoutRegistry(scene: Scene): Promise<void> {
  const { story, registry, nodes } = scene
  await registry.kill()
  const sentBytes = registry.blobBytes
  const node = await story.step("Kill the registry; start a sixth, empty node", () =>
    startOne(scene),
  )
  const pull = await story.step(`${node.name} pulls by tag; nobody but its peers can answer`, () =>
    pullFrom(scene, node),
  )
  const names = new Map(nodes.map(({ peerId, name }) => [peerId, name]))
  const { fromOrigin, fromPeers } = readReceipts(node)
  const given = [...fromPeers].map(([peer, bytes]) => `${names.get(peer)} ${showBytes(bytes)}`)
  story.say(`${showBytes(pull.sizeBytes)}, of which ${given.sort().join(", ")}`)
  story.say(`the tag came from: ${pull.tagSource ?? "the registry"}`)
  if (fromOrigin !== 0 || registry.blobBytes !== sentBytes) throw new Error("a dead registry sent")
}

function showCount(bytes: number): string {
  return bytes === 0 ? "·" : showBytes(bytes)
}

function alignment(heading: readonly string[]): Align[] {
  return heading.map((_, column) => (column === 0 ? "left" : "right"))
}

async function keep({ story, nodes }: Scene, signal: AbortSignal): Promise<void> {
  story.title("Still running; Ctrl-C ends it and removes everything")
  const rows = nodes.map(({ name, http, data }) => [name, `${http}/ui/`, data])
  story.table(["node", "dashboard", "data directory"], rows, ["left", "left", "left"])
  await once(signal, "abort")
}

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { keep: { type: "boolean", default: false } } })
  const controller = new AbortController()
  for (const name of ["SIGINT", "SIGTERM"] as const) {
    process.on(name, () => controller.abort(new Error("interrupted")))
  }
  const limit = AbortSignal.timeout(DEMO_MS_MAX)
  const startMs = performance.now()
  const workspace = openWorkspace("demo")
  try {
    const scene = await tell(workspace, AbortSignal.any([controller.signal, limit]))
    const seconds = (performance.now() - startMs) / 1000
    scene.story.title(`Done in ${showSeconds(seconds)}.`)
    if (values.keep) await keep(scene, controller.signal)
  } catch (error) {
    // Whatever fails after Ctrl-C fails because of it.
    if (!controller.signal.aborted) throw error
    process.stdout.write("\ninterrupted; everything is being stopped and removed\n")
    process.exitCode = 130
  } finally {
    await workspace.close()
  }
}

try {
  await main()
} catch (error) {
  process.stderr.write(`demo: ${error instanceof Error ? error.message : String(error)}\n`)
  process.exitCode = 1
}
