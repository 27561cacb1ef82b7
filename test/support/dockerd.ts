/**
 * A dockerd of the test's own, without bridge or firewall rules.
 * @module
 */
import { writeFile } from "node:fs/promises"
import { join } from "node:path"
import { type Outcome, run, start } from "./process.ts"
import type { Workspace } from "./workspace.ts"

/** The programs that it needs; see `missingTools`. */
export const DOCKER_TOOLS: readonly string[] = ["root", "dockerd", "docker", "containerd", "runc"]

/** A running dockerd. */
export interface Dockerd {
  /** `docker` and the words that lead it here, for others to run. */
  readonly program: readonly string[]
  docker(...args: readonly string[]): Promise<Outcome>
}

/** Starts a dockerd; `config` adds keys to its daemon.json, `inside` see `newer-debian.ts`. */
export async function startDockerd(
  workspace: Workspace,
  name: string,
  config: Readonly<Record<string, unknown>> = {},
  inside?: readonly string[],
): Promise<Dockerd> {
  const folder = await workspace.folder(name)
  const socket = `unix://${join(folder, "d.sock")}`
  const file = join(folder, "daemon.json")
  const own = {
    "data-root": join(folder, "data"),
    "exec-root": join(folder, "exec"),
    pidfile: join(folder, "d.pid"),
    hosts: [socket],
    bridge: "none",
    iptables: false,
    "ip-forward": false,
  }
  await writeFile(file, JSON.stringify({ ...config, ...own }))
  const docker = (args: readonly string[], mayFail: boolean) =>
    run(["docker", "--host", socket, ...args], {
      mayFail,
      inside,
      env: { DOCKER_CONFIG: join(folder, "client") },
    })
  const daemon = await start(["dockerd", "--config-file", file], {
    inside,
    isReady: async () => (await docker(["version"], true)).code === 0,
  })
  workspace.defer(() => daemon.stop())
  const program = [...(inside ?? []), "docker", "--host", socket]
  return { program, docker: (...args) => docker(args, false) }
}
