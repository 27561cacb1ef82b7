import { systemClock } from "../../src/core/clock.ts"
import { silentLogger } from "../../src/core/log.ts"
import { MemoryMetrics } from "../../src/core/metrics.ts"
import { createIdentity } from "../../src/net/identity.ts"
import { createLibp2pNetwork } from "../../src/net/libp2p-network.ts"
import { createMemoryHub } from "../../src/net/memory-network.ts"
import type { PeerNetwork } from "../../src/net/net.ts"
import { testPeerAdmission } from "./peer-admission.ts"
import { type NetworkWorld, testPeerNetwork } from "./peer-network.ts"

async function memoryWorld(): Promise<NetworkWorld> {
  const hub = createMemoryHub()
  return {
    join: async (options) => hub.join(options),
    targetOf: (network) => network.addresses()[0]!,
    close: async () => {},
  }
}

async function libp2pWorld(address: string, isTlsUsed: boolean): Promise<NetworkWorld> {
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

const worlds: readonly (readonly [name: string, create: () => Promise<NetworkWorld>])[] = [
  ["memory network", memoryWorld],
  ["libp2p network, IPv4, TLS channels", () => libp2pWorld("/ip4/127.0.0.1/tcp/0", true)],
  ["libp2p network, IPv6, stream channels", () => libp2pWorld("/ip6/::1/tcp/0", false)],
]
for (const [name, create] of worlds) {
  testPeerNetwork(name, create)
  testPeerAdmission(name, create)
}
