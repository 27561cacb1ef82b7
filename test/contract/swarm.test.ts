/** The swarm's contract on the twins in memory, and on real sockets and disks. */
import { MemoryWorld } from "../unit/swarm/memory-world.ts"
import { RealWorld } from "../unit/swarm/real-world.ts"
import { testSwarm } from "./swarm.ts"

testSwarm("network and stores in memory", async () => new MemoryWorld())
testSwarm("libp2p, TLS channels, stores on disk", async () => new RealWorld(true))
