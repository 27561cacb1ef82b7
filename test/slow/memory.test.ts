// Resident memory of real nodes, as the kernel counts it at its highest: while they fetch the same blobs
// from one registry and one another at the same moment, and while many small blobs pass through a small
// quota. Nodes are started once before, so that what Node keeps of the sources is there.
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import type { Image } from "../../bench/layered-image.ts"
import { createObjects } from "../../bench/object-workload.ts"
import { OriginRegistry } from "../../bench/origin-registry.ts"
import { randomImage } from "../../bench/scenarios/test-image.ts"
import { hexOf } from "../../src/core/digest.ts"
import { type SealiftNode, startNode } from "../support/sealift-node.ts"
import { openWorkspace } from "../support/workspace.ts"

const MIB = 1024 ** 2
const RSS_MAX_MIB = 200
const NODES_COUNT = 4
const IMAGE_BYTES = 24 * MIB
const SMALL_COUNT = 3_000
const SMALL_BYTES = 16 * 1024
const AT_ONCE = 8
/** What may be added from the first half of the small blobs to the second, MiB. */
const GROWTH_MAX_MIB = 24
const REPOSITORY = "team/app"

describe.skipIf(process.platform !== "linux")("the memory of a node", () => {
  const workspace = openWorkspace("memory", "/dev/shm")
  let origin: OriginRegistry
  let digests: readonly string[]

  beforeAll(async () => {
    const image = await randomImage(workspace.root, { sizeBytes: IMAGE_BYTES, seed: 1 })
    digests = [...image.blobs.keys()]
    origin = new OriginRegistry(image, { repository: REPOSITORY, tag: "1" })
    await origin.start()
    workspace.defer(() => origin.kill())
    const first = await startNode(workspace, { name: "first", upstreams: { origin: origin.url } })
    await Promise.all(digests.map((digest) => read(first, `origin/${REPOSITORY}`, digest)))
    // What is kept of the sources is written when a node ends.
    await first.stop()
  })
  afterAll(() => workspace.close())

  test(`stays below ${RSS_MAX_MIB} MiB in a stampede of ${NODES_COUNT}`, async () => {
    const nodes: SealiftNode[] = []
    for (let count = 0; count < NODES_COUNT; count++) {
      const peers = nodes.flatMap(({ p2p }) => p2p)
      const upstreams = { origin: origin.url }
      nodes.push(await startNode(workspace, { name: `node${count}`, peers, upstreams }))
    }
    const reads = nodes.flatMap((node) =>
      digests.map((digest) => read(node, `origin/${REPOSITORY}`, digest)),
    )
    await Promise.all(reads)
    const peaks = nodes.map((node) => residentMib(node, "VmHWM"))
    process.stderr.write(`most resident: ${peaks.map(Math.round).join(", ")} MiB\n`)
    await Promise.all(nodes.map((node) => node.stop()))
    expect(Math.max(...peaks)).toBeLessThanOrEqual(RSS_MAX_MIB)
  })

  test("does not grow with the blobs that have passed through", async () => {
    const small = await smallBlobs()
    const registry = new OriginRegistry(small, { repository: REPOSITORY, tag: "1" })
    await registry.start()
    workspace.defer(() => registry.kill())
    const options = { upstreams: { origin: registry.url }, flags: ["--quota", "8MiB"] }
    const giver = await startNode(workspace, { name: "giver", ...options })
    const taker = await startNode(workspace, { name: "taker", peers: giver.p2p, ...options })
    const nodes = [giver, taker]
    const pass = async (passing: readonly string[]) => {
      for (let at = 0; at < passing.length; at += AT_ONCE) {
        const few = passing.slice(at, at + AT_ONCE)
        for (const node of nodes) {
          await Promise.all(few.map((digest) => read(node, `origin/${REPOSITORY}`, digest)))
        }
      }
      return nodes.map((node) => residentMib(node, "VmRSS"))
    }
    const all = [...small.blobs.keys()]
    const before = await pass(all.slice(0, SMALL_COUNT / 2))
    const after = await pass(all.slice(SMALL_COUNT / 2))
    process.stderr.write(`resident: ${[...before, ...after].map(Math.round).join(", ")} MiB\n`)
    await Promise.all(nodes.map((node) => node.stop()))
    for (const [index, mib] of after.entries()) {
      expect(mib).toBeLessThanOrEqual(RSS_MAX_MIB)
      expect(mib - before[index]!).toBeLessThanOrEqual(GROWTH_MAX_MIB)
    }
  })

  /** Makes what the registry of the small blobs serves; the image around them is nobody's concern. */
  async function smallBlobs(): Promise<Image> {
    const shape = { name: "small", count: SMALL_COUNT, sizeBytes: SMALL_BYTES, warmUpCount: 0 }
    const work = await createObjects(workspace.root, [shape], { seed: 1, atOnce: AT_ONCE })
    const blobs = work.plan.groups[0]!.objects.map(({ digest, sizeBytes }) => {
      return [digest, { path: join(work.objectsFolder, hexOf(digest)), size: sizeBytes }] as const
    })
    const image = await randomImage(join(workspace.root, "frame"), { sizeBytes: MIB, seed: 2 })
    return { ...image, blobs: new Map(blobs) }
  }
})

/** Reads a blob through a node to its end. */
async function read({ http }: SealiftNode, repository: string, digest: string): Promise<void> {
  const response = await fetch(`${http}/v2/${repository}/blobs/${digest}`)
  expect(response.status).toBe(200)
  for await (const _part of response.body!);
}

function residentMib({ program }: SealiftNode, line: "VmRSS" | "VmHWM"): number {
  const status = readFileSync(`/proc/${program.pid}/status`, "utf8")
  return Number(new RegExp(`^${line}:\\s+(\\d+) kB$`, "m").exec(status)?.[1]) / 1024
}
