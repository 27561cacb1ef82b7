/**
 * The fetching side of Sealift from standard clients: DIRECTORY DIGEST SIZE. From the connection
 * until every piece is checked by SHA-1, the whole by SHA-256, and the blob has its name on disk.
 * @module
 */
import { setTimeout as sleep } from "node:timers/promises"
import { parseDigest } from "../../src/core/digest.ts"
import { Outreach } from "../../src/swarm/public/outreach.ts"
import { parseTorrentFile } from "../../src/swarm/public/torrent-link.ts"
import { hear, say } from "./lines.ts"
import { startProfile } from "./profile.ts"
import { createPeerDelivery, TRANSFER_MS_MAX } from "./sealift-delivery.ts"
import { startPeer, TOOLS } from "./sealift-peer.ts"

const HOLDER_POLL_MS = 5

const [directory, digestText, size] = process.argv.slice(2) as [string, string, string]
const digest = parseDigest(digestText)
const peer = await startPeer(directory)
const delivery = createPeerDelivery(peer)
say({ event: "ready" })
const order = await hear()
const endProfile = await startProfile("plain-leech")
const startMs = performance.now()
const { infoHash, metainfo } = parseTorrentFile(Buffer.from(String(order?.torrent), "base64"))
const wish = peer.swarm.wishPlain({ infoHash, metainfo })
const outreach = new Outreach({
  clock: TOOLS.clock,
  reachesPrivate: true,
  connected: (stream, address) => wish.connect(stream, address),
})
outreach.add({ host: "127.0.0.1", port: Number(order?.port) }, "given")
while (peer.swarm.holders(digest).length === 0) await sleep(HOLDER_POLL_MS)
await delivery.ensure(
  { digest, sizeBytes: Number(size) },
  { signal: AbortSignal.timeout(TRANSFER_MS_MAX) },
)
say({ event: "done", seconds: (performance.now() - startMs) / 1000 })
await endProfile()
await hear()
outreach.stop()
await delivery.stop({ deadlineMs: 0 })
await peer.stop()
process.exit(0)
