/** A world of nodes with libp2p on loopback and stores in folders that are removed in the end. */
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { systemClock } from "../../../src/core/clock.ts"
import { silentLogger } from "../../../src/core/log.ts"
import { MemoryMetrics } from "../../../src/core/metrics.ts"
import { createIdentity } from "../../../src/net/identity.ts"
import { createLibp2pNetwork } from "../../../src/net/libp2p-network.ts"
import { openDiskStore } from "../../../src/store/disk-store.ts"
import { createSwarm } from "../../../src/swarm/engine.ts"
import type { SwarmNode, SwarmWorld } from "../../contract/swarm.ts"

const QUOTA_BYTES = 1024 * 1024 * 1024

export class RealWorld implements SwarmWorld {
  readonly #isTlsUsed: boolean
  readonly #nodes: SwarmNode[] = []
  readonly #folders: string[] = []

  constructor(isTlsUsed: boolean) {
    this.#isTlsUsed = isTlsUsed
  }

  async add(): Promise<SwarmNode> {
    const directory = await mkdtemp(join(tmpdir(), "sealift-swarm-"))
    this.#folders.push(directory)
    const deps = { clock: systemClock, log: silentLogger, metrics: new MemoryMetrics() }
    const store = await openDiskStore(deps, { directory, quotaBytes: QUOTA_BYTES })
    const net = await createLibp2pNetwork(deps, {
      identity: createIdentity(),
      listen: ["/ip4/127.0.0.1/tcp/0"],
      peers: [],
      isLan: false,
      mdns: false,
      isTlsUsed: this.#isTlsUsed,
    })
    const swarm = createSwarm({ ...deps, store, net })
    for (const other of this.#nodes) await net.dial(other.net.addresses()[0]!)
    const node = { net, store, swarm }
    this.#nodes.push(node)
    return node
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#nodes.map((node) => node.swarm.stop()))
    await Promise.all(this.#nodes.map((node) => node.net.stop()))
    await Promise.all(this.#nodes.map((node) => node.store.close()))
    for (const folder of this.#folders) await rm(folder, { recursive: true })
  }
}
