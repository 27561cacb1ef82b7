/**
 * The seeding side of Sealift with many objects: DIRECTORY PLAN. Serves them from a warm store: each has
 * been read once.
 * @module
 */
import { readPlan } from "../object-workload.ts"
import { hear, say } from "./lines.ts"
import { startProfile } from "./profile.ts"
import { readOnce, startPeer } from "./sealift-peer.ts"

const [directory, planPath] = process.argv.slice(2) as [string, string]
const { warmUp, groups } = readPlan(planPath)
const peer = await startPeer(directory)
for (const { digest } of [...warmUp, ...groups.flatMap((group) => group.objects)]) {
  await readOnce(peer.store, digest)
}
const endProfile = await startProfile("seed")
say({ event: "ready", address: peer.net.addresses()[0] })
await hear()
await endProfile()
await peer.stop()
process.exit(0)
