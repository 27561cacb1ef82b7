/**
 * Blobs by digest under a name (protocol/registry-profile.md §3 and §6). The bytes come by `delivery`;
 * here is only who may have them, and from where.
 * @module
 */
import type { Clock } from "../core/clock.ts"
import type { Digest } from "../core/digest.ts"
import { UPSTREAM_ANSWER_MS_MAX } from "../core/limits.ts"
import type { BlobRequest, BlobStream, Delivery, RangeRequest } from "../delivery/delivery.ts"
import { OriginError } from "../delivery/errors.ts"
import type { BlobStore } from "../store/store.ts"
import { within } from "./deadline.ts"
import { RegistryError } from "./errors.ts"
import { isAbsent, isOutage } from "./manifest-loader.ts"
import type { NameIndex, NameRecord } from "./name-index.ts"
import type { Place } from "./place.ts"
import type { RegistryRights } from "./rights.ts"
import type { TagBeliefs } from "./tag-beliefs.ts"
import type { Upstream } from "./upstream.ts"

export interface BlobSourceDeps {
  readonly store: BlobStore
  readonly delivery: Delivery
  readonly upstream: Upstream
  readonly names: NameIndex
  readonly beliefs: TagBeliefs
  readonly clock: Clock
  readonly rights: RegistryRights
}

export class BlobSource {
  readonly #deps: BlobSourceDeps

  constructor(deps: BlobSourceDeps) {
    this.#deps = deps
  }

  /**
   * Tells the size of a blob, and thereby that it can be had.
   * @throws RegistryError `BLOB_NOT_FOUND`, OriginError
   */
  async size(place: Place, digest: Digest, signal: AbortSignal): Promise<number> {
    const { clock } = this.#deps
    return within({ clock, limitMs: UPSTREAM_ANSWER_MS_MAX, signal, late }, async (inner) => {
      const record = await this.#establish(place, digest, inner)
      const local = this.#localSize(digest)
      if (local !== undefined) return local
      if (record.sizeBytes !== undefined && this.#deps.delivery.isAtHand(digest)) {
        return record.sizeBytes
      }
      return this.#findSize(place, digest, { record, signal: inner })
    })
  }

  /**
   * Opens a blob, or a part of it. Each chunk is the reader's until it asks for the next one.
   * @throws RegistryError, OriginError, DeliveryError, StoreError
   */
  async open(
    place: Place,
    digest: Digest,
    options: { range?: RangeRequest; signal: AbortSignal },
  ): Promise<BlobStream> {
    const { clock } = this.#deps
    const { range, signal } = options
    const deadline = { clock, limitMs: UPSTREAM_ANSWER_MS_MAX, signal, late }
    const record = await within(deadline, (inner) => this.#establish(place, digest, inner))
    const request = this.#request(place, digest, record)
    try {
      const wish = range === undefined ? {} : { range }
      return await this.#deps.delivery.open(request, { ...wish, isLent: true, signal })
    } catch (error) {
      throw isAbsent(error) ? absent(digest) : error
    }
  }

  async #findSize(
    place: Place,
    digest: Digest,
    { record, signal }: { record: NameRecord; signal: AbortSignal },
  ): Promise<number> {
    try {
      const request = this.#request(place, digest, record)
      const sizeBytes = await this.#deps.delivery.size(request, { signal })
      if (sizeBytes !== undefined) return sizeBytes
    } catch (error) {
      throw isAbsent(error) ? absent(digest) : error
    }
    throw absent(digest)
  }

  #request(place: Place, digest: Digest, record: NameRecord): BlobRequest {
    const sizeBytes = this.#localSize(digest) ?? record.sizeBytes
    return {
      digest,
      ...(sizeBytes === undefined ? {} : { sizeBytes }),
      ...(place.origin === undefined ? {} : { origin: place.origin }),
    }
  }

  #localSize(digest: Digest): number | undefined {
    const stat = this.#deps.store.stat(digest)
    return stat?.isComplete === true ? stat.layout.sizeBytes : undefined
  }

  /** Gives the record that lets this name have the blob; asks upstream or peers for one. */
  async #establish(place: Place, digest: Digest, signal: AbortSignal): Promise<NameRecord> {
    const record = this.#deps.names.find(place, digest)
    if (record?.kind === "deleted") throw absent(digest)
    const isPrivate = this.#deps.store.stat(digest)?.isShared === false
    if (record !== undefined && (record.isProved || !isPrivate)) return record
    if (place.origin !== undefined) {
      try {
        return await this.#askUpstream(place, digest, signal)
      } catch (error) {
        if (!isOutage(error) || isPrivate) throw error
        const vouched = await this.#askPeers(place, digest, signal)
        if (vouched === undefined) throw error
        return vouched
      }
    }
    const vouched = isPrivate ? undefined : await this.#askPeers(place, digest, signal)
    if (vouched === undefined) throw absent(digest)
    return vouched
  }

  async #askUpstream(place: Place, digest: Digest, signal: AbortSignal): Promise<NameRecord> {
    const { upstream, names } = this.#deps
    if (place.origin === undefined) throw absent(digest)
    try {
      const head = await upstream.headBlob(place.origin, digest, { signal })
      const record = {
        kind: "blob" as const,
        sizeBytes: head.sizeBytes,
        mediaType: undefined,
        isProved: true,
      }
      await names.admit(place, [{ ...record, digest }])
      await this.#deps.rights.propose(place, [digest])
      return record
    } catch (error) {
      throw isAbsent(error) ? absent(digest) : error
    }
  }

  async #askPeers(
    place: Place,
    digest: Digest,
    signal: AbortSignal,
  ): Promise<NameRecord | undefined> {
    const claim = await this.#deps.beliefs.askDigest(place, digest, signal)
    if (claim === undefined) return undefined
    const record = {
      kind: "blob" as const,
      sizeBytes: claim.sizeBytes,
      mediaType: undefined,
      isProved: false,
    }
    await this.#deps.names.admit(place, [{ ...record, digest }])
    await this.#deps.rights.propose(place, [digest])
    return record
  }
}

/** Says that a name has no such blob. */
export function absent(digest: Digest): RegistryError {
  return new RegistryError("BLOB_NOT_FOUND", `no blob ${digest} under this name`)
}

function late(): OriginError {
  return new OriginError("ORIGIN_STALLED", `no answer within ${UPSTREAM_ANSWER_MS_MAX} ms`)
}
