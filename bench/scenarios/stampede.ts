/**
 * Several cold nodes are asked for one image at the same moment, and the registry's uplink is slow:
 * how long until all have it, and how often did the registry send it? All on one machine, so the links
 * between the nodes are not limited; test/lab has links of its own.
 * @module
 */
import { join } from "node:path"
import { openWorkspace, type Workspace } from "../../test/support/workspace.ts"
import { buildImage, type Image } from "../layered-image.ts"
import { NodeProcess } from "../node-process.ts"
import { OriginRegistry } from "../origin-registry.ts"
import { pullImage } from "../registry-client.ts"
import type { BenchOptions, Prepared, Sample, Scenario } from "../scenario.ts"
import { MEMORY_FOLDER } from "../workload.ts"

const MIB = 1024 ** 2
const NODES = 5
const LAYERS = 4
const REPOSITORY = "team/app"
const TAG = "1.0"
/** A busy or far registry: 100 Mbit/s. */
const UPLINK_BYTES_PER_SECOND = 12_500_000

/** One cold start of everything, measured. */
interface Setting {
  readonly workspace: Workspace
  readonly image: Image
  readonly origin: OriginRegistry
  readonly signal: AbortSignal
}

export const stampede: Scenario = {
  name: "stampede",
  question: `${NODES} cold nodes at once, a registry behind 100 Mbit/s: time until all have the image`,
  defaults: { sizeBytes: 32 * MIB, runs: 3 },
  figures: [{ heading: "registry sent", note: "originCopies", unit: "times" }],
  baseline: "direct",
  async generate(options): Promise<Prepared> {
    const workspace = openWorkspace("bench", MEMORY_FOLDER)
    try {
      return await prepare(workspace, options)
    } catch (error) {
      await workspace.close()
      throw error
    }
  },
}

async function prepare(workspace: Workspace, options: BenchOptions): Promise<Prepared> {
  const randomBytes = Math.ceil(options.sizeBytes / LAYERS)
  const recipes = Array.from({ length: LAYERS }, (_, index) => {
    return { name: `layer ${index}`, randomBytes, seed: options.seed + index }
  })
  const image = await buildImage(join(workspace.root, "image"), recipes)
  const measure = async (
    signal: AbortSignal,
    pulls: (setting: Setting) => Promise<readonly (() => Promise<unknown>)[]>,
  ): Promise<Sample> => {
    const limit = { bytesPerSecond: UPLINK_BYTES_PER_SECOND }
    const origin = new OriginRegistry(image, { repository: REPOSITORY, tag: TAG, ...limit })
    const fresh = openWorkspace("stampede", workspace.root)
    try {
      await origin.start()
      const ready = await pulls({ workspace: fresh, image, origin, signal })
      const startMs = performance.now()
      await Promise.all(ready.map((pull) => pull()))
      const seconds = (performance.now() - startMs) / 1000
      return { seconds, usage: {}, notes: { originCopies: origin.blobBytes / image.sizeBytes } }
    } finally {
      await fresh.close()
      await origin.kill()
    }
  }
  return {
    payloadBytes: NODES * image.sizeBytes,
    contenders: [
      {
        name: "direct",
        about: `${NODES} clients, each straight from the registry`,
        missing: undefined,
        measure: ({ signal }) => measure(signal, async (setting) => directPulls(setting)),
      },
      {
        name: "sealift",
        about: `${NODES} clients, each through its own cold node`,
        missing: undefined,
        measure: ({ signal }) => measure(signal, nodePulls),
      },
    ],
    close: () => workspace.close(),
  }
}

function directPulls({ origin, signal }: Setting): (() => Promise<unknown>)[] {
  const target = { base: origin.url, repository: REPOSITORY, tag: TAG }
  return Array.from({ length: NODES }, () => () => pullImage(target, { signal }))
}

async function nodePulls({ workspace, origin, signal }: Setting) {
  const pulls: (() => Promise<unknown>)[] = []
  const peers: string[] = []
  const upstreams = { origin: origin.url }
  for (let index = 0; index < NODES; index++) {
    const name = `n${index + 1}`
    const plan = { name, folder: workspace.root, peers: [...peers], upstreams }
    const node = await NodeProcess.start(plan, { signal })
    workspace.defer(() => node.stop())
    peers.push(node.p2p[0]!)
    const target = { base: node.http, repository: `origin/${REPOSITORY}`, tag: TAG }
    pulls.push(() => pullImage(target, { signal }))
  }
  return pulls
}
