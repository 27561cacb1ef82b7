/**
 * The seeding side of Sealift with many objects: DIRECTORY PLAN. Serves them from a warm store: each has
 * been read once.
 * @module
 */
import { pieceRange } from "../../src/core/piece.ts"
import { readPlan } from "../object-workload.ts"
import { hear, say } from "./lines.ts"
import { startProfile } from "./profile.ts"
import { startPeer } from "./sealift-peer.ts"

const [directory, planPath] = process.argv.slice(2) as [string, string]
const { warmUp, groups } = readPlan(planPath)
const peer = await startPeer(directory)
for (const { digest } of [...warmUp, ...groups.flatMap((group) => group.objects)]) {
  const reader = peer.store.open(digest)
  if (reader === undefined) throw new Error(`${digest} is not in the store`)
  const buffer = new Uint8Array(reader.layout.lengthBytes)
  for (let index = 0; index < reader.layout.count; index++) {
    await reader.read(pieceRange(reader.layout, index), buffer)
  }
  reader.release()
}
const endProfile = await startProfile("seed")
say({ event: "ready", address: peer.net.addresses()[0] })
await hear()
await endProfile()
await peer.stop()
process.exit(0)
