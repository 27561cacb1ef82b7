/**
 * What this node says and believes of tags: its own claims, and those of peers
 * (protocol/tag-claim.md §6).
 * @module
 */
import type { Clock } from "../core/clock.ts"
import type { Digest } from "../core/digest.ts"
import type { Peer, PeerNetwork } from "../net/net.ts"
import { believeMirrored, believePushed, isTrusted } from "./claim/belief.ts"
import { compareClaims, type TagClaim } from "./claim/claim.ts"
import type { ClaimBook, RepositoryName } from "./claim/claim-book.ts"
import type { ClaimExchange } from "./claim/claim-exchange.ts"
import type { Place } from "./place.ts"
import type { RegistryRights } from "./rights.ts"

/** What was seen at an upstream, or pushed. */
export interface Observation {
  readonly digest: Digest
  readonly mediaType: string | undefined
  readonly sizeBytes: number | undefined
  readonly isShared: boolean
}

/** An own claim that says nothing new is made again after this time. */
const CLAIM_FRESH_MS = 60_000

export class TagBeliefs {
  readonly #net: PeerNetwork
  readonly #clock: Clock
  readonly #book: ClaimBook
  readonly #exchange: ClaimExchange
  readonly #trustLanTags: boolean
  readonly #rights: RegistryRights

  constructor(deps: {
    net: PeerNetwork
    clock: Clock
    book: ClaimBook
    exchange: ClaimExchange
    trustLanTags: boolean
    rights: RegistryRights
  }) {
    this.#net = deps.net
    this.#clock = deps.clock
    this.#book = deps.book
    this.#exchange = deps.exchange
    this.#trustLanTags = deps.trustLanTags
    this.#rights = deps.rights
  }

  /** Gives this node's own last claim. */
  own(place: Place, tag: string): TagClaim | undefined {
    return this.#book.own(tagName(place, tag))?.signed.claim
  }

