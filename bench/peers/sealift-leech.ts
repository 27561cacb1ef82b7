/**
 * The fetching side of Sealift: DIRECTORY DIGEST [ADDRESS [WARM-UP]]. Connects, fetches the
 * small blob WARM-UP if there is one, and when it is told, fetches: from
 * the request, ticket and TLS handshake included, until the whole digest is right and the blob has its
 * name on disk.
 * @module
 */
import { setTimeout as sleep } from "node:timers/promises"
import { parseDigest } from "../../src/core/digest.ts"
import { hear, say } from "./lines.ts"
import { startProfile } from "./profile.ts"
import { createPeerDelivery, TRANSFER_MS_MAX } from "./sealift-delivery.ts"
import { startPeer, TOOLS } from "./sealift-peer.ts"

const HOLDER_POLL_MS = 5

const [directory, digestText, ownAddress, warmUp] = process.argv.slice(2) as string[] &
  [string, string]
const digest = parseDigest(digestText)
const peer = await startPeer(directory, ownAddress)
const { net, swarm } = peer
const delivery = createPeerDelivery(peer)
say({ event: "ready", address: net.addresses()[0] })
const connect = (await hear()) as { addresses: string[] }
for (const address of connect.addresses) await net.dial(address)
while (swarm.holders(digest).length === 0) await sleep(HOLDER_POLL_MS)
const limit = { signal: AbortSignal.timeout(TRANSFER_MS_MAX) }
if (warmUp !== undefined) await delivery.ensure({ digest: parseDigest(warmUp) }, limit)
say({ event: "connected" })
await hear()
const endProfile = await startProfile("leech")
const startMs = performance.now()
await delivery.ensure({ digest }, limit)
const seconds = (performance.now() - startMs) / 1000
await endProfile()
const channels = {
  tls: TOOLS.metrics.value("sealift_net_channels_tls"),
  libp2p: TOOLS.metrics.value("sealift_net_channels_libp2p"),
}
const wastedBytes = TOOLS.metrics.value("sealift_swarm_wasted_bytes_total")
say({ event: "done", seconds, channels, wastedBytes })
await hear()
await delivery.stop({ deadlineMs: 0 })
await peer.stop()
process.exit(0)
