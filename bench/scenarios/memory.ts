/**
 * A soak in short: far more blobs than the quota holds go through two real nodes, the second of which has
 * them from the first. Do memory, open handles and the index stop growing?
 * @module
 */
import { createHash } from "node:crypto"
import { readdirSync, readFileSync, statSync } from "node:fs"
import { join } from "node:path"
import { Pool } from "undici"
import { type Digest, digestOfRaw, hexOf } from "../../src/core/digest.ts"
import type { Workspace } from "../../test/support/workspace.ts"
import type { Image } from "../layered-image.ts"
import { NodeProcess } from "../node-process.ts"
import { type BenchObject, createObjects } from "../object-workload.ts"
import { OriginRegistry } from "../origin-registry.ts"
import { resetUsage, usageSince } from "../peer-process.ts"
import { inWorkspace, prepareInWorkspace } from "../prepared-workspace.ts"
import type { BenchOptions, Prepared, Sample, Scenario } from "../scenario.ts"
import { slopeOf } from "../statistics.ts"
import { REPOSITORY, randomImage, TAG } from "./test-image.ts"

const MIB = 1024 ** 2
const BLOB_BYTES = 16 * 1024
const BLOBS = 20_000
/** A fiftieth of all that goes through. */
const QUOTA_BYTES = 8 * MIB
const AT_ONCE = 8
/** 20,000 blobs need 6 minutes of an idle machine. */
const SOAK_MS_MAX = 45 * 60 * 1000
/** How often the nodes are looked at. */
const LOOKS = 40
/** A node's memory rises until its caches are full; what counts is the slope from this look on. */
const STEADY_FROM = 16
const PER_BLOBS = 1_000

/** One look at a node. */
interface Look {
  readonly blobs: number
  readonly rssMib: number
  readonly heapMib: number
  readonly handles: number
  readonly indexMib: number
  readonly storedBlobs: number
}

/** What one soak gives. */
interface Soak {
  readonly first: Sample
  readonly second: Sample
}

export const memory: Scenario = {
  name: "memory",
  question: `small blobs through two nodes with a quota of ${QUOTA_BYTES / MIB} MiB: does anything grow?`,
  defaults: { sizeBytes: BLOBS * BLOB_BYTES, runs: 1 },
  figures: [
    { heading: "RSS, most", note: "rssMost", unit: "MiB" },
    { heading: `RSS ÷ ${PER_BLOBS}`, note: "rssSlope", unit: "MiB" },
    { heading: `heap ÷ ${PER_BLOBS}`, note: "heapSlope", unit: "MiB" },
    { heading: "handles, more", note: "handlesMore", unit: "count" },
    { heading: "index, most", note: "indexMost", unit: "MiB" },
    { heading: `index ÷ ${PER_BLOBS}`, note: "indexSlope", unit: "MiB" },
    { heading: "blobs kept", note: "keptBlobs", unit: "count" },
  ],
  lines: ["rssMib", "heapMib", "handles", "indexMib"].map((note) => {
    return { heading: note, across: "blobs", note }
  }),
  uncountedRounds: 0,
  runMsMax: SOAK_MS_MAX,
  baseline: "first",
  generate(options): Promise<Prepared> {
    return prepareInWorkspace((workspace) => prepare(workspace, options))
  },
}

async function prepare(
  workspace: Workspace,
  options: BenchOptions,
): Promise<Omit<Prepared, "close">> {
  const count = Math.max(LOOKS, Math.floor(options.sizeBytes / BLOB_BYTES))
  const shape = { name: "blobs", count, sizeBytes: BLOB_BYTES, warmUpCount: 0 }
  const work = await createObjects(workspace.root, [shape], { seed: options.seed, atOnce: AT_ONCE })
  const objects = work.plan.groups[0]!.objects
  const image = await randomImage(workspace.root, { sizeBytes: MIB, seed: options.seed })
  const all = new Map(image.blobs)
  for (const { digest, sizeBytes } of objects) {
    all.set(digest, { path: join(work.objectsFolder, hexOf(digest)), size: sizeBytes })
  }
  const setting = { workspace, objects, image: { ...image, blobs: all } }
  // One soak gives the figures of both nodes: whoever comes second has those of the same soak.
  let waiting: Soak | undefined
  const measure = async (signal: AbortSignal): Promise<Soak> => {
    const latest = waiting
    waiting = latest === undefined ? await soak(setting, signal) : undefined
    return latest ?? waiting!
  }
  return {
    payloadBytes: count * BLOB_BYTES,
    contenders: [
      {
        name: "first",
        about: `the node that has ${count} blobs of ${BLOB_BYTES / 1024} KiB from the registry`,
        missing: undefined,
        measure: async ({ signal }) => (await measure(signal)).first,
      },
      {
        name: "second",
        about: "the node that has them from the first, in the same run",
        missing: undefined,
        measure: async ({ signal }) => (await measure(signal)).second,
      },
    ],
  }
}

