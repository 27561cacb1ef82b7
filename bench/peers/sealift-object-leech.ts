/**
 * The fetching side of Sealift with many objects: DIRECTORY PLAN. Connects, waits until it knows who
 * has what, fetches the plan's warm-up, and the rest when it is told: each object from the request
 * until its digest is right and it has its name on disk.
 * @module
 */
import { setTimeout as sleep } from "node:timers/promises"
import { type BenchObject, readPlan } from "../object-workload.ts"
import { hear, say } from "./lines.ts"
import { fetchGroups, fetchWarmUp } from "./object-fetching.ts"
import { startProfile } from "./profile.ts"
import { createPeerDelivery } from "./sealift-delivery.ts"
import { startPeer, TOOLS } from "./sealift-peer.ts"

const HOLDER_POLL_MS = 5
const FETCH_MS_MAX = 60_000

const [directory, planPath] = process.argv.slice(2) as [string, string]
const plan = readPlan(planPath)
const peer = await startPeer(directory)
const delivery = createPeerDelivery(peer)
say({ event: "ready", address: peer.net.addresses()[0] })
const connect = (await hear()) as { addresses: string[] }
for (const address of connect.addresses) await peer.net.dial(address)
const all = [...plan.warmUp, ...plan.groups.flatMap((group) => group.objects)]
for (const { digest } of all) {
  while (peer.swarm.holders(digest).length === 0) await sleep(HOLDER_POLL_MS)
}
const fetch = async ({ digest, sizeBytes }: BenchObject) => {
  await delivery.ensure({ digest, sizeBytes }, { signal: AbortSignal.timeout(FETCH_MS_MAX) })
}
await fetchWarmUp(plan, fetch)
say({ event: "connected" })
await hear()
const endProfile = await startProfile("leech")
const groups = await fetchGroups(plan, fetch)
await endProfile()
const wastedBytes = TOOLS.metrics.value("sealift_swarm_wasted_bytes_total")
const seconds = groups.reduce((sum, group) => sum + group.seconds, 0)
say({ event: "done", seconds, groups, wastedBytes })
await hear()
await delivery.stop({ deadlineMs: 0 })
await peer.stop()
process.exit(0)
