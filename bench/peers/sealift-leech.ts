/**
 * The fetching side of Sealift: DIRECTORY DIGEST [ADDRESS [WARM-UP]]. Connects, fetches the
 * small blob WARM-UP if there is one, and when it is told, fetches: from
 * the request, ticket and TLS handshake included, until the whole digest is right and the blob has its
 * name on disk. If it `isWatched`, it tells each piece as soon as it is verified and written,
 * and what was refused from whom; if it `watchesLoop`, it tells how late its event loop was.
 * @module
 */
import { monitorEventLoopDelay } from "node:perf_hooks"
import { setTimeout as sleep } from "node:timers/promises"
import { parseDigest } from "../../src/core/digest.ts"
import { WASTE_REASONS } from "../../src/swarm/waste.ts"
import { hear, say } from "./lines.ts"
import { startProfile } from "./profile.ts"
import { createPeerDelivery, TRANSFER_MS_MAX } from "./sealift-delivery.ts"
import { startPeer, TOOLS } from "./sealift-peer.ts"

const HOLDER_POLL_MS = 5
const SOURCES_POLL_MS = 50
const LOOP_POLL_MS = 5

const [directory, digestText, ownAddress, warmUp] = process.argv.slice(2) as string[] &
  [string, string]
const digest = parseDigest(digestText)
const peer = await startPeer(directory, { address: ownAddress })
const { net, swarm } = peer
const delivery = createPeerDelivery(peer)
say({ event: "ready", address: net.addresses()[0], id: net.id })
const connect = (await hear()) as { addresses: string[] }
for (const address of connect.addresses) await net.dial(address)
while (swarm.holders(digest).length === 0) await sleep(HOLDER_POLL_MS)
const limit = { signal: AbortSignal.timeout(TRANSFER_MS_MAX) }
if (warmUp !== undefined) {
  const first = parseDigest(warmUp)
  while (swarm.holders(first).length === 0) await sleep(HOLDER_POLL_MS)
  await delivery.ensure({ digest: first }, limit)
}
say({ event: "connected" })
const order = await hear()
const rejected = new Map<string, number>()
const endWatch = order?.isWatched === true ? watch() : () => {}
const endProfile = await startProfile("leech")
const endLoopWatch = order?.watchesLoop === true ? watchLoop() : () => ({})
const startMs = performance.now()
await delivery.ensure({ digest }, limit)
const seconds = (performance.now() - startMs) / 1000
const loop = endLoopWatch()
endWatch()
await endProfile()
const channels = {
  tls: TOOLS.metrics.value("sealift_net_channels_tls"),
  libp2p: TOOLS.metrics.value("sealift_net_channels_libp2p"),
}
const WASTED = "sealift_swarm_wasted_bytes_total"
const wastedBytes = TOOLS.metrics.value(WASTED)
const wastedBy = Object.fromEntries(
  WASTE_REASONS.map((reason) => [reason, TOOLS.metrics.value(WASTED, { reason })]),
)
// Verdicts follow when the whole is proved, and the blob is there a moment before.
while (delivery.flights().length > 0) await sleep(HOLDER_POLL_MS)
const bans = net.bans().map(({ peer: id, reason }) => ({ id, reason }))
const waste = { wastedBytes, wastedBy }
const figures = { seconds, ...loop, ...waste }
say({ event: "done", ...figures, channels, bans, rejected: Object.fromEntries(rejected) })
await hear()
await delivery.stop({ deadlineMs: 0 })
await peer.stop()
process.exit(0)

/** Wakes the process each few milliseconds, which of a crowd on one machine would be a tenth of its work. */
function watchLoop(): () => { loopDelayP99Ms: number } {
  const loopDelay = monitorEventLoopDelay({ resolution: LOOP_POLL_MS })
  loopDelay.enable()
  return () => {
    loopDelay.disable()
    // An idle loop is seen each time the clock ticks.
    return { loopDelayP99Ms: Math.max(0, loopDelay.percentile(99) / 1e6 - LOOP_POLL_MS) }
  }
}

function watch(): () => void {
  const unlisten = peer.store.onChange((change) => {
    if (change.kind === "piece") say({ event: "piece", index: change.index })
  })
  const timer = setInterval(() => {
    for (const source of swarm.torrents().flatMap((torrent) => torrent.sources())) {
      rejected.set(source.peer, source.rejectedPieces)
    }
  }, SOURCES_POLL_MS)
  return () => {
    unlisten()
    clearInterval(timer)
  }
}
