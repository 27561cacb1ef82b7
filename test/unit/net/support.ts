/** What the tests of the network share: nodes that are stopped again, waiting, plain sockets. */
import net from "node:net"
import { afterEach } from "vitest"
import { systemClock } from "../../../src/core/clock.ts"
import { silentLogger } from "../../../src/core/log.ts"
import { MemoryMetrics } from "../../../src/core/metrics.ts"
import { createIdentity } from "../../../src/net/identity.ts"
import { createLibp2pNetwork, type Libp2pOptions } from "../../../src/net/libp2p-network.ts"
import type { PeerNetwork } from "../../../src/net/net.ts"
import type { PeerMemory } from "../../../src/net/peer-book.ts"

export const LOOPBACK = "/ip4/127.0.0.1/tcp/0"

/** A node and its metrics. */
export interface TestNode {
  readonly network: PeerNetwork
  readonly metrics: MemoryMetrics
}

const running: PeerNetwork[] = []
afterEach(async () => {
  await Promise.all(running.splice(0).map((network) => network.stop()))
})

/** Starts a node on loopback that is stopped after the test. */
export async function startNode(
  options: Partial<Libp2pOptions> = {},
  peerMemory?: PeerMemory,
): Promise<TestNode> {
  const metrics = new MemoryMetrics()
  const network = await createLibp2pNetwork(
    { clock: systemClock, log: silentLogger, metrics, peerMemory },
    {
      identity: createIdentity(),
      listen: [LOOPBACK],
      peers: [],
      isLan: false,
      mdns: false,
      ...options,
    },
  )
  running.push(network)
  return { network, metrics }
}

export const withSignal = (timeoutMs = 5_000): { signal: AbortSignal } => ({
  signal: AbortSignal.timeout(timeoutMs),
})

/** Waits until something is true, looking often; the test's own timeout bounds it. */
export async function until(isTrue: () => boolean): Promise<void> {
  while (!isTrue()) await new Promise((resolve) => setTimeout(resolve, 5))
}

export const closed = (socket: NodeJS.EventEmitter): Promise<void> =>
  new Promise((resolve) => socket.once("close", () => resolve()))

/** Listens on a free port of loopback. */
export async function listen(server: net.Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  const address = server.address()
  if (address === null || typeof address === "string") throw new Error("not a TCP server")
  return address.port
}

/** Gives the host and port of a node's first address. */
export function endpointOfNode(network: PeerNetwork): { host: string; port: number } {
  const [, , host = "", , port = ""] = network.addresses()[0]!.split("/")
  return { host, port: Number(port) }
}
