/**
 * One measured transfer between two fresh processes: start both, wait until both are ready, let the
 * fetching side go, and read what each used meanwhile. Process starts are in no figure.
 * @module
 */
import { mkdirSync } from "node:fs"
import { join } from "node:path"
import type { PeerProcess } from "../peer-process.ts"
import type { Sample } from "../scenario.ts"
import { removeFolder, touchMemory } from "../workload.ts"

/** How one contender's two sides are started. */
export interface PairPlan {
  /** Holds the folder of what arrives while it is measured. */
  readonly folder: string
  /** Bytes that are moved. */
  readonly sizeBytes: number
  startSeed(signal: AbortSignal): PeerProcess
  /** @param folder - empty, for what arrives; removed after the run */
  startLeech(folder: string, signal: AbortSignal): PeerProcess
  /** Whether the fetching side is connected first, and told a second time to go. */
  readonly connect?: boolean
  /** Compares what arrived with what was sent. @throws Error when a byte differs */
  verify(folder: string): void | Promise<void>
}

/** Measures once. The message `ready` of the seeding side is handed to the fetching side as its order. */
export async function measurePair(plan: PairPlan, signal: AbortSignal): Promise<Sample> {
  const folder = join(plan.folder, "arrived")
  mkdirSync(folder)
  const started: PeerProcess[] = []
  const start = (peer: PeerProcess) => {
    started.push(peer)
    return peer
  }
  try {
    const seed = start(plan.startSeed(signal))
    const address = await seed.next("ready")
    const leech = start(plan.startLeech(folder, signal))
    await leech.next("ready")
    if (plan.connect === true) {
      leech.tell({ addresses: [address.address] })
      await leech.next("connected")
    }
    touchMemory(plan)
    for (const peer of started) peer.startUsage()
    leech.tell({ ...address, watchesLoop: true })
    const done = await leech.next("done")
    const usage = { seed: seed.usage(), leech: leech.usage() }
    await plan.verify(folder)
    const { seconds, event: _, ...notes } = done
    return { seconds: Number(seconds), usage, notes }
  } finally {
    await Promise.all(started.map((peer) => peer.stop()))
    removeFolder(folder)
  }
}
