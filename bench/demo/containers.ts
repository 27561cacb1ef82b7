/**
 * Containers of the demo's nodes, by podman where that really runs one here: each node has a store of
 * its own, as if it were a machine of its own.
 * @module
 */
import { existsSync } from "node:fs"
import { setTimeout as sleep } from "node:timers/promises"
import { openPodman, PODMAN_TOOLS, type Podman } from "../../test/support/podman.ts"
import { findTool, freePort, run } from "../../test/support/process.ts"
import type { Workspace } from "../../test/support/workspace.ts"
import { RUNTIME } from "./web-image.ts"

/** Name of the container on each node. */
export const CONTAINER = "web"
const TRIAL_MS_MAX = 20_000
const ANSWER_MS_MAX = 10_000
const POLL_MS = 100

/** A place for one node's container. */
export interface ContainerPlace {
  /** `rollout.allow.containers` of the node. */
  readonly allow: Readonly<Record<string, unknown>>
  /** Gives what the container answers to a GET. */
  ask(signal: AbortSignal): Promise<string>
}

/** Tells why no container can be run here; undefined: one was run. */
export async function whyNoContainers(workspace: Workspace): Promise<string | undefined> {
  const absent = PODMAN_TOOLS.find((tool) =>
    tool === "root" ? process.getuid?.() !== 0 : findTool(tool) === undefined,
  )
  if (absent !== undefined) return `${absent === "root" ? "not root" : `no ${absent}`} here`
  const podman = await openStore(workspace, "podman-trial")
  const folder = await workspace.folder("trial")
  const words = ["run", "--rm", ...runArgs(), "--rootfs", folder, RUNTIME, "--version"]
  const options = { mayFail: true, timeoutMs: TRIAL_MS_MAX }
  const { code, stdout } = await run([...podman.program, ...words], options)
  return code === 0 && stdout.includes(process.version) ? undefined : "podman runs nothing here"
}

/** Makes a place. @param name - of the node */
export async function openContainerPlace(
  workspace: Workspace,
  name: string,
): Promise<ContainerPlace> {
  const { program } = await openStore(workspace, `podman-${name}`)
  const port = await freePort()
  const args = [...runArgs(), "--env", `PORT=${port}`]
  return {
    allow: { [CONTAINER]: { runtime: "podman", program, args } },
    async ask(signal) {
      const limit = AbortSignal.any([signal, AbortSignal.timeout(ANSWER_MS_MAX)])
      for (;;) {
        const answer = await fetch(`http://127.0.0.1:${port}/`, { signal: limit }).catch(
          (error: unknown) => (limit.aborted ? Promise.reject(error) : undefined),
        )
        if (answer !== undefined) return await answer.text()
        await sleep(POLL_MS, undefined, { signal: limit })
      }
    },
  }
}

async function openStore(workspace: Workspace, name: string): Promise<Podman> {
  const podman = await openPodman(workspace, name)
  const words = [...podman.program, "rm", "--all", "--force", "--time", "1"]
  workspace.defer(() => run(words, { mayFail: true, timeoutMs: TRIAL_MS_MAX }))
  return podman
}

/** Words of `podman run`: the machine's own runtime and the libraries that it has loaded, to be read only. */
function runArgs(): readonly string[] {
  // Node 20 looks up a name for each connection otherwise; types do not know of it yet.
  Object.assign(process.report, { excludeNetwork: true })
  const { sharedObjects } = process.report.getReport() as { sharedObjects: readonly string[] }
  const libraries = sharedObjects.filter((path) => existsSync(path))
  const mounts = [`${process.execPath}:${RUNTIME}`, ...libraries.map((path) => `${path}:${path}`)]
  const network = ["--network", "host"]
  return [...network, ...mounts.flatMap((mount) => ["--volume", `${mount}:ro`])]
}
