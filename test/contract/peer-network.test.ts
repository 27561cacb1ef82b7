/** The network's contract on the twin in memory and on libp2p with TLS; with streams in `test/slow`. */
import { createMemoryHub } from "../../src/net/memory-network.ts"
import { libp2pWorld } from "./libp2p-world.ts"
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

const worlds: readonly (readonly [name: string, create: () => Promise<NetworkWorld>])[] = [
  ["memory network", memoryWorld],
  ["libp2p network, IPv4, TLS channels", () => libp2pWorld("/ip4/127.0.0.1/tcp/0", true)],
]
for (const [name, create] of worlds) {
  testPeerNetwork(name, create)
  testPeerAdmission(name, create)
}
