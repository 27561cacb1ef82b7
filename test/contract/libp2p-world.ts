/** Networks of libp2p on loopback, as the contract of the port wants them. */
import { systemClock } from "../../src/core/clock.ts"
import { silentLogger } from "../../src/core/log.ts"
import { MemoryMetrics } from "../../src/core/metrics.ts"
import { createIdentity } from "../../src/net/identity.ts"
import { createLibp2pNetwork } from "../../src/net/libp2p-network.ts"
import type { PeerNetwork } from "../../src/net/net.ts"
import type { NetworkWorld } from "./peer-network.ts"

export async function libp2pWorld(address: string, isTlsUsed: boolean): Promise<NetworkWorld> {
  const networks: PeerNetwork[] = []
  return {
    join: async ({ admission } = {}) => {
      const network = await createLibp2pNetwork(
        { clock: systemClock, log: silentLogger, metrics: new MemoryMetrics() },
        {
          identity: createIdentity(),
          listen: [address],
          peers: [],
          isLan: false,
          mdns: false,
          isTlsUsed,
          admission,
        },
      )
      networks.push(network)
      return network
    },
    targetOf: (network) => network.addresses()[0]!,
    close: async () => {
      await Promise.all(networks.map((network) => network.stop()))
    },
  }
}
