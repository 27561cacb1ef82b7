/**
 * What this node tells peers of names: only its own word, and nothing of content that goes to no other
 * node (protocol/tag-claim.md §7).
 * @module
 */
import { type Digest, isDigest } from "../core/digest.ts"
import { asText, field } from "../core/json.ts"
import type { PeerId } from "../net/net.ts"
import type { BlobStore } from "../store/store.ts"
import type { SignedClaim } from "./claim/claim.ts"
import type { ClaimBook } from "./claim/claim-book.ts"
import { CLAIMS_PER_ANSWER_MAX, type ClaimQuery } from "./claim/claim-exchange.ts"
import type { NameIndex } from "./name-index.ts"
import type { Place } from "./place.ts"
import type { Referrers } from "./referrers.ts"
import type { RegistryRights } from "./rights.ts"

/** No repository can have this name, so nothing is known of it. */
const NOBODYS_NAME = "\u0000"

export class PeerAnswers {
  readonly #store: BlobStore
  readonly #book: ClaimBook
  readonly #names: NameIndex
  readonly #referrers: Referrers
  readonly #rights: RegistryRights

  constructor(deps: {
    store: BlobStore
    book: ClaimBook
    names: NameIndex
    referrers: Referrers
    rights: RegistryRights
  }) {
    this.#store = deps.store
    this.#book = deps.book
    this.#names = deps.names
    this.#referrers = deps.referrers
    this.#rights = deps.rights
  }

  /**
   * Gives this node's claims on what a peer asks; none when there is nothing to tell. Of a name that the
   * peer may not find nothing is known, and that takes as long as of one that there is not.
   */
  async answer(query: ClaimQuery, peer: PeerId): Promise<readonly SignedClaim[]> {
    const mayFind = this.#rights.mayFind(peer, { ...query, repository: query.name })
    return this.#look(mayFind ? query : { ...query, name: NOBODYS_NAME })
  }

  async #look(query: ClaimQuery): Promise<readonly SignedClaim[]> {
    const { registry, name } = query
    if (query.kind === "tag") {
      const own = this.#book.own({ registry, name, tag: query.tag })
      return own?.isShared === true ? [(await this.#book.current(own)).signed] : []
    }
    if (query.kind === "tags") return this.#tags(query)
    const place = { registry, repository: name, origin: undefined }
    if (query.kind === "digest") return this.#vouchFor(place, [query.digest])
    const known = await this.#referrers.known(place, query.digest)
    const digests = known.map((descriptor) => asText(field(descriptor, "digest")) ?? "")
    return this.#vouchFor(place, digests.filter(isDigest).slice(0, CLAIMS_PER_ANSWER_MAX))
  }

  async #tags(query: ClaimQuery & { kind: "tags" }): Promise<readonly SignedClaim[]> {
    const found: SignedClaim[] = []
    const after = query.after === "" ? undefined : query.after
    for await (const own of this.#book.ownOf(query, after)) {
      if (own.isShared) found.push((await this.#book.current(own)).signed)
      if (found.length === CLAIMS_PER_ANSWER_MAX) break
    }
    return found
  }

  #vouchFor(place: Place, digests: readonly Digest[]): Promise<SignedClaim[]> {
    const named = digests.flatMap((digest) => {
      const record = this.#names.find(place, digest)
      const stat = this.#store.stat(digest)
      if (record === undefined || record.kind === "deleted" || stat?.isShared !== true) return []
      if (!this.#rights.has(place, digest)) return []
      const { sizeBytes } = stat.layout
      const { registry, repository } = place
      return [{ registry, name: repository, digest, mediaType: record.mediaType ?? "", sizeBytes }]
    })
    return Promise.all(named.map((claim) => this.#book.vouch(claim)))
  }
}
