// Many cold nodes want the same image at the same moment; then the registry dies.
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { type DockerRegistry, startDockerRegistry } from "../support/docker-registry.ts"
import { missingTools } from "../support/process.ts"
import { IMAGE_TOOLS, pushImage, type RealImage, realImage } from "../support/real-image.ts"
import { type SealiftNode, startNode } from "../support/sealift-node.ts"
import { hashPulledFolder, skopeoPull } from "../support/skopeo.ts"
import { openWorkspace } from "../support/workspace.ts"

const REGISTRY = "registry.test"
const NODES_COUNT = 8
const ORIGIN_COPIES_MAX = 1.1

const missing = missingTools(...IMAGE_TOOLS, "docker-registry")

describe.skipIf(missing.length > 0)("eight cold nodes and one registry", () => {
  const workspace = openWorkspace("stampede")
  let registry: DockerRegistry
  let image: RealImage
  const nodes: SealiftNode[] = []
  const blobsOf = () => [image.config, ...image.layers].map(({ digest }) => digest).sort()

  const joinFleet = (name: string) =>
    startNode(workspace, {
      name,
      upstreams: { [REGISTRY]: `http://${registry.host}` },
      peers: nodes.flatMap(({ p2p }) => p2p),
    })

  beforeAll(async () => {
    registry = await startDockerRegistry(workspace)
    image = await realImage("large")
    await pushImage(image, registry.directHost, "team/app")
    for (let index = 0; index < NODES_COUNT; index++) nodes.push(await joinFleet(`node${index}`))
  })
  afterAll(() => workspace.close())

  async function pullFrom(node: SealiftNode, reference: string): Promise<void> {
    const folder = join(workspace.root, `pulled-${node.name}`)
    await skopeoPull(`${node.host}/${REGISTRY}/team/app${reference}`, folder)
    expect(await hashPulledFolder(folder)).toEqual({ digest: image.digest, blobs: blobsOf() })
  }

  test("each gets every layer byte for byte, and the registry sends about one copy", async () => {
    await Promise.all(nodes.map((node) => pullFrom(node, ":1")))
    const copies = registry.proxy.blobBytes() / image.sizeBytes
    process.stderr.write(`registry sent ${copies.toFixed(3)} copies to ${NODES_COUNT} nodes\n`)
    expect(copies).toBeLessThanOrEqual(ORIGIN_COPIES_MAX)
  })

  test("when the registry is dead, a ninth node still pulls by tag and a tenth by digest", async () => {
    await registry.kill()
    await pullFrom(await joinFleet("ninth"), ":1")
    await pullFrom(await joinFleet("tenth"), `@${image.digest}`)
  })
})