async function soak(
  setting: {
    readonly workspace: Workspace
    readonly objects: readonly BenchObject[]
    readonly image: Image
  },
  signal: AbortSignal,
): Promise<Soak> {
  const { objects, image } = setting
  return await inWorkspace("soak", setting.workspace, async (workspace) => {
    const origin = new OriginRegistry(image, { repository: REPOSITORY, tag: TAG })
    await origin.start()
    workspace.defer(() => origin.kill())
    const upstreams = { origin: origin.url }
    const plan = { folder: workspace.root, upstreams, quotaBytes: QUOTA_BYTES }
    const start = async (name: string, peers: readonly string[]) => {
      const node = await NodeProcess.start({ ...plan, name, peers }, { signal })
      workspace.defer(() => node.stop())
      return new SoakedNode(node)
    }
    const first = await start("first", [])
    const second = await start("second", [first.node.p2p[0]!])
    const step = Math.ceil(objects.length / LOOKS)
    for (let at = 0; at < objects.length; at += step) {
      signal.throwIfAborted()
      const part = objects.slice(at, at + step)
      // The second asks for what the first has just been brought and still holds.
      for (let from = 0; from < part.length; from += AT_ONCE) {
        const few = part.slice(from, from + AT_ONCE)
        await first.pull(few, signal)
        await second.pull(few, signal)
      }
      const blobs = Math.min(objects.length, at + step)
      for (const one of [first, second]) await one.look(blobs)
    }
    const copies = origin.blobBytes / (objects.length * BLOB_BYTES)
    return { first: await first.sample(copies), second: await second.sample(copies) }
  })
}

/** A node under soak and what was seen of it. */
class SoakedNode {
  readonly node: NodeProcess
  readonly #pool: Pool
  readonly #looks: Look[] = []
  readonly #cpuBefore: number
  #busyMs = 0

  constructor(node: NodeProcess) {
    this.node = node
    this.#pool = new Pool(node.http, { connections: AT_ONCE })
    this.#cpuBefore = resetUsage(node.pid)
  }

  /** Pulls some blobs at once. @throws Error when one is not what its digest says */
  async pull(objects: readonly BenchObject[], signal: AbortSignal): Promise<void> {
    const startMs = performance.now()
    await Promise.all(objects.map(({ digest }) => this.#pullOne(digest, signal)))
    this.#busyMs += performance.now() - startMs
  }

  async look(blobs: number): Promise<void> {
    const { pid, data } = this.node
    const { body } = await this.#pool.request({ method: "GET", path: "/metrics" })
    const metrics = await body.text()
    const metric = (name: string) =>
      Number(new RegExp(`^${name} (\\S+)$`, "m").exec(metrics)?.[1] ?? Number.NaN)
    const status = readFileSync(`/proc/${pid}/status`, "utf8")
    this.#looks.push({
      blobs,
      rssMib: Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1]) / 1024,
      heapMib: metric("nodejs_heap_size_used_bytes") / MIB,
      handles: readdirSync(`/proc/${pid}/fd`).length,
      indexMib: bytesBelow(join(data, "index")) / MIB,
      storedBlobs: metric("sealift_store_blobs"),
    })
  }

  async sample(originCopies: number): Promise<Sample> {
    await this.#pool.close()
    const looks = this.#looks
    const steady = looks.slice(STEADY_FROM)
    const column = (key: keyof Look, from = looks) => from.map((look) => look[key])
    const slope = (key: keyof Look) =>
      slopeOf(column("blobs", steady), column(key, steady)) * PER_BLOBS
    const notes = {
      originCopies,
      keptBlobs: looks.at(-1)!.storedBlobs,
      rssMost: Math.max(...column("rssMib")),
      rssSlope: slope("rssMib"),
      heapSlope: slope("heapMib"),
      handlesMore: looks.at(-1)!.handles - looks[STEADY_FROM]!.handles,
      indexMost: Math.max(...column("indexMib")),
      indexSlope: slope("indexMib"),
      ...Object.fromEntries(
        (Object.keys(looks[0]!) as (keyof Look)[]).map((key) => [key, column(key)]),
      ),
    }
    const usage = { node: usageSince(this.node.pid, this.#cpuBefore) }
    return { seconds: this.#busyMs / 1000, usage, notes }
  }

  async #pullOne(digest: Digest, signal: AbortSignal): Promise<void> {
    const path = `/v2/origin/${REPOSITORY}/blobs/${digest}`
    const { statusCode, body } = await this.#pool.request({ method: "GET", path, signal })
    const bytes = new Uint8Array(await body.arrayBuffer())
    const found = digestOfRaw(createHash("sha256").update(bytes).digest())
    if (statusCode !== 200 || found !== digest) {
      throw new Error(`${path}: ${statusCode}, ${Buffer.from(bytes.subarray(0, 300)).toString()}`)
    }
  }
}

function bytesBelow(folder: string): number {
  let sum = 0
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    try {
      if (entry.isFile()) sum += statSync(join(folder, entry.name)).size
    } catch {
      // The index merges its files while it is looked at.
    }
  }
  return sum
}
