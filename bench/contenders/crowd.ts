/**
 * One measured fan-out: one seeder and many fetchers, each a process on a host of its own. All are
 * started and connected first and told to fetch at the same moment.
 * @module
 */
import { mkdirSync } from "node:fs"
import { join } from "node:path"
import type { LabHost } from "../../test/support/network-lab.ts"
import { run } from "../../test/support/process.ts"
import { type PeerMessage, PeerProcess } from "../peer-process.ts"
import type { Sample, Usage } from "../scenario.ts"
import { spreadOf } from "../statistics.ts"
import { removeFolder, verifyCopy, type Workload } from "../workload.ts"

type Command = readonly [program: string, ...args: string[]]

/** What is to be moved, and between whom. */
export interface Crowd {
  readonly workload: Workload
  /** The seeder's first, then the fetchers'. */
  readonly hosts: readonly LabHost[]
  /** Each host's link, each way. */
  readonly rateMbit: number
  /** Tools that the network needs and that are not there. */
  readonly missing: readonly string[]
}

/** How one contender's processes are started. */
export interface CrowdPlan extends Omit<Crowd, "missing"> {
  readonly name: string
  readonly environment?: Readonly<Record<string, string>>
  /** Says `ready` with what {@link addressOf} takes. */
  seedCommand(host: LabHost): Command
  /**
   * Says `ready` likewise, is told `{addresses}`, says `connected`, is told to go, says `done`.
   * @param folder - empty, for what arrives
   */
  leechCommand(host: LabHost, folder: string): Command
  /** What others are told of one that is ready. */
  addressOf(ready: PeerMessage): unknown
  /** Where the file lies once a fetcher is done. */
  arrivedPath(folder: string): string
  /** The last bytes reach the file when a fetcher is told that all is over: it says `stopped` then. */
  readonly writesLate?: boolean
}

/** Measures once; `seconds` is when the last one had all. */
export async function measureCrowd(plan: CrowdPlan, signal: AbortSignal): Promise<Sample> {
  const { workload, hosts } = plan
  const folder = join(workload.folder, "arrived")
  mkdirSync(folder)
  const started: PeerProcess[] = []
  const start = (host: LabHost, command: Command) => {
    const inside: Command = ["ip", "netns", "exec", host.namespace, ...command]
    const options = { signal, environment: plan.environment ?? {} }
    const peer = new PeerProcess(`${plan.name} on ${host.address}`, inside, options)
    started.push(peer)
    return peer
  }
  try {
    const seed = start(hosts[0]!, plan.seedCommand(hosts[0]!))
    const known = [plan.addressOf(await readyOf(seed))]
    const leeches: { peer: PeerProcess; folder: string }[] = []
    for (const [index, host] of hosts.slice(1).entries()) {
      const own = join(folder, `host${index}`)
      mkdirSync(own)
      leeches.push({ peer: start(host, plan.leechCommand(host, own)), folder: own })
    }
    // Each is told of those before it, so that each pair meets once.
    for (const { peer } of leeches) {
      const ready = await readyOf(peer)
      peer.tell({ addresses: known })
      known.push(plan.addressOf(ready))
      await peer.next("connected")
    }
    const sentBefore = await sentBytes(hosts[0]!)
    for (const peer of started) peer.startUsage()
    for (const { peer } of leeches) peer.tell({})
    const done = await Promise.all(leeches.map(({ peer }) => peer.next("done")))
    const seedCopies = ((await sentBytes(hosts[0]!)) - sentBefore) / workload.sizeBytes
    const usage = { seed: seed.usage(), leeches: sumOf(leeches.map(({ peer }) => peer.usage())) }
    if (plan.writesLate === true) await stopAll(leeches.map(({ peer }) => peer))
    for (const leech of leeches) verifyCopy(workload, plan.arrivedPath(leech.folder))
    const times = done.map(({ seconds }) => Number(seconds))
    const ideal = (workload.sizeBytes * 8) / (plan.rateMbit * 1e6)
    const { median, max } = spreadOf(times)
    const wasted = done.reduce((sum, { wastedBytes }) => sum + Number(wastedBytes ?? 0), 0)
    const wastedShare = wasted / (leeches.length * workload.sizeBytes)
    const notes = { wastedShare, p50: median / ideal, last: max / ideal, seedCopies, times }
    return { seconds: max, usage, notes }
  } finally {
    await Promise.all(started.map((peer) => peer.stop()))
    removeFolder(folder)
  }
}

/** Waits until a side is ready, which may be driven by a process that is not the one to be measured. */
async function readyOf(peer: PeerProcess): Promise<PeerMessage> {
  const ready = await peer.next("ready")
  if (ready.pid !== undefined) peer.measure(Number(ready.pid))
  return ready
}

async function stopAll(peers: readonly PeerProcess[]): Promise<void> {
  for (const peer of peers) peer.tell({})
  await Promise.all(peers.map((peer) => peer.next("stopped")))
}

/** Bytes that left a host, with all headers. */
async function sentBytes({ namespace }: LabHost): Promise<number> {
  const { stdout } = await run(["ip", "-n", namespace, "-s", "-j", "link", "show", "eth0"])
  const [link] = JSON.parse(stdout) as [{ stats64: { tx: { bytes: number } } }]
  return link.stats64.tx.bytes
}

/** Gives the CPU seconds of all together, and the largest resident set of one. */
export function sumOf(usages: readonly Usage[]): Usage {
  return {
    cpuSeconds: usages.reduce((sum, usage) => sum + usage.cpuSeconds, 0),
    rssPeakBytes: Math.max(...usages.map((usage) => usage.rssPeakBytes)),
  }
}
