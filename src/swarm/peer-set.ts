/**
 * With whom of many holders a blob is exchanged: a random graph of bounded degree. Who tells everybody of
 * every piece spends more on that than on the pieces, and who takes the first that it hears of makes them
 * all take the same.
 * @module
 */
import { type Digest, rawOf, sha256 } from "../core/digest.ts"
import type { PeerId } from "../net/net.ts"
import type { Holder } from "./swarm.ts"

/** Sources of a blob that has more: enough that two of them rarely miss the same piece. */
export const PEER_SET_MAX = 8
/** Of them beyond the own zone, where some are there. */
const FAR_PLACES = 2
const RANK_BYTES = 6

/** Ranks pairs of peers for one blob; both of a pair come to the same number, so that most choose each other. */
export class PeerSet {
  readonly #digest: Uint8Array
  readonly #selfId: PeerId
  readonly #ranks = new Map<PeerId, number>()

  constructor(digest: Digest, selfId: PeerId) {
    this.#digest = rawOf(digest)
    this.#selfId = selfId
  }

  /** Orders holders: near ones before far ones, whole ones before others, and then by rank. */
  ordered(holders: readonly Holder[], isFar: (peer: PeerId) => boolean): Holder[] {
    const places = new Map<Holder, number>()
    const ranks = new Map<PeerId, number>()
    for (const holder of holders) {
      const rank = this.#ranks.get(holder.peer) ?? this.#rankOf(holder.peer)
      ranks.set(holder.peer, rank)
      places.set(holder, rank - (holder.isComplete ? 1 : 0) + (isFar(holder.peer) ? 2 : 0))
    }
    // Those that hold it no more are forgotten.
    this.#ranks.clear()
    for (const [peer, rank] of ranks) this.#ranks.set(peer, rank)
    return [...holders].sort((a, b) => places.get(a)! - places.get(b)!)
  }

  /**
   * Takes those to exchange with out of an order. Some places are for who stands beyond the zone: one of
   * them for the first, and one for a node that still fetches. A zone whose nodes all look to the one seed
   * takes its whole copy over that seed's link, and so does each other zone.
   */
  static chosen(ordered: readonly Holder[], isFar: (peer: PeerId) => boolean): readonly Holder[] {
    const far = ordered.filter(({ peer }) => isFar(peer))
    const near = ordered.filter(({ peer }) => !isFar(peer))
    const fetching = far.slice(1).find(({ isComplete }) => !isComplete)
    const kept = new Set([
      ...far.slice(0, 1),
      ...(fetching === undefined ? [] : [fetching]),
      ...far,
    ])
    const places = Math.max(FAR_PLACES, PEER_SET_MAX - near.length)
    const farChosen = [...kept].slice(0, places)
    return [...near.slice(0, PEER_SET_MAX - farChosen.length), ...farChosen]
  }

  #rankOf(peer: PeerId): number {
    const pair = [this.#selfId, peer].sort().join("\n")
    const hash = Buffer.from(sha256(Buffer.concat([this.#digest, Buffer.from(pair)])))
    return hash.readUIntBE(0, RANK_BYTES) / 256 ** RANK_BYTES
  }
}
