/**
 * The seeding side of Sealift: DIRECTORY DIGEST [ADDRESS]. Hashes the blob once, as the other contenders check
 * theirs before they seed, then serves it.
 * @module
 */
import { parseDigest } from "../../src/core/digest.ts"
import { pieceRange } from "../../src/core/piece.ts"
import { hear, say } from "./lines.ts"
import { startProfile } from "./profile.ts"
import { startPeer } from "./sealift-peer.ts"

const [directory, digestText, address] = process.argv.slice(2) as [string, string, string?]
const peer = await startPeer(directory, { address })
const reader = peer.store.open(parseDigest(digestText))
if (reader === undefined) throw new Error("the blob is not in the store")
const buffer = new Uint8Array(reader.layout.lengthBytes)
for (let index = 0; index < reader.layout.count; index++) {
  await reader.read(pieceRange(reader.layout, index), buffer)
}
reader.release()
const endProfile = await startProfile("seed")
say({ event: "ready", address: peer.net.addresses()[0], id: peer.net.id })
await hear()
await endProfile()
await peer.stop()
process.exit(0)
