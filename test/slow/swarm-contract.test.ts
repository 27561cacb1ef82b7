/** The swarm's contract on real sockets and disks. */
import { testSwarm } from "../contract/swarm.ts"
import { RealWorld } from "../unit/swarm/real-world.ts"

testSwarm("libp2p, TLS channels, stores on disk", async () => new RealWorld(true))
