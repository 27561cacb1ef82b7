/** The swarm's contract on the swarm's own twin in memory. */
import { systemClock } from "../../src/core/clock.ts"
import { createMemoryHub } from "../../src/net/memory-network.ts"
import { createMemoryStore } from "../../src/store/memory-store.ts"
import { createMemorySwarmHub } from "../../src/swarm/memory-swarm.ts"
import { type SwarmNode, type SwarmWorld, testSwarm } from "./swarm.ts"

/** Slow enough that a test sees a transfer's middle. */
const BYTES_PER_SECOND = 64 * 1024 * 1024

function createWorld(): SwarmWorld {
  const clock = systemClock
  const hub = createMemoryHub({ clock })
  const swarms = createMemorySwarmHub()
  const nodes: SwarmNode[] = []
  return {
    async add() {
      const net = hub.join()
      const store = createMemoryStore({ clock })
      const swarm = swarms.join({ net, store, clock }, { bytesPerSecond: BYTES_PER_SECOND })
      hub.connectAll()
      const node = { net, store, swarm }
      nodes.push(node)
      return node
    },
    async [Symbol.asyncDispose]() {
      for (const node of nodes) await node.swarm.stop()
      for (const node of nodes) {
        await node.net.stop()
        await node.store.close()
      }
    },
  }
}

testSwarm("the twin", async () => createWorld())
