// Five hosts on 100 Mbit links find each other by themselves and pull one image at the same moment
// from a registry on a sixth.

import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { startServer } from "../support/docker-registry.ts"
import { LAB_TOOLS, type LabHost, openLab } from "../support/network-lab.ts"
import { missingTools, type Program, pollUntil, start } from "../support/process.ts"
import { IMAGE_TOOLS, pushImage, type RealImage, realImage } from "../support/real-image.ts"
import { type SealiftNode, startNode } from "../support/sealift-node.ts"
import { hashPulledFolder, skopeoPull } from "../support/skopeo.ts"
import { openWorkspace } from "../support/workspace.ts"

const REGISTRY = "registry.test"
const NODES_COUNT = 5
const RATE_MBIT = 100
const ORIGIN_COPIES_MAX = 1.1
const MEET_TIMEOUT_MS = 30_000
const PROXY = fileURLToPath(new URL("../support/counting-proxy-process.ts", import.meta.url))

const missing = missingTools(...IMAGE_TOOLS, ...LAB_TOOLS, "docker-registry", "curl")

describe.skipIf(missing.length > 0)("five cold hosts on 100 Mbit links", () => {
  const workspace = openWorkspace("lab")
  let image: RealImage
  let proxy: Program
  let hosts: readonly LabHost[]
  const nodes: SealiftNode[] = []

  /** The registry on the first host, filled before anybody asks, and its counter. */
  async function startOrigin({ namespace, address }: LabHost): Promise<string> {
    const filler = await startServer(workspace, "registry")
    await pushImage(image, filler.host, "team/app")
    await filler.program.stop()
    const server = await startServer(workspace, "registry", { namespace })
    proxy = await start([process.execPath, PROXY, server.host, address], {
      namespace,
      isReady: ({ output }) => output().includes("listening"),
    })
    workspace.defer(() => proxy.stop())
    return /listening (\S+)/.exec(proxy.output())![1]!
  }

  async function originBytes(): Promise<number> {
    const before = proxy.output().length
    process.kill(proxy.pid, "SIGUSR2")
    await pollUntil(() => proxy.output().length > before, 5000)
    return Number(/bytes (\d+)\n$/.exec(proxy.output())?.[1])
  }

  beforeAll(async () => {
    image = await realImage("large")
    hosts = await openLab(workspace, { hostsCount: NODES_COUNT + 1, rateMbit: RATE_MBIT })
    const origin = await startOrigin(hosts[0]!)
    for (const [index, place] of hosts.slice(1).entries()) {
      const upstreams = { [REGISTRY]: `http://${origin}` }
      nodes.push(await startNode(workspace, { name: `node${index}`, lan: true, place, upstreams }))
    }
  })
  afterAll(() => workspace.close())

  test("find each other without being told", async () => {
    const everybodyMet = async () => {
      const counts = await Promise.all(
        nodes.map(async (node) => {
          const { stdout } = await node.sealift("peers", "--json")
          const others = nodes.filter(({ peerId }) => peerId !== node.peerId)
          return others.filter(({ peerId }) => stdout.includes(peerId)).length
        }),
      )
      return counts.every((count) => count === NODES_COUNT - 1)
    }
    expect(await pollUntil(everybodyMet, MEET_TIMEOUT_MS)).toBe(true)
  })

  test("all get the whole image, and the registry sends about one copy", async () => {
    const begun = performance.now()
    const pulled = nodes.map(async (node, index) => {
      const folder = join(workspace.root, `pulled${index}`)
      const namespace = hosts[index + 1]!.namespace
      await skopeoPull(`${node.host}/${REGISTRY}/team/app:1`, folder, { namespace })
      return (await hashPulledFolder(folder)).digest
    })
    expect(await Promise.all(pulled)).toEqual(nodes.map(() => image.digest))
    const idealMs = (image.sizeBytes * 8) / (RATE_MBIT * 1000)
    const times = ((performance.now() - begun) / idealMs).toFixed(2)
    const copies = (await originBytes()) / image.sizeBytes
    process.stderr.write(`${times} transfer times, ${copies.toFixed(3)} copies from the registry\n`)
    expect(copies).toBeLessThanOrEqual(ORIGIN_COPIES_MAX)
  })
})
