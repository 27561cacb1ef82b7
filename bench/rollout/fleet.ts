/**
 * A fleet of real nodes for rollouts: an anchor that is desk, gate and controller, and nodes of one group,
 * each on a host of its own, made by what an operator types or asks the control socket.
 * @module
 */
import { execFile } from "node:child_process"
import { mkdir, rename, writeFile } from "node:fs/promises"
import { join } from "node:path"
import type { LogReport } from "../../src/api/log-api.ts"
import type { PlanAnswer, RolloutAnswer } from "../../src/api/rollout-api.ts"
import type { LoggedEvent } from "../../src/audit/event.ts"
import { type ControlClient, connectToNode } from "../../src/cli/control-client.ts"
import type { LabHost } from "../../test/support/network-lab.ts"
import type { Workspace } from "../../test/support/workspace.ts"
import { NodeProcess } from "../node-process.ts"
import { packageFile } from "../package-file.ts"

const COMMAND = packageFile("bin/sealift.js")
const COMMAND_MS_MAX = 60_000
/** Nodes that are started and let in at one time: more wait for two cores anyway. */
const AT_ONCE = 3
const LOGGED_MAX = 10_000
export const PARTIES: readonly string[] = ["owner", "safety"]
export const GROUP = "edge"

export interface FleetPlace {
  readonly workspace: Workspace
  /** The anchor's, and one for each node. */
  readonly hosts: readonly LabHost[]
  readonly signal: AbortSignal
}

/** A node of the fleet, and the way to ask it. */
export interface FleetNode {
  readonly process: NodeProcess
  readonly client: ControlClient
}

/** What happened on one node. */
export interface NodeLogs {
  readonly peer: string
  readonly events: readonly LoggedEvent[]
}

export class RolloutFleet {
  readonly anchor: FleetNode
  readonly nodes: readonly FleetNode[]
  /** Where links are set: a folder for each node by its peer id. */
  readonly site: string
  readonly #place: FleetPlace
  readonly #events = new Map<string, readonly LoggedEvent[]>()

  /** Starts everything; the workspace ends it. */
  static async found(place: FleetPlace): Promise<RolloutFleet> {
    const { workspace, hosts } = place
    const [first, ...others] = hosts
    const anchor = await startOn(place, "anchor", first!)
    await anchor.client.ask("POST", "/v1/fleet/init", { name: "lab" })
    const keys = await workspace.folder("parties")
    for (const party of PARTIES) {
      await sealift(undefined, "party", "init", party, "--out", join(keys, `${party}.key`))
    }
    const named = PARTIES.flatMap((one) => ["--party", `${one}=${join(keys, `${one}.key.pub`)}`])
    await sealift(anchor, "fleet", "policy", "set", "acme", ...named)
    const nodes = await eachAtOnce(others, (host, index) => {
      return joined(place, anchor, { name: `node-${index}`, host })
    })
    const site = await workspace.folder("site")
    for (const { process } of nodes) await mkdir(join(site, process.peerId))
    return new RolloutFleet(place, { anchor, nodes, site })
  }

  private constructor(place: FleetPlace, made: Pick<RolloutFleet, "anchor" | "nodes" | "site">) {
    this.#place = place
    this.anchor = made.anchor
    this.nodes = made.nodes
    this.site = made.site
  }

  /** Publishes files for the group, held by the gate, and has every party approve. @returns `NAME@N` */
  async publish(
    name: string,
    files: Readonly<Record<string, string | Uint8Array>>,
    ...flags: readonly string[]
  ): Promise<string> {
    const folder = join(this.#place.workspace.root, "published", name)
    await mkdir(folder, { recursive: true })
    for (const [path, content] of Object.entries(files))
      await writeFile(join(folder, path), content)
    const words = ["publish", name, folder, "--seal", "--hold", "--audience", GROUP, ...flags]
    const ref = await sealift(this.anchor, ...words)
    for (const party of PARTIES) {
      await sealift(this.anchor, "approve", ref, "--key", join(this.#keys, `${party}.key`))
    }
    return ref
  }

  /** Takes the parties' keys away, so that nobody can sign; gives the way back. */
  async withoutParties(): Promise<() => Promise<void>> {
    const away = join(this.#place.workspace.root, "away")
    await rename(this.#keys, away)
    return () => rename(away, this.#keys)
  }

  /** Makes a plan of a file's keys. */
  async plan(plan: object): Promise<PlanAnswer> {
    return await this.anchor.client.ask<PlanAnswer>("POST", "/v1/rollouts", { plan, dryRun: false })
  }

  /** Decides by hand, as an operator types it. */
  async act(name: string, act: "start" | "abort" | "rollback"): Promise<void> {
    await sealift(this.anchor, "rollout", act, name)
  }

  async status(name: string): Promise<RolloutAnswer> {
    return await this.anchor.client.ask<RolloutAnswer>("GET", `/v1/rollouts/${name}`)
  }

  /** What is in the log of a node; only what is new is asked for. @throws Error when events were lost */
  async log({ process, client }: FleetNode): Promise<NodeLogs> {
    const before = this.#events.get(process.peerId) ?? []
    const range = `start=${before.length}&count=${LOGGED_MAX}`
    const report = await client.ask<LogReport>("GET", `/v1/log?${range}`)
    const events = [...before, ...report.events]
    if (report.droppedCount > 0 || events.length < report.size) {
      throw new Error(`${process.name} has ${events.length} of ${report.size} events`)
    }
    this.#events.set(process.peerId, events)
    return { peer: process.peerId, events }
  }

  get #keys(): string {
    return join(this.#place.workspace.root, "parties")
  }
}

/** Runs a command that must work. @returns what it answered */
export async function sealift(
  node: FleetNode | undefined,
  ...words: readonly string[]
): Promise<string> {
  const data = node === undefined ? [] : ["--data", node.process.data]
  const { promise, resolve, reject } = Promise.withResolvers<string>()
  const options = { timeout: COMMAND_MS_MAX, encoding: "utf8" as const }
  const argv = [COMMAND, ...words, ...data, "--quiet"]
  execFile(process.execPath, argv, options, (error, stdout, stderr) => {
    if (error === null) resolve(stdout.trim())
    else reject(new Error(`sealift ${words.slice(0, 2).join(" ")}: ${stderr.trim()}`))
  })
  return await promise
}

async function joined(
  place: FleetPlace,
  anchor: FleetNode,
  { name, host }: { readonly name: string; readonly host: LabHost },
): Promise<FleetNode> {
  const node = await startOn(place, name, host)
  const invite = await anchor.client.ask<{ token: string }>("POST", "/v1/fleet/invite", {
    group: GROUP,
  })
  await node.client.ask("POST", "/v1/fleet/join", { token: invite.token })
  return node
}

async function startOn(
  { workspace, signal }: FleetPlace,
  name: string,
  host: LabHost,
): Promise<FleetNode> {
  const plan = { name, folder: workspace.root, peers: [], upstreams: {}, flags: ["--no-mdns"] }
  const process = await NodeProcess.start({ ...plan, place: host }, { signal })
  workspace.defer(() => process.stop())
  return { process, client: await connectToNode(process.data, { signal }) }
}

/** Works on all, a few at one time, and gives what comes of it in their order. */
export async function eachAtOnce<Item, Result>(
  items: readonly Item[],
  work: (item: Item, index: number) => Promise<Result>,
): Promise<readonly Result[]> {
  const results: Result[] = []
  const left = items.entries()
  const worker = async () => {
    for (const [index, item] of left) results[index] = await work(item, index)
  }
  await Promise.all(Array.from({ length: AT_ONCE }, worker))
  return results
}
