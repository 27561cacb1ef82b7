/** The swarm's contract on the twins in memory; on real sockets and disks in `test/slow`. */
import { MemoryWorld } from "../unit/swarm/memory-world.ts"
import { testSwarm } from "./swarm.ts"

testSwarm("network and stores in memory", async () => new MemoryWorld())
