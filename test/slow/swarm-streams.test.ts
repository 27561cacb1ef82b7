/** The swarm's contract where no direct socket can be had: data channels are libp2p streams. */
import { testSwarm } from "../contract/swarm.ts"
import { RealWorld } from "../unit/swarm/real-world.ts"

testSwarm("libp2p, stream channels, stores on disk", async () => new RealWorld(false))
