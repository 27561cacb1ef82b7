/**
 * A containerd of the test's own: pulls with `ctr` and over the CRI, runs containers.
 * @module
 */
import { existsSync } from "node:fs"
import { mkdir, readdir, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { criPullImage } from "./cri-client.ts"
import { type Outcome, run, start } from "./process.ts"
import { hashFile } from "./skopeo.ts"
import type { Workspace } from "./workspace.ts"

/** The programs that it needs; see `missingTools`. */
export const CONTAINERD_TOOLS: readonly string[] = ["root", "containerd", "ctr", "runc"]

/** A running containerd. */
export interface Containerd {
  /** `ctr` and the words that lead it here, for others to run. */
  readonly program: readonly string[]
  /** Pulls with `ctr`, through the mirrors of the hosts folder. */
  pull(reference: string, options?: { mayFail?: boolean }): Promise<Outcome>
  /** Pulls over the CRI, as the kubelet does; gives the image id. */
  criPull(reference: string): Promise<string>
  /** Digest that a pulled reference names. */
  digestOf(reference: string): Promise<string>
  /** Hashes every blob of the content store. @throws Error when one is not what its name says */
  hashContent(): Promise<readonly string[]>
  /** Runs a command in a new container and gives what it printed. */
  runContainer(reference: string, command: readonly string[]): Promise<string>
}

/** Where a containerd runs and what it is told. */
export interface ContainerdOptions {
  /** Folder of `<registry>/hosts.toml`; made when it is not there. */
  readonly hostsFolder: string
  readonly namespace?: string
  /** Prefix of all its programs; see `newer-debian.ts`. */
  readonly inside?: readonly string[] | undefined
}

/** Starts a containerd with its whole state in the workspace. */
export async function startContainerd(
  workspace: Workspace,
  name: string,
  options: ContainerdOptions,
): Promise<Containerd> {
  const folder = await workspace.folder(name)
  await mkdir(options.hostsFolder, { recursive: true })
  const socket = join(folder, "c.sock")
  const config = join(folder, "config.toml")
  await writeFile(config, describeConfig(folder, socket, options.hostsFolder))
  const program = await start(["containerd", "--config", config], {
    namespace: options.namespace,
    inside: options.inside,
    isReady: async () =>
      existsSync(socket) &&
      (
        await run(["ctr", "--address", socket, "version"], {
          inside: options.inside,
          mayFail: true,
        })
      ).code === 0,
  })
  workspace.defer(() => program.stop())
  return describeContainerd(folder, socket, options)
}

function describeConfig(folder: string, socket: string, hostsFolder: string): string {
  const text = (value: string) => JSON.stringify(value)
  return [
    "version = 2",
    `root = ${text(join(folder, "root"))}`,
    `state = ${text(join(folder, "state"))}`,
    `[grpc]\naddress = ${text(socket)}`,
    `[ttrpc]\naddress = ${text(`${socket}.ttrpc`)}`,
    `[plugins."io.containerd.internal.v1.opt"]\npath = ${text(join(folder, "opt"))}`,
    '[plugins."io.containerd.grpc.v1.cri"]\nstream_server_address = "127.0.0.1"',
    `[plugins."io.containerd.grpc.v1.cri".registry]\nconfig_path = ${text(hostsFolder)}`,
    `[plugins."io.containerd.grpc.v1.cri".cni]\nconf_dir = ${text(join(folder, "cni"))}`,
  ].join("\n")
}

function describeContainerd(
  folder: string,
  socket: string,
  options: ContainerdOptions,
): Containerd {
  const { hostsFolder, namespace, inside } = options
  const ctr = (args: readonly string[], mayFail = false) =>
    run(["ctr", "--address", socket, ...args], { namespace, inside, mayFail })
  const blobs = join(folder, "root/io.containerd.content.v1.content/blobs/sha256")
  let containers = 0
  return {
    program: [...(inside ?? []), "ctr", "--address", socket],
    pull: (reference, more) =>
      ctr(["images", "pull", "--hosts-dir", hostsFolder, reference], more?.mayFail ?? false),
    criPull: (reference) => criPullImage(socket, reference),
    async digestOf(reference) {
      const { stdout } = await ctr(["images", "ls", `name==${reference}`])
      return /sha256:[0-9a-f]{64}/.exec(stdout)?.[0] ?? "no such image"
    },
    async hashContent() {
      const names = await readdir(blobs)
      for (const name of names)
        if ((await hashFile(join(blobs, name))) !== name) throw new Error(`${name} is corrupt`)
      return names.map((name) => `sha256:${name}`)
    },
    async runContainer(reference, command) {
      const { stdout } = await ctr(["run", "--rm", reference, `c${containers++}`, ...command])
      return stdout
    },
  }
}

/** Writes a `hosts.toml` by hand that sends a registry's pulls to a mirror. */
export async function writeHostsToml(
  hostsFolder: string,
  registry: string,
  mirror: string,
): Promise<void> {
  await mkdir(join(hostsFolder, registry), { recursive: true })
  const lines = [
    `server = "http://${registry}"`,
    `[host."${mirror}"]`,
    'capabilities = ["pull", "resolve"]',
  ]
  await writeFile(join(hostsFolder, registry, "hosts.toml"), `${lines.join("\n")}\n`)
}
