/**
 * What this node and its peers may in a repository, by the fleet's access list, and under which names its
 * blobs belong to it (protocol/registry-profile.md §6, protocol/tag-claim.md §6).
 * @module
 */
import type { Digest } from "../core/digest.ts"
import type { Peer, PeerId, PeerNetwork } from "../net/net.ts"
import type { BlobPlaces } from "../store/blob-places.ts"
import { type Access, type AccessVerb, OPEN_ACCESS } from "../swarm/access.ts"
import { accessPlace, type Place } from "./place.ts"

/** The port to the fleet, as names need it. */
export interface RegistryAccess extends Access {
  /** 64 lower-case hex digits; undefined without a fleet. */
  fleetId(): string | undefined
}

type Named = Omit<Place, "origin">

/** Of a node without a fleet everybody may everything. */
export class RegistryRights {
  readonly #net: Pick<PeerNetwork, "id" | "peers">
  readonly #access: RegistryAccess
  readonly #places: BlobPlaces | undefined

  constructor(deps: {
    net: Pick<PeerNetwork, "id" | "peers">
    access: RegistryAccess | undefined
    places: BlobPlaces | undefined
  }) {
    this.#net = deps.net
    this.#access = deps.access ?? { ...OPEN_ACCESS, fleetId: () => undefined }
    this.#places = deps.places
  }

  get isFleet(): boolean {
    return this.#access.isFleet()
  }

  /** What claims of this node carry, and those that it believes; empty without a fleet. */
  get fleet(): string {
    return this.#access.fleetId() ?? ""
  }

  /** Whether this node itself may have what a repository has. */
  mayRead(place: Named): boolean {
    return this.#may(this.#net.id, "fetch", place)
  }

  /** Whether the fleet takes from this node what is pushed there. */
  mayPush(place: Named): boolean {
    return this.#may(this.#net.id, "publish", place)
  }

  /** Whether a peer may know what a repository has. */
  mayFind(peer: PeerId, place: Named): boolean {
    return this.#may(peer, "find", place)
  }

  /** Connected peers whose word on a repository counts in the fleet. */
  claimants(place: Named): readonly Peer[] {
    const verb = place.registry === "" ? "publish" : "vouch"
    return this.#net.peers().filter(({ id }) => this.#may(id, verb, place))
  }

  /** A client brought this under a name. */
  async prove(place: Named, digest: Digest): Promise<void> {
    await this.#places?.add(digest, accessPlace(place))
  }

  /** A manifest, an upstream or a peer names these there. */
  async propose(place: Named, digests: readonly Digest[]): Promise<void> {
    const where = accessPlace(place)
    await Promise.all(digests.map((digest) => this.#places?.propose(digest, where)))
  }

  /** A client deleted it there. */
  async withdraw(place: Named, digest: Digest): Promise<void> {
    await this.#places?.remove(digest, accessPlace(place))
  }

  /** Whether peers may be told that a repository has a blob. */
  has(place: Named, digest: Digest): boolean {
    if (!this.isFleet) return true
    return this.#places?.placesOf(digest).includes(accessPlace(place)) === true
  }

  #may(peer: PeerId, verb: AccessVerb, place: Named): boolean {
    return !this.isFleet || this.#access.may(peer, verb, accessPlace(place))
  }
}
