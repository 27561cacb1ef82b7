/**
 * The runtimes that a plan can start containers by, each with its state inside the workspace.
 * @module
 */
import type { ContainerRuntime } from "../../src/rollout/allowing.ts"
import { CONTAINERD_TOOLS, startContainerd } from "./containerd.ts"
import { DOCKER_TOOLS, startDockerd } from "./dockerd.ts"
import { openPodman, PODMAN_TOOLS } from "./podman.ts"
import { run } from "./process.ts"
import type { Workspace } from "./workspace.ts"

/** A runtime, and how a test talks to it. */
export interface TestRuntime {
  readonly kind: ContainerRuntime
  /** The programs that it needs; see `missingTools`. */
  readonly tools: readonly string[]
  /** Starts it; gives the program by which it is called. */
  readonly open: (workspace: Workspace) => Promise<readonly string[]>
  /** Flags of each container. */
  readonly args: readonly string[]
  /** Words that run a command in a container. */
  readonly exec: (container: string) => readonly string[]
}

/** What a container of a test runs: a process with the id 1 does not end unless it wants to. */
export const SERVE: readonly string[] = [
  "/bin/sh",
  "-c",
  "trap 'exit 0' TERM; while true; do sleep 1; done",
]

export const PODMAN: TestRuntime = {
  kind: "podman",
  tools: PODMAN_TOOLS,
  open: async (workspace) => (await openPodman(workspace, "podman")).program,
  args: ["--network", "none"],
  exec: (container) => ["exec", container],
}

export const DOCKER: TestRuntime = {
  kind: "docker",
  tools: DOCKER_TOOLS,
  open: async (workspace) => (await startDockerd(workspace, "docker")).program,
  args: ["--network", "none"],
  exec: (container) => ["exec", container],
}

export const CONTAINERD: TestRuntime = {
  kind: "containerd",
  tools: CONTAINERD_TOOLS,
  open: async (workspace) => {
    const hostsFolder = `${workspace.root}/certs.d`
    return (await startContainerd(workspace, "containerd", { hostsFolder })).program
  },
  args: [],
  exec: (container) => ["tasks", "exec", "--exec-id", "look", container],
}

/** Gives the hash of a file that differs between the images of the tests, read inside a container. */
export async function noiseInside(
  { exec }: TestRuntime,
  program: readonly string[],
  container: string,
): Promise<string | undefined> {
  const { stdout } = await run([...program, ...exec(container), "sha256sum", "/srv/noise"])
  return stdout.split(" ")[0]
}
