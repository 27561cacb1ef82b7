import { systemClock } from "../../src/core/clock.ts"
import { silentLogger } from "../../src/core/log.ts"
import { MemoryMetrics } from "../../src/core/metrics.ts"
import { createIdentity } from "../../src/net/identity.ts"
import { createLibp2pNetwork } from "../../src/net/libp2p-network.ts"
import { createMemoryHub } from "../../src/net/memory-network.ts"
import type { PeerNetwork } from "../../src/net/net.ts"
import { type NetworkWorld, testPeerNetwork } from "./peer-network.ts"

testPeerNetwork("memory network", async () => {
  const hub = createMemoryHub()
  return {
    join: async () => hub.join(),
    targetOf: (network) => network.addresses()[0]!,
    close: async () => {},
  }
})

async function libp2pWorld(address: string, isTlsUsed: boolean): Promise<NetworkWorld> {
  const networks: PeerNetwork[] = []
  return {
    join: async () => {
      const network = await createLibp2pNetwork(
        { clock: systemClock, log: silentLogger, metrics: new MemoryMetrics() },
        {
          identity: createIdentity(),
          listen: [address],
          peers: [],
          isLan: false,
          mdns: false,
          isTlsUsed,
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

testPeerNetwork("libp2p network, IPv4, TLS channels", () =>
  libp2pWorld("/ip4/127.0.0.1/tcp/0", true),
)
testPeerNetwork("libp2p network, IPv6, stream channels", () => libp2pWorld("/ip6/::1/tcp/0", false))
