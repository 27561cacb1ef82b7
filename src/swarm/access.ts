/**
 * The port that says what a node of the fleet may do, and what follows from it for one blob. Without a
 * fleet everybody may (protocol/fleet.md §5, deciding).
 * @module
 */
import type { Digest } from "../core/digest.ts"
import type { PeerId } from "../net/net.ts"
import type { BlobPlaces } from "../store/blob-places.ts"

/** What is asked of the access list on the wire. */
export type AccessVerb = "find" | "fetch" | "seed" | "vouch" | "publish"

/** Decides by the newest access list. */
export interface Access {
  /** Whether this node is in a fleet; else everything is allowed. It may join one while it runs. */
  isFleet(): boolean
  /** @param where - a namespace, or a registry, a slash and a repository */
  may(peer: PeerId, verb: AccessVerb, where: string): boolean
  /** Whether every node of the fleet may. */
  mayAll(verb: AccessVerb, where: string): boolean
  /** The nodes of the fleet; none where nobody knows who may come. */
  nodes(): Iterable<PeerId>
}

/** Of a node without a fleet. */
export const OPEN_ACCESS: Access = {
  isFleet: () => false,
  may: () => true,
  mayAll: () => true,
  nodes: () => [],
}

export interface BlobRightsDeps {
  /** This node. */
  readonly selfId: PeerId
  readonly access: Access | undefined
  /** In a fleet a blob without a place is given to nobody. */
  readonly places: Pick<BlobPlaces, "placesOf"> | undefined
}

/** Who may have a blob of this node. */
export interface BlobRights {
  /** Whether a peer may fetch a blob here: at one of its places the peer may fetch and this node seed. */
  mayFetch(peer: PeerId, digest: Digest): boolean
  /** Whether a peer is told that a blob is here: one of those places, where it may find, too. */
  mayFind(peer: PeerId, digest: Digest): boolean
  /** The same of every node of the fleet. */
  mayAllFind(digest: Digest): boolean
}

/** Decides for blobs by the places that they have at that moment. */
export function createBlobRights({ selfId, access, places }: BlobRightsDeps): BlobRights {
  const rules = access ?? OPEN_ACCESS
  const isSome = (digest: Digest, isRight: (place: string) => boolean): boolean => {
    if (!rules.isFleet()) return true
    const known = places?.placesOf(digest) ?? []
    return known.some((place) => rules.may(selfId, "seed", place) && isRight(place))
  }
  return {
    mayFetch: (peer, digest) => isSome(digest, (place) => rules.may(peer, "fetch", place)),
    mayFind: (peer, digest) =>
      isSome(digest, (place) => rules.may(peer, "fetch", place) && rules.may(peer, "find", place)),
    mayAllFind: (digest) =>
      isSome(digest, (place) => rules.mayAll("fetch", place) && rules.mayAll("find", place)),
  }
}