  /** Claims what the upstream just said. */
  async observe(place: Place, tag: string, seen: Observation): Promise<void> {
    const known = this.#book.own(tagName(place, tag))
    const now = this.#now()
    const claim = known?.signed.claim
    const isOurs = claim?.fleet === this.#rights.fleet
    const isSame = claim?.digest === seen.digest && known?.isShared === seen.isShared
    if (isSame && isOurs && Math.abs(now - claim.observedAt) < CLAIM_FRESH_MS) return
    await this.#book.claim(
      {
        ...tagName(place, tag),
        digest: seen.digest,
        mediaType: seen.mediaType ?? "",
        sizeBytes: seen.sizeBytes ?? 0,
        observedAt: now,
        counter: 0,
      },
      seen.isShared,
    )
  }

  /** The upstream says that a tag is gone: so does this node, if it ever said otherwise. */
  async observeAbsence(place: Place, tag: string): Promise<void> {
    const known = this.#book.own(tagName(place, tag))
    if (this.#newest(place, tag)?.digest === undefined) return
    const gone = tombstone(place, tag, { observedAt: this.#now(), counter: 0 })
    await this.#book.claim(gone, known?.isShared ?? true)
  }

  /** Claims a push: newer than anything that this node or its trusted peers know. */
  async push(place: Place, tag: string, seen: Observation, signal: AbortSignal): Promise<void> {
    const { claim } = await this.askPushed(place, tag, signal)
    const { digest, mediaType, sizeBytes, isShared } = seen
    const counter = nextCounter(claim)
    await this.#book.claim(
      {
        ...tagName(place, tag),
        digest,
        mediaType: mediaType ?? "",
        sizeBytes: sizeBytes ?? 0,
        observedAt: this.#now(),
        counter,
      },
      isShared,
    )
  }

  /** Claims that a pushed tag is deleted. @returns whether there was such a tag */
  async remove(place: Place, tag: string, signal: AbortSignal): Promise<boolean> {
    const { claim } = await this.askPushed(place, tag, signal)
    if (claim?.digest === undefined) return false
    const when = { observedAt: this.#now(), counter: nextCounter(claim) }
    await this.#book.claim(tombstone(place, tag, when), true)
    return true
  }

  /** Asks peers for an upstream's tag. */
  async askMirrored(place: Place, tag: string, signal: AbortSignal): Promise<TagClaim | undefined> {
    const query = { kind: "tag", ...repositoryName(place), tag } as const
    const vouches = await this.#exchange.ask(query, { signal, peers: this.#allPeers(place) })
    const newest = this.#newest(place, tag)
    const agreed = believeMirrored(vouches, { ...this.#rules(), newest })
    // What was believed before counts on after the peers that said it have gone.
    return agreed ?? newest
  }

  /** Asks trusted peers for a pushed tag, and gives the newest claim, own ones included. */
  async askPushed(
    place: Place,
    tag: string,
    signal: AbortSignal,
  ): Promise<{ claim: TagClaim | undefined; isOwn: boolean }> {
    const query = { kind: "tag", ...repositoryName(place), tag } as const
    const vouches = await this.#exchange.ask(query, { signal, peers: this.#trustedPeers(place) })
    const newest = this.#newest(place, tag)
    const claim = believePushed(vouches, { ...this.#rules(), newest })
    const own = this.own(place, tag)
    const isOwn = claim !== undefined && own !== undefined && compareClaims(claim, own) === 0
    return { claim, isOwn }
  }

  /** Asks whether a connected peer knows a blob under this name; the digest itself is the proof. */
  async askDigest(
    place: Place,
    digest: Digest,
    signal: AbortSignal,
  ): Promise<TagClaim | undefined> {
    const query = { kind: "digest", ...repositoryName(place), digest } as const
    const vouches = await this.#exchange.ask(query, { signal, peers: this.#allPeers(place) })
    return vouches[0]?.claim
  }

  /** Asks trusted peers (of an upstream's name: all peers) for the manifests that refer to one. */
  async askReferrers(
    place: Place,
    digest: Digest,
    signal: AbortSignal,
  ): Promise<readonly TagClaim[]> {
    const query = { kind: "referrers", ...repositoryName(place), digest } as const
    const vouches = await this.#exchange.ask(query, { signal, peers: this.#trustedPeers(place) })
    return vouches.map(({ claim }) => claim)
  }

  /** Gives the newest claim on each tag of a repository that this node or a trusted peer knows. */
  async claims(place: Place, signal: AbortSignal): Promise<readonly TagClaim[]> {
    const name = repositoryName(place)
    const newest = new Map<string, TagClaim>()
    const note = (claim: TagClaim) => {
      const known = newest.get(claim.tag)
      if (known === undefined || compareClaims(claim, known) > 0) newest.set(claim.tag, claim)
    }
    for await (const { signed } of this.#book.ownOf(name)) note(signed.claim)
    for await (const claim of this.#book.believedOf(name)) note(claim)
    const query = { kind: "tags", ...name, after: "" } as const
    const vouches = await this.#exchange.ask(query, { signal, peers: this.#trustedPeers(place) })
    for (const { claim } of vouches) note(claim)
    return [...newest.values()].filter(({ digest }) => digest !== undefined)
  }

  /** Keeps a claim of peers that was believed for an upstream's tag. */
  async keep(claim: TagClaim): Promise<void> {
    await this.#book.believe(claim)
  }

  /** Makes a pushed tag's claim this node's own, so that those who trust this node learn it too. */
  async adopt(claim: TagClaim): Promise<void> {
    await this.#book.claim(claim, true)
  }

  #newest(place: Place, tag: string): TagClaim | undefined {
    const own = this.own(place, tag)
    const believed = this.#book.believed(tagName(place, tag))
    if (own === undefined || believed === undefined) return own ?? believed
    return compareClaims(own, believed) >= 0 ? own : believed
  }

  #rules(): { trustLanTags: boolean; isFleet: boolean } {
    return { trustLanTags: this.#trustLanTags, isFleet: this.#rights.isFleet }
  }

  /** Peers that have a voice: in a fleet the access list says which. */
  #allPeers(place: Place): readonly Peer[] {
    return this.#rights.isFleet ? this.#rights.claimants(place) : this.#net.peers()
  }

  #trustedPeers(place: Place): readonly Peer[] {
    const peers = this.#allPeers(place)
    if (this.#rights.isFleet) return peers
    return peers.filter(({ sources }) => isTrusted(sources, this.#trustLanTags))
  }

  #now(): number {
    return Math.max(0, Math.floor(this.#clock.now()))
  }
}

function tagName(place: Place, tag: string): RepositoryName & { tag: string } {
  return { ...repositoryName(place), tag }
}

function repositoryName(place: Place): RepositoryName {
  return { registry: place.registry, name: place.repository }
}

/** Another's claim may stand at the end of what a counter holds; above that no claim could be read. */
function nextCounter(newest: TagClaim | undefined): number {
  return Math.min((newest?.counter ?? 0) + 1, Number.MAX_SAFE_INTEGER)
}

function tombstone(
  place: Place,
  tag: string,
  when: { observedAt: number; counter: number },
): Omit<TagClaim, "fleet"> {
  const nothing = { digest: undefined, mediaType: "", sizeBytes: 0 }
  return { ...tagName(place, tag), ...nothing, ...when }
}
