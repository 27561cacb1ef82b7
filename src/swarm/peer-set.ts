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

  #rankOf(peer: PeerId): number {
    const pair = [this.#selfId, peer].sort().join("\n")
    const hash = Buffer.from(sha256(Buffer.concat([this.#digest, Buffer.from(pair)])))
    return hash.readUIntBE(0, RANK_BYTES) / 256 ** RANK_BYTES
  }
}
