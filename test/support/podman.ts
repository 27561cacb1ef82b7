/**
 * podman with its whole state inside the workspace, and a view of `/etc` of its own.
 * @module
 */
import { existsSync } from "node:fs"
import { mkdir, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { type Outcome, run } from "./process.ts"
import type { Workspace } from "./workspace.ts"

/** The programs that it needs; see `missingTools`. */
export const PODMAN_TOOLS: readonly string[] = ["root", "podman", "runc", "unshare"]

/** podman on its own storage. */
export interface Podman {
  /** The program and the words that lead it to its storage, for others to run. */
  readonly program: readonly string[]
  podman(...args: readonly string[]): Promise<Outcome>
}

// As root in a virtual machine runc may not raise these limits to podman's defaults.
const CONTAINERS_CONF = `[containers]
default_ulimits = ["nofile=20000:20000", "nproc=20000:20000"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
`

/**
 * Prepares podman.
 * @param etcFolder - a folder whose `containers/registries.conf.d` stands in for that of `/etc`, in a
 * mount namespace of its own
 */
export async function openPodman(
  workspace: Workspace,
  name: string,
  options: { readonly etcFolder?: string; readonly inside?: readonly string[] | undefined } = {},
): Promise<Podman> {
  const folder = await workspace.folder(name)
  const conf = join(folder, "containers.conf")
  await writeFile(conf, CONTAINERS_CONF)
  const places = ["--root", join(folder, "root"), "--runroot", join(folder, "run")]
  const command = ["podman", ...places, "--tmpdir", join(folder, "tmp")]
  const inside = [...(options.inside ?? []), ...(await underEtc(options.etcFolder))]
  const env = { CONTAINERS_CONF: conf, TMPDIR: folder }
  const variables = Object.entries(env).map(([variable, value]) => `${variable}=${value}`)
  return {
    program: [...inside, "/usr/bin/env", ...variables, ...command],
    podman: (...args) => run([...inside, ...command, ...args], { env }),
  }
}

const REGISTRIES_FOLDER = "containers/registries.conf.d"

/** A prefix that runs a command with another `/etc/containers/registries.conf.d`. */
export async function underEtc(etcFolder: string | undefined): Promise<readonly string[]> {
  if (etcFolder === undefined) return []
  const own = join(etcFolder, REGISTRIES_FOLDER)
  if (!existsSync(own)) await mkdir(own, { recursive: true })
  const script = `mount --bind "$0" /etc/${REGISTRIES_FOLDER} && exec "$@"`
  return ["unshare", "--mount", "sh", "-c", script, own]
}
