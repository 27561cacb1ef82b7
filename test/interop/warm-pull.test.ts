// A pull from a warm local node against one from a plain local registry: same client, same file
// systems, in pairs one after the other, first now the one and now the other. Whatever else the machine
// does falls on both of a pair, so the median of the pairs' ratios counts.
import { rm } from "node:fs/promises"
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { type DockerRegistry, startDockerRegistry } from "../support/docker-registry.ts"
import { missingTools } from "../support/process.ts"
import { IMAGE_TOOLS, pushImage, type RealImage, realImage } from "../support/real-image.ts"
import { residentBytes, type SealiftNode, startNode } from "../support/sealift-node.ts"
import { skopeoPull } from "../support/skopeo.ts"
import { openWorkspace } from "../support/workspace.ts"

const REGISTRY = "registry.test"
const PAIRS_COUNT = 11
const RATIO_MAX = 1.15
const RESIDENT_MAX_BYTES = 250 * 1024 * 1024
const SAMPLE_MS = 50

const missing = missingTools(...IMAGE_TOOLS, "docker-registry")

const median = (values: readonly number[]) =>
  values.toSorted((left, right) => left - right)[values.length >> 1]!

describe.skipIf(missing.length > 0)("a warm node beside a plain registry", () => {
  // On a tmpfs, so that no disk decides.
  const workspace = openWorkspace("warm", "/dev/shm")
  let registry: DockerRegistry
  let image: RealImage
  let node: SealiftNode
  let residentMax = 0
  const sampler = setInterval(() => {
    if (node === undefined || !node.program.isRunning()) return
    residentBytes(node.program.pid).then(
      (bytes) => {
        residentMax = Math.max(residentMax, bytes)
      },
      // The node may have just ended.
      () => undefined,
    )
  }, SAMPLE_MS)

  beforeAll(async () => {
    registry = await startDockerRegistry(workspace)
    image = await realImage("large")
    await pushImage(image, registry.directHost, "team/app")
    node = await startNode(workspace, {
      name: "node",
      upstreams: { [REGISTRY]: `http://${registry.directHost}` },
    })
  })
  afterAll(async () => {
    clearInterval(sampler)
    await workspace.close()
  })

  async function timePull(reference: string): Promise<number> {
    const folder = join(workspace.root, "pulled")
    const begun = performance.now()
    await skopeoPull(reference, folder)
    const tookMs = performance.now() - begun
    await rm(folder, { recursive: true })
    return tookMs
  }

  test("serves a pull in at most 1.15 of the registry's time, in at most 250 MiB", async () => {
    const references = [
      `${registry.directHost}/team/app:1`,
      `${node.host}/${REGISTRY}/team/app:1`,
    ] as const
    // The first of each warms caches and the node, and is not counted.
    for (const reference of references) await timePull(reference)
    const plain: number[] = []
    const through: number[] = []
    for (let pair = 0; pair < PAIRS_COUNT; pair++) {
      if (pair % 2 === 0) plain.push(await timePull(references[0]))
      through.push(await timePull(references[1]))
      if (pair % 2 === 1) plain.push(await timePull(references[0]))
    }
    const ratio = median(through.map((tookMs, pair) => tookMs / plain[pair]!))
    const show = (values: readonly number[]) =>
      `${median(values).toFixed(0)} ms (${Math.min(...values).toFixed(0)}–${Math.max(...values).toFixed(0)})`
    const resident = `${(residentMax / 1024 / 1024).toFixed(0)} MiB`
    process.stderr.write(
      `registry ${show(plain)}, node ${show(through)}, ratio ${ratio.toFixed(3)}, ${resident}\n`,
    )
    expect(ratio).toBeLessThanOrEqual(RATIO_MAX)
    expect(residentMax).toBeLessThanOrEqual(RESIDENT_MAX_BYTES)
  })
})
