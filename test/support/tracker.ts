/**
 * A tracker that knows nothing of Sealift: webtorrent's own, over HTTP, UDP and WebSocket.
 * @module
 */
import { once } from "node:events"
import type { AddressInfo } from "node:net"
import { Server } from "bittorrent-tracker"

/** Where it is reached. */
export interface TestTracker {
  readonly http: string
  readonly udp: string
  readonly ws: string
  /** Clients that it knows of a torrent. @param infoHash - hex */
  peerCount(infoHash: string): number
  close(): Promise<void>
}

/** Starts a tracker on loopback. */
export async function startTracker(): Promise<TestTracker> {
  const server = new Server({ http: true, udp: true, ws: true, stats: false, interval: 2_000 })
  server.on("error", (error: Error) => process.stderr.write(`tracker: ${error.message}\n`))
  server.listen(0, { http: "127.0.0.1", udp: "127.0.0.1", udp6: "::1" })
  await once(server, "listening")
  const { port } = server.http.address() as AddressInfo
  const udp = server.udp4.address() as AddressInfo
  return {
    http: `http://127.0.0.1:${port}/announce`,
    udp: `udp://127.0.0.1:${udp.port}/announce`,
    ws: `ws://127.0.0.1:${port}`,
    peerCount: (infoHash) => server.torrents[infoHash]?.peers.length ?? 0,
    close: () => new Promise((resolve) => server.close(() => resolve())),
  }
}
