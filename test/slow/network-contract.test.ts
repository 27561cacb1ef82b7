/** The network's contract on libp2p over IPv6, with data channels over streams. */
import { libp2pWorld } from "../contract/libp2p-world.ts"
import { testPeerAdmission } from "../contract/peer-admission.ts"
import { testPeerNetwork } from "../contract/peer-network.ts"

const NAME = "libp2p network, IPv6, stream channels"
testPeerNetwork(NAME, () => libp2pWorld("/ip6/::1/tcp/0", false))
testPeerAdmission(NAME, () => libp2pWorld("/ip6/::1/tcp/0", false))
