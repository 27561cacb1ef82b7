/**
 * Real Sealift nodes, each its own process with its own data directory.
 * @module
 */
import { existsSync } from "node:fs"
import { readFile, rm, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { stringify } from "yaml"
import { type Outcome, type Program, run, start } from "./process.ts"
import type { Workspace } from "./workspace.ts"

const COMMAND = fileURLToPath(new URL("../../bin/sealift.js", import.meta.url))
const READY_TIMEOUT_MS = 60_000
const OUTPUT_SHOWN = 600

/** How a node of a test is configured. */
export interface NodeOptions {
  /** Name of its folder in the workspace; the same name again restarts on the same data. */
  readonly name: string
  readonly peers?: readonly string[]
  /** Base URL by registry name. */
  readonly upstreams?: Readonly<Record<string, string>>
  /** More keys of the configuration file. */
  readonly config?: Readonly<Record<string, unknown>>
  /** Start with the configuration file as it is (after `sealift setup` wrote to it). */
  readonly keepConfig?: boolean
  readonly flags?: readonly string[]
  readonly lan?: boolean
  /** `127.0.0.1:port` of the front door; a free port otherwise. */
  readonly http?: string
  /** Namespace of the lab and this node's address in it; loopback otherwise. */
  readonly place?: { readonly namespace: string; readonly address: string }
  readonly env?: Readonly<Record<string, string>>
}

/** A running node. */
export interface SealiftNode {
  readonly name: string
  readonly data: string
  /** `http://127.0.0.1:port`. */
  readonly http: string
  /** `127.0.0.1:port`: the front door as image references name it. */
  readonly host: string
  readonly peerId: string
  /** Multiaddresses with the peer id, for another node's `peers`. */
  readonly p2p: readonly string[]
  readonly program: Program
  /** Sum of the samples of a metric, over those whose labels hold all of `labels`. */
  metric(name: string, labels?: Readonly<Record<string, string>>): Promise<number>
  /** Runs a command of the command line against this node. */
  sealift(...args: readonly string[]): Promise<Outcome>
  stop(): Promise<number>
  kill9(): Promise<number>
}

interface NodeFile {
  readonly peerId: string
  readonly http: string
  readonly p2p: readonly string[]
}

/** Starts a node and waits until it is ready. */
export async function startNode(workspace: Workspace, options: NodeOptions): Promise<SealiftNode> {
  const data = await workspace.folder(options.name)
  if (options.keepConfig !== true)
    await writeFile(join(data, "config.yaml"), stringify(describeConfig(options)))
  const nodeFile = join(data, "node.json")
  // A node that was killed leaves it behind, and it must not be taken for the new one's.
  await rm(nodeFile, { force: true })
  const program = await start([process.execPath, COMMAND, ...nodeArguments(options, data)], {
    namespace: options.place?.namespace,
    isReady: () => existsSync(nodeFile),
    readyTimeoutMs: READY_TIMEOUT_MS,
    env: { SEALIFT_LOG_FORMAT: "json", ...options.env },
  })
  const kept = keepLog(options.name, program)
  workspace.defer(kept.stop)
  const file = JSON.parse(await readFile(nodeFile, "utf8")) as NodeFile
  return describeNode(options, data, { ...program, ...kept }, file)
}

/** Tells of a node that died by itself; keeps its words in the folder SEALIFT_TEST_LOGS, if given. */
function keepLog(name: string, program: Program): Pick<Program, "stop" | "kill9"> {
  let isWanted = false
  let isKilled = false
  program.exited.then(async (code) => {
    const folder = process.env.SEALIFT_TEST_LOGS
    const path = `${name}-${program.pid}.log`
    if (folder !== undefined) await writeFile(join(folder, path), program.output())
    if (isKilled || (isWanted && code === 0)) return
    const words = isWanted ? "ended with" : "DIED with"
    process.stderr.write(
      `node ${path} ${words} ${code}: ${program.output().slice(-OUTPUT_SHOWN)}\n`,
    )
  })
  const stop = () => {
    isWanted = true
    return program.stop()
  }
  const kill9 = () => {
    isKilled = true
    return program.kill9()
  }
  return { stop, kill9 }
}

function describeConfig(options: NodeOptions): Record<string, unknown> {
  const upstreams = Object.entries(options.upstreams ?? {}).map(([name, url]) => [name, { url }])
  return { upstreamsOnly: true, upstreams: Object.fromEntries(upstreams), ...options.config }
}

function nodeArguments(options: NodeOptions, data: string): string[] {
  const address = options.place?.address ?? "127.0.0.1"
  const peers = (options.peers ?? []).flatMap((peer) => ["--peer", peer])
  const places = ["--http", options.http ?? "127.0.0.1:0", "--p2p", `/ip4/${address}/tcp/0`]
  const lan = options.lan === true ? ["--lan"] : ["--no-mdns"]
  const flags = [...places, ...lan, ...peers, ...(options.flags ?? [])]
  return ["node", "--data", data, ...flags]
}

function describeNode(
  options: NodeOptions,
  data: string,
  program: Program,
  file: NodeFile,
): SealiftNode {
  const namespace = options.place?.namespace
  return {
    name: options.name,
    data,
    http: file.http,
    host: new URL(file.http).host,
    peerId: file.peerId,
    p2p: file.p2p,
    program,
    metric: async (name, labels) => {
      const { stdout } = await run(["curl", "-sf", `${file.http}/metrics`], { namespace })
      return sumSamples(stdout, name, labels ?? {})
    },
    sealift: (...args) =>
      run([process.execPath, COMMAND, ...args, "--data", data], { mayFail: true, namespace }),
    stop: () => program.stop(),
    kill9: () => program.kill9(),
  }
}

/** Reads the Prometheus text format. */
function sumSamples(text: string, name: string, labels: Readonly<Record<string, string>>): number {
  const wanted = Object.entries(labels).map(([key, value]) => `${key}="${value}"`)
  return text
    .split("\n")
    .filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `))
    .filter((line) => wanted.every((label) => line.includes(label)))
    .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(" "))), 0)
}

/** Gives the resident memory of a process, bytes. */
export async function residentBytes(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, "utf8")
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1]) * 1024
}
