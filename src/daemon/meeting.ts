/**
 * The first moments of a node: it is ready when it has met the peers of its configuration, or has
 * waited long enough for them.
 * @module
 */
import type { Clock } from "../core/clock.ts"
import type { PeerNetwork } from "../net/net.ts"

/** A peer that is down must not keep a node from starting. */
const MEET_MS_MAX = 2_000
/** A peer that is met tells what it has within this time. */
const TELL_MS = 200
const LOOK_MS = 25

/**
 * Waits until all peers of the configuration are connected and had a moment to say what they have.
 * Without it a client that comes at once is told that nobody has what every neighbour holds.
 * @param peers - multiaddrs; one without a peer id counts as met when anybody is
 */
export async function meetPeers(
  net: Pick<PeerNetwork, "peers">,
  peers: readonly string[],
  { clock }: { readonly clock: Clock },
): Promise<void> {
  if (peers.length === 0) return
  const wanted = peers.map((address) => address.split("/p2p/")[1])
  const endMs = clock.monotonicMs() + MEET_MS_MAX
  const isMet = () => {
    const met = new Set<string>(net.peers().map(({ id }) => id))
    return wanted.every((id) => (id === undefined ? met.size > 0 : met.has(id)))
  }
  while (!isMet() && clock.monotonicMs() < endMs) await clock.sleep(LOOK_MS)
  if (net.peers().length > 0) await clock.sleep(TELL_MS)
}
