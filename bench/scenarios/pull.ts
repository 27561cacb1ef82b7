/**
 * A pull from a warm local node against one from a plain local registry and from that registry as a
 * pull-through cache, all by skopeo, from tmpfs to tmpfs: what does it cost to have a node in the way?
 * @module
 */
import { startServer } from "../../test/support/docker-registry.ts"
import { findTool, run } from "../../test/support/process.ts"
import type { Workspace } from "../../test/support/workspace.ts"
import { measureSkopeo } from "../http-pull.ts"
import { NodeProcess } from "../node-process.ts"
import { OriginRegistry } from "../origin-registry.ts"
import { prepareInWorkspace } from "../prepared-workspace.ts"
import type { BenchOptions, Contender, Prepared, Scenario } from "../scenario.ts"
import { REPOSITORY, randomImage, TAG } from "./test-image.ts"

const MIB = 1024 ** 2
const NEEDED = ["skopeo", "docker-registry"]

export const pull: Scenario = {
  name: "pull",
  question: "a pull by skopeo from a warm node and from a plain registry on the same machine",
  defaults: { sizeBytes: 256 * MIB, runs: 7 },
  baseline: "docker-registry",
  async generate(options, { signal }): Promise<Prepared> {
    const missing = NEEDED.filter((name) => findTool(name) === undefined)
    if (missing.length > 0) throw new Error(`this scenario needs ${missing.join(" and ")}`)
    return prepareInWorkspace((workspace) => prepare(workspace, options, signal))
  },
}

async function prepare(
  workspace: Workspace,
  options: BenchOptions,
  signal: AbortSignal,
): Promise<Omit<Prepared, "close">> {
  const image = await randomImage(workspace.root, options)
  const origin = new OriginRegistry(image, { repository: REPOSITORY, tag: TAG })
  await origin.start()
  workspace.defer(() => origin.kill())
  const registry = await startServer(workspace, "registry")
  const cache = await startServer(workspace, "cache", { proxyOf: origin.url })
  const source = `docker://${new URL(origin.url).host}/${REPOSITORY}:${TAG}`
  const target = `docker://${registry.host}/${REPOSITORY}:${TAG}`
  const flags = ["--quiet", "--src-tls-verify=false", "--dest-tls-verify=false"]
  await run(["skopeo", "copy", ...flags, source, target])
  const upstreams = { origin: origin.url }
  const plan = { name: "node", folder: workspace.root, peers: [], upstreams }
  const node = await NodeProcess.start(plan, { signal })
  workspace.defer(() => node.stop())
  const contenders: Contender[] = [
    contender("docker-registry", `${registry.host}/${REPOSITORY}:${TAG}`, registry.program.pid),
    contender("registry-cache", `${cache.host}/${REPOSITORY}:${TAG}`, cache.program.pid),
    contender("sealift", `${node.host}/origin/${REPOSITORY}:${TAG}`, node.pid),
  ]
  function contender(name: string, reference: string, pid: number): Contender {
    const server = { folder: workspace.root, pid }
    const about = `skopeo copy docker://${reference} to a folder`
    return { name, about, missing: undefined, measure: () => measureSkopeo(reference, server) }
  }
  // In the round that is not counted the node and the cache get the image.
  return { contenders, payloadBytes: image.sizeBytes }
}
