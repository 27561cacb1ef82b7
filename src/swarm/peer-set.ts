/**
 * With whom of many holders a blob is exchanged: a random graph in which all have the same degree. Who tells
 * everybody of every piece spends more on that than on the pieces, and who takes the first that it hears of
 * makes them all take the same.
 * @module
 */
import { type Digest, rawOf, sha256 } from "../core/digest.ts"
import type { PeerId } from "../net/net.ts"
import type { Holder } from "./swarm.ts"

/** Sources of a blob that has more: enough that two of them rarely miss the same piece. */
export const PEER_SET_MAX = 8
/** Of them beyond the own zone, where some are there. */
const FAR_PLACES = 2
/** Rings on which those who fetch stand, each in another order: a place for whoever has all is left. */
const RINGS: number = PEER_SET_MAX - 1
const POSITION_BYTES = 4
const RING_LENGTH: number = 256 ** POSITION_BYTES
const RANK_BYTES = 6

/** The order of holders by class; a fraction is added within a class. */
const WHOLE_NEAR = 0
const NEXT_NEAR = 1
const FETCHING_NEAR = 2
const WHOLE_FAR = 3
const FETCHING_FAR = 4

/**
 * Orders the holders of one blob. Who fetches takes from those that come next on each of some rings: then
 * as many take from each as it takes from itself, where each knows the same others. With choices at random
 * some serve three and others fourteen, and who takes from the latter is the last. Whole ones, and those
 * beyond the zone, stand on no ring with this node and are ranked at random for each pair.
 */
export class PeerSet {
  readonly #digest: Uint8Array
  readonly #selfId: PeerId
  readonly #ownPositions: readonly number[]
  readonly #ranks = new Map<PeerId, number>()
  readonly #positions = new Map<PeerId, readonly number[]>()

  constructor(digest: Digest, selfId: PeerId) {
    this.#digest = rawOf(digest)
    this.#selfId = selfId
    this.#ownPositions = this.#positionsOf(selfId)
  }

  /** Orders holders: near ones before far ones, whole ones before others, then by rings and by rank. */
  ordered(holders: readonly Holder[], isFar: (peer: PeerId) => boolean): Holder[] {
    this.#forgetAllBut(holders)
    const fellows = holders.filter(({ peer, isComplete }) => !isComplete && !isFar(peer))
    const next = this.#nextOnRings(fellows)
    const places = new Map<Holder, number>()
    for (const holder of holders) {
      const ring = next.indexOf(holder)
      const { peer, isComplete } = holder
      if (ring >= 0) places.set(holder, NEXT_NEAR + ring / RINGS)
      else places.set(holder, classOf(isComplete, isFar(peer)) + this.#rankOf(peer))
    }
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

  /** Gives who comes after this node on each ring, everybody once. */
  #nextOnRings(fellows: readonly Holder[]): readonly Holder[] {
    const chosen: Holder[] = []
    for (const [ring, own] of this.#ownPositions.entries()) {
      let [next, least] = [undefined as Holder | undefined, RING_LENGTH]
      for (const fellow of fellows) {
        const position = this.#positionsOf(fellow.peer)[ring]!
        const distance = (position - own + RING_LENGTH) % RING_LENGTH
        if (distance < least && !chosen.includes(fellow)) [next, least] = [fellow, distance]
      }
      if (next !== undefined) chosen.push(next)
    }
    return chosen
  }

  #positionsOf(peer: PeerId): readonly number[] {
    const known = this.#positions.get(peer)
    if (known !== undefined) return known
    const hash = this.#hashOf(peer)
    const positions = Array.from({ length: RINGS }, (_, ring) =>
      hash.readUIntBE(ring * POSITION_BYTES, POSITION_BYTES),
    )
    this.#positions.set(peer, positions)
    return positions
  }

  #rankOf(peer: PeerId): number {
    const known = this.#ranks.get(peer)
    if (known !== undefined) return known
    const pair = [this.#selfId, peer].sort().join("\n")
    const rank = this.#hashOf(pair).readUIntBE(0, RANK_BYTES) / 256 ** RANK_BYTES
    this.#ranks.set(peer, rank)
    return rank
  }

  #hashOf(name: string): Buffer {
    return Buffer.from(sha256(Buffer.concat([this.#digest, Buffer.from(name)])))
  }

  /** Those that hold it no more are forgotten. */
  #forgetAllBut(holders: readonly Holder[]): void {
    const peers = new Set(holders.map(({ peer }) => peer))
    for (const known of [this.#ranks, this.#positions]) {
      for (const peer of known.keys()) if (!peers.has(peer)) known.delete(peer)
    }
  }
}

function classOf(isComplete: boolean, isFar: boolean): number {
  if (isFar) return isComplete ? WHOLE_FAR : FETCHING_FAR
  return isComplete ? WHOLE_NEAR : FETCHING_NEAR
}
