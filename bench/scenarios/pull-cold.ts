/**
 * A pull of what a node does not have yet, against one straight from the far registry and one through
 * docker-registry as a pull-through cache: what does it cost, or bring, to go through a node the first time?
 * @module
 */
import { startServer } from "../../test/support/docker-registry.ts"
import { findTool } from "../../test/support/process.ts"
import type { Workspace } from "../../test/support/workspace.ts"
import { measureSkopeo } from "../http-pull.ts"
import type { Image } from "../layered-image.ts"
import { NodeProcess } from "../node-process.ts"
import { OriginRegistry } from "../origin-registry.ts"
import { inWorkspace, prepareInWorkspace } from "../prepared-workspace.ts"
import { pullImage } from "../registry-client.ts"
import type { Contender, Prepared, Sample, Scenario } from "../scenario.ts"
import { REPOSITORY, randomImage, TAG, warmUpImage } from "./test-image.ts"

const MIB = 1024 ** 2
/** The registry's link: of all blobs together. */
const UPLINK_MBIT = 500
const UPLINK_BYTES_PER_SECOND = (UPLINK_MBIT * 1e6) / 8

/** What stands in the way of one pull. */
interface Stop {
  /** `host:port/path`, to be followed by the repository and the tag. */
  readonly host: string
  readonly pid: number
}

type OpenStop = (workspace: Workspace, originUrl: string, signal: AbortSignal) => Promise<Stop>

export const pullCold: Scenario = {
  name: "pull-cold",
  question: `a first pull by skopeo of a registry behind ${UPLINK_MBIT} Mbit/s, straight and by way of a node`,
  defaults: { sizeBytes: 256 * MIB, runs: 5 },
  figures: [
    { heading: "registry sent", note: "originCopies", unit: "times" },
    { heading: "first byte", note: "firstByteMs", unit: "ms" },
  ],
  baseline: "direct",
  generate(options): Promise<Prepared> {
    return prepareInWorkspace(async (workspace) => {
      const image = await randomImage(workspace.root, options)
      return {
        payloadBytes: image.sizeBytes,
        contenders: [
          contender("direct", "skopeo, straight from the registry", {
            image,
            workspace,
            open: direct,
          }),
          contender("sealift", "skopeo through a node that has nothing of it yet", {
            image,
            workspace,
            open: freshNode,
          }),
          contender("registry-cache", "skopeo through docker-registry as an empty cache", {
            image,
            workspace,
            open: freshCache,
          }),
        ],
      }
    })
  },
}

function contender(
  name: string,
  about: string,
  setting: { readonly image: Image; readonly workspace: Workspace; readonly open: OpenStop },
): Contender {
  const needed = name === "registry-cache" ? ["skopeo", "docker-registry"] : ["skopeo"]
  const missing = needed.filter((tool) => findTool(tool) === undefined)
  const { image, workspace, open } = setting
  return {
    name,
    about,
    missing: missing.length > 0 ? `no ${missing.join(", ")}` : undefined,
    async measure({ signal }): Promise<Sample> {
      const firstByteMs = await fresh(workspace, { image, open, signal }, async (stop) => {
        const [host, ...path] = stop.host.split("/")
        const repository = [...path, REPOSITORY].join("/")
        const pulled = await pullImage({ base: `http://${host}`, repository, tag: TAG }, { signal })
        return pulled.firstByteSeconds * 1000
      })
      return fresh(workspace, { image, open, signal }, async (stop, { origin, folder }) => {
        const reference = `${stop.host}/${REPOSITORY}:${TAG}`
        const sample = await measureSkopeo(reference, { folder, pid: stop.pid })
        const originCopies = origin.blobBytes / image.sizeBytes
        return { ...sample, notes: { originCopies, firstByteMs } }
      })
    },
  }
}

/** Does something with a registry and a stop in front of it that are new, and ends both. */
async function fresh<T>(
  parent: Workspace,
  setting: { readonly image: Image; readonly open: OpenStop; readonly signal: AbortSignal },
  act: (stop: Stop, more: { origin: OriginRegistry; folder: string }) => Promise<T>,
): Promise<T> {
  return await inWorkspace("pull", parent, async (workspace) => {
    const limit = { bytesPerSecond: UPLINK_BYTES_PER_SECOND }
    const origin = new OriginRegistry(setting.image, { repository: REPOSITORY, tag: TAG, ...limit })
    await origin.start()
    workspace.defer(() => origin.kill())
    const stop = await setting.open(workspace, origin.url, setting.signal)
    return await act(stop, { origin, folder: workspace.root })
  })
}

const direct: OpenStop = async (_workspace, originUrl) => {
  return { host: new URL(originUrl).host, pid: process.pid }
}

const freshNode: OpenStop = async (workspace, originUrl, signal) => {
  const place = { repository: REPOSITORY, tag: TAG }
  const warm = new OriginRegistry(await warmUpImage(workspace.root), place)
  await warm.start()
  workspace.defer(() => warm.kill())
  const upstreams = { origin: originUrl, warm: warm.url }
  const plan = { name: "node", folder: workspace.root, peers: [], upstreams }
  const node = await NodeProcess.start(plan, { signal })
  workspace.defer(() => node.stop())
  await pullImage({ base: node.http, repository: `warm/${REPOSITORY}`, tag: TAG }, { signal })
  return { host: `${node.host}/origin`, pid: node.pid }
}

const freshCache: OpenStop = async (workspace, originUrl) => {
  const cache = await startServer(workspace, "cache", { proxyOf: originUrl })
  return { host: cache.host, pid: cache.program.pid }
}
