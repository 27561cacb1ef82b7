/**
 * Real Sealift nodes: each a process with a data directory of its own, started by `bin/sealift.js`.
 * @module
 */
import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { existsSync, readFileSync } from "node:fs"
import { mkdir, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { packageFile } from "./package-file.ts"

const COMMAND = packageFile("bin/sealift.js")
const READY_MS_MAX = 60_000
const STOP_MS_MAX = 15_000
const POLL_MS = 25
const LOG_BYTES_MAX = 1024 * 1024

/** What `DATA/node.json` says. */
interface NodeFile {
  readonly peerId: string
  readonly http: string
  readonly p2p: readonly string[]
}

/** How a node is started. */
export interface NodePlan {
  readonly name: string
  /** Holds its data directory, which is named like the node. */
  readonly folder: string
  /** Multiaddrs of nodes that it is told of. */
  readonly peers: readonly string[]
  /** Base URL by registry name. */
  readonly upstreams: Readonly<Record<string, string>>
  /** Most that its store may use; the node's own default unless told. */
  readonly quotaBytes?: number
  /** More keys of its configuration file. */
  readonly config?: Readonly<Record<string, unknown>>
  /** More of the command line. */
  readonly flags?: readonly string[]
  /** Namespace of the lab and the node's address in it; loopback otherwise. */
  readonly place?: { readonly namespace: string; readonly address: string }
}

/** A running node. */
export class NodeProcess {
  readonly name: string
  readonly data: string
  readonly peerId: string
  /** Base URL of the front door. */
  readonly http: string
  /** Multiaddrs with its peer id. */
  readonly p2p: readonly string[]
  readonly #child: ChildProcess
  readonly #log: readonly string[]

  private constructor(plan: NodePlan, child: ChildProcess, log: readonly string[]) {
    this.name = plan.name
    this.data = join(plan.folder, plan.name)
    this.#child = child
    this.#log = log
    const file = JSON.parse(readFileSync(join(this.data, "node.json"), "utf8")) as NodeFile
    this.peerId = file.peerId
    this.http = file.http
    this.p2p = file.p2p
  }

  /** Starts a node and waits until it is ready. @throws Error with what it said if it does not start */
  static async start(plan: NodePlan, options: { signal: AbortSignal }): Promise<NodeProcess> {
    const data = join(plan.folder, plan.name)
    await mkdir(data, { recursive: true })
    const upstreams = Object.entries(plan.upstreams).map(([name, url]) => [name, { url }])
    const own = { upstreamsOnly: true, upstreams: Object.fromEntries(upstreams) }
    // YAML is a superset of JSON.
    await writeFile(join(data, "config.yaml"), JSON.stringify({ ...own, ...plan.config }))
    const inside = plan.place === undefined ? [] : ["ip", "netns", "exec", plan.place.namespace]
    const [program, ...words] = [...inside, process.execPath, ...nodeArguments(plan, data)]
    const child = spawn(program!, words, {
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, SEALIFT_LOG_FORMAT: "json" },
      // In a group of its own: a terminal's Ctrl-C goes to who started it, who then stops it.
      detached: true,
    })
    const log = keepTail(child)
    try {
      await untilReady(plan.name, { child, log, path: join(data, "node.json") }, options.signal)
      return new NodeProcess(plan, child, log)
    } catch (error) {
      await end(child)
      throw error
    }
  }

  get pid(): number {
    return this.#child.pid ?? 0
  }

  /** `127.0.0.1:PORT`: the front door as image references name it. */
  get host(): string {
    return new URL(this.http).host
  }

  /** The lines that it logged, the last megabyte of them. */
  logLines(): string[] {
    return this.#log.join("").split("\n")
  }

  /** Ends it; what it logged is kept in the folder `BENCH_LOGS`, if that is given. */
  async stop(): Promise<void> {
    await end(this.#child)
    const folder = process.env.BENCH_LOGS
    if (folder === undefined) return
    await mkdir(folder, { recursive: true })
    await writeFile(join(folder, `${this.name}.log`), this.#log.join(""))
  }
}

function nodeArguments(plan: NodePlan, data: string): string[] {
  const { peers, place, quotaBytes, flags = [] } = plan
  const told = peers.flatMap((peer) => ["--peer", peer])
  const address = place?.address ?? "127.0.0.1"
  const places = ["--http", "127.0.0.1:0", "--p2p", `/ip4/${address}/tcp/0`]
  const quota = quotaBytes === undefined ? [] : ["--quota", `${quotaBytes}B`]
  const lan = place === undefined ? [] : ["--lan", "--no-mdns"]
  return [COMMAND, "node", "--data", data, ...places, ...quota, ...lan, ...told, ...flags]
}

function keepTail(child: ChildProcess): string[] {
  const parts: string[] = []
  let size = 0
  for (const stream of [child.stdout!, child.stderr!]) {
    stream.setEncoding("utf8").on("data", (part: string) => {
      size += part.length
      parts.push(part)
      while (size > LOG_BYTES_MAX && parts.length > 1) size -= parts.shift()!.length
    })
  }
  return parts
}

async function untilReady(
  name: string,
  node: { child: ChildProcess; log: readonly string[]; path: string },
  signal: AbortSignal,
): Promise<void> {
  const limit = AbortSignal.any([signal, AbortSignal.timeout(READY_MS_MAX)])
  while (!existsSync(node.path)) {
    if (node.child.exitCode !== null) throw new Error(`${name} ended: ${node.log.join("").trim()}`)
    await sleep(POLL_MS, undefined, { signal: limit })
  }
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const exited = once(child, "exit")
  child.kill("SIGTERM")
  const timer = setTimeout(() => child.kill("SIGKILL"), STOP_MS_MAX)
  await exited
  clearTimeout(timer)
}
