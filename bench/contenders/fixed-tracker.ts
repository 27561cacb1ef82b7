/**
 * A tracker that always gives the same peers, for clients that can be told of a peer in no other way.
 * @module
 */
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"

/** Where a client listens: an IPv4 address and a TCP port. */
export interface TrackedPeer {
  readonly address: string
  readonly port: number
}

/** A running tracker. */
export interface FixedTracker {
  readonly url: string
  stop(): Promise<void>
}

/** Starts one on loopback (BEP 3, compact peers of BEP 23, a new question each minute). */
export async function startTracker(peers: readonly TrackedPeer[]): Promise<FixedTracker> {
  const compact = Buffer.concat(
    peers.map(({ address, port }) =>
      Buffer.from([...address.split(".").map(Number), port >> 8, port & 0xff]),
    ),
  )
  const head = `d8:intervali60e5:peers${compact.length}:`
  const body = Buffer.concat([Buffer.from(head), compact, Buffer.from("e")])
  const server = createServer((_request, response) => response.end(body))
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/announce`,
    stop: () =>
      new Promise((resolve) => {
        server.closeAllConnections()
        server.close(() => resolve())
      }),
  }
}
