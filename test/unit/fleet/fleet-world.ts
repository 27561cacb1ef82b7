/** Nodes of a fleet in one hub: true keys, true files in a temporary folder, and a clock. */
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join, relative } from "node:path"
import { type Clock, systemClock } from "../../../src/core/clock.ts"
import { silentLogger } from "../../../src/core/log.ts"
import { Administration } from "../../../src/fleet/administration.ts"
import { FleetHolder } from "../../../src/fleet/fleet-holder.ts"
import { type FleetHome, openFleetHome } from "../../../src/fleet/fleet-home.ts"
import { openMembership } from "../../../src/fleet/fleet-opening.ts"
import { peerSources } from "../../../src/fleet/peer-source.ts"
import type { SelfStanding } from "../../../src/fleet/self-standing.ts"
import { TufExchange } from "../../../src/fleet/tuf-exchange.ts"
import {
  createMemoryHub,
  type HubOptions,
  type MemoryHub,
} from "../../../src/net/memory-network.ts"
import type { PeerNetwork } from "../../../src/net/net.ts"
import { diskFiles } from "../../../src/trust/tuf/disk-files.ts"
import type { TufFiles } from "../../../src/trust/tuf/tuf-source.ts"

/** Where making a file durable costs nothing: an act does it a dozen times. */
const FOLDER = existsSync("/dev/shm") ? "/dev/shm" : tmpdir()
export const DAY_MS = 86_400_000
export const HOUR_MS = 3_600_000
const MET_WITHIN_MS = 200

/** A clock whose wall time a test moves; its timers are the machine's. */
export class MovedClock implements Clock {
  movedMs = 0
  now(): number {
    return Date.now() + this.movedMs
  }
  monotonicMs(): number {
    return performance.now() + this.movedMs
  }
  after(delayMs: number, callback: () => void): () => void {
    return systemClock.after(delayMs, callback)
  }
  sleep(delayMs: number, options?: { signal?: AbortSignal | undefined }): Promise<void> {
    return systemClock.sleep(delayMs, options)
  }
}

/** A node with everything of this room. */
export interface FleetNode {
  readonly net: PeerNetwork
  readonly home: FleetHome
  readonly fleet: FleetHolder
  readonly exchange: TufExchange
  readonly desk: Administration
  stop(): Promise<void>
}

/** A hub and its nodes; closing it removes all. */
export class FleetWorld {
  readonly clock: MovedClock = new MovedClock()
  readonly hub: MemoryHub
  readonly root: string = mkdtempSync(join(FOLDER, "sealift-fleet-"))
  readonly #nodes = new Set<FleetNode>()

  constructor(options: Omit<HubOptions, "clock"> = {}) {
    this.hub = createMemoryHub({ ...options, clock: this.clock })
  }

  folderOf(name: string): string {
    return join(this.root, name, "fleet")
  }

  /** Starts a node; one of the same name was stopped before, and is the same node again. */
  async node(
    name: string,
    options: { files?: TufFiles; self?: SelfStanding } = {},
  ): Promise<FleetNode> {
    const { clock } = this
    const folder = this.folderOf(name)
    const home = openFleetHome(folder, options.files ?? diskFiles(join(folder, "tuf")))
    const log = silentLogger
    const fleet: FleetHolder = new FleetHolder({ log, onCut: async () => await net.recheck() })
    const seed = Buffer.alloc(32, name)
    const net = this.hub.join({ seed, admission: fleet })
    await openMembership(
      { home, clock, log, peer: net.id, remotes: () => peerSources({ net, clock }) },
      fleet,
    )
    const exchange = new TufExchange({ net, fleet, clock, log })
    const desk = await Administration.open(
      { home, net, fleet, exchange, clock, log, self: options.self },
      { version: "0.1.0", labels: { arch: "arm64" }, metWithinMs: MET_WITHIN_MS },
    )
    exchange.start()
    await desk.start()
    const node = {
      ...{ net, home, fleet, exchange, desk },
      stop: async () => {
        this.#nodes.delete(node)
        await exchange.stop()
        await desk.stop()
        await net.stop()
      },
    }
    this.#nodes.add(node)
    return node
  }

  /** Starts a fleet's first node. What founding writes is written once and copied. */
  async founder(name = "first"): Promise<FleetNode> {
    const founded = templates.get(name) ?? found(name)
    templates.set(name, founded)
    for (const { path, bytes, mode } of await founded) {
      const copy = join(this.folderOf(name), path)
      mkdirSync(dirname(copy), { recursive: true, mode: 0o700 })
      writeFileSync(copy, bytes, { mode })
    }
    return this.node(name)
  }

  /** Starts a node and lets it in by an invite. */
  async joiner(issuer: FleetNode, name: string, group?: string): Promise<FleetNode> {
    const { token } = await issuer.desk.invite({
      lifeMs: HOUR_MS,
      ...(group === undefined ? {} : { group }),
    })
    const node = await this.node(name)
    await node.desk.join(token, { signal: AbortSignal.timeout(5_000) })
    return node
  }

  /** A fleet whose first node is connected to some nodes, each of them to one of the next, and so on. */
  async chain(size: {
    readonly nodes: number
    readonly width: number
  }): Promise<{ first: FleetNode; nodes: readonly FleetNode[] }> {
    const first = await this.founder()
    const nodes: FleetNode[] = []
    for (let index = 0; index < size.nodes; index++) nodes.push(await this.node(`node-${index}`))
    for (const { net } of nodes) await first.desk.admit({ peer: net.id, groups: [], labels: {} })
    const token = `${first.fleet.membership!.fleet}@${first.net.addresses()[0]}`
    const signal = AbortSignal.timeout(60_000)
    await Promise.all(nodes.map((node) => node.desk.join(token, { signal })))
    const all = [first, ...nodes].map(({ net }) => net.id)
    this.hub.partition(all.map((id) => [id]))
    this.hub.heal()
    for (const [index, { net }] of nodes.entries()) {
      const before = nodes[index - size.width] ?? first
      this.hub.connect(before.net.id, net.id)
    }
    return { first, nodes }
  }

  async close(): Promise<void> {
    for (const node of [...this.#nodes]) await node.stop()
    rmSync(this.root, { recursive: true, force: true })
  }
}

/** What founding writes, by the name of the first node: in memory, since test files share a process. */
const templates = new Map<string, Promise<readonly FoundedFile[]>>()

interface FoundedFile {
  /** Below the node's folder of the fleet. */
  readonly path: string
  readonly bytes: Uint8Array
  readonly mode: number
}

async function found(name: string): Promise<readonly FoundedFile[]> {
  const world = new FleetWorld()
  const node = await world.node(name)
  await node.desk.init({ name: "lab" })
  const folder = world.folderOf(name)
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true })
  const files = entries.filter((entry) => entry.isFile())
  const founded = files.map((entry) => {
    const path = join(entry.parentPath, entry.name)
    const { mode } = statSync(path)
    return { path: relative(folder, path), bytes: readFileSync(path), mode }
  })
  await world.close()
  return founded
}

/** Waits until something is so, and fails when it is not so soon. */
export async function eventually(isSo: () => boolean, withinMs = 3_000): Promise<void> {
  const startMs = performance.now()
  while (!isSo()) {
    if (performance.now() - startMs > withinMs) throw new Error(`not so within ${withinMs} ms`)
    await new Promise((resolve) => setImmediate(resolve))
  }
}
