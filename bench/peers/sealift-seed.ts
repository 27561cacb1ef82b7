/**
 * The seeding side of Sealift: DIRECTORY DIGEST [ADDRESS]. Hashes the blob once, as the other contenders check
 * theirs before they seed, then serves it.
 * @module
 */
import { parseDigest } from "../../src/core/digest.ts"
import { hear, say } from "./lines.ts"
import { startProfile } from "./profile.ts"
import { readOnce, startPeer } from "./sealift-peer.ts"

const [directory, digestText, address] = process.argv.slice(2) as [string, string, string?]
const peer = await startPeer(directory, { address })
await readOnce(peer.store, parseDigest(digestText))
const endProfile = await startProfile("seed")
say({ event: "ready", address: peer.net.addresses()[0], id: peer.net.id })
await hear()
await endProfile()
await peer.stop()
process.exit(0)
