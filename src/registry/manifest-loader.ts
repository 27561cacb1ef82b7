/**
 * Manifests by digest under a name: whether the name has it, where the bytes come from, and that nothing
 * is answered that cannot be delivered (protocol/registry-profile.md §3 and §6).
 * @module
 */
import type { Clock } from "../core/clock.ts"
import type { Digest } from "../core/digest.ts"
import type { Delivery } from "../delivery/delivery.ts"
import { DeliveryError, OriginError } from "../delivery/errors.ts"
import type { OriginRef } from "../delivery/origin.ts"
import type { BlobStore } from "../store/store.ts"
import type { TagClaim } from "./claim/claim.ts"
import { within } from "./deadline.ts"
import { RegistryError } from "./errors.ts"
import { type Manifest, parseManifest } from "./manifest.ts"
import type { LoadedManifest, ManifestHint, ManifestShelf } from "./manifest-shelf.ts"
import type { NameIndex } from "./name-index.ts"
import type { Place } from "./place.ts"
import { RecentPlaces } from "./recent-places.ts"
import type { TagBeliefs } from "./tag-beliefs.ts"
import type { Upstream } from "./upstream.ts"

/** Of the time in which a client gets its answer, the upstream has this much. */
const UPSTREAM_SHARE_MS = 3_000

export interface ManifestLoaderDeps {
  readonly store: BlobStore
  readonly delivery: Delivery
  readonly upstream: Upstream
  readonly names: NameIndex
  readonly shelf: ManifestShelf
  readonly beliefs: TagBeliefs
  readonly clock: Clock
}

export class ManifestLoader {
  readonly #deps: ManifestLoaderDeps
  readonly #answered: RecentPlaces

  constructor(deps: ManifestLoaderDeps) {
    this.#deps = deps
    this.#answered = new RecentPlaces(deps.clock)
  }

  /**
   * Gives a manifest that a client asks for by digest.
   * @throws RegistryError `MANIFEST_UNKNOWN`, OriginError, DeliveryError `BLOB_UNAVAILABLE`
   */
  async loadNamed(place: Place, digest: Digest, signal: AbortSignal): Promise<LoadedManifest> {
    const { names, shelf } = this.#deps
    const record = names.find(place, digest)
    if (record?.kind === "deleted") throw unknownManifest(digest)
    const hasName = record?.kind === "manifest" && !this.#isWithheld(place, digest)
    if (!hasName) return this.#loadUnnamed(place, digest, signal)
    const hint = { sizeBytes: record.sizeBytes, mediaType: record.mediaType }
    const loaded = await this.load(place, digest, { hint, signal })
    const isSure = this.#answered.has(place) || (await shelf.isDeliverable(loaded, signal))
    if (!isSure) await this.#confirm(place, digest, signal)
    await shelf.admit(place, loaded, { isProved: record.isProved })
    return loaded
  }

  /** A manifest whose name is not established yet: the upstream says, or a peer while it is away. */
  async #loadUnnamed(place: Place, digest: Digest, signal: AbortSignal): Promise<LoadedManifest> {
    const { shelf, beliefs } = this.#deps
    let fault: unknown = unknownManifest(digest)
    if (place.origin !== undefined) {
      try {
        const isNear = this.#deps.delivery.isAtHand(digest)
        if (isNear) await this.#confirm(place, digest, signal)
        const loaded = isNear
          ? await this.load(place, digest, { hint: {}, signal })
          : await this.#fetch(place, digest, signal)
        await shelf.admit(place, loaded, { isProved: true })
        return loaded
      } catch (error) {
        if (!isOutage(error)) throw error
        fault = error
      }
    }
    if (this.#isWithheld(place, digest)) throw fault
    const vouched = await beliefs.askDigest(place, digest, signal)
    if (vouched === undefined) throw fault
    const loaded = await this.loadClaimed(place, vouched, signal)
    if (loaded === undefined) throw fault
    return loaded
  }

  /** Asks the upstream whether it has a manifest under this name. */
  async #confirm(place: Place, digest: Digest, signal: AbortSignal): Promise<void> {
    const { origin } = place
    if (origin === undefined) throw undeliverable(digest)
    const ask = (inner: AbortSignal) =>
      this.#deps.upstream.headManifest(origin, digest, { signal: inner })
    try {
      await this.askUpstream(place, signal, ask)
    } catch (error) {
      throw isAbsent(error) ? unknownManifest(digest) : error
    }
  }

  /** Loads what a believed claim names, if all of it can be delivered without the upstream. */
  async loadClaimed(
    place: Place,
    claim: TagClaim & { digest?: Digest | undefined },
    signal: AbortSignal,
  ): Promise<LoadedManifest | undefined> {
    const { shelf } = this.#deps
    const digest = claim.digest
    if (digest === undefined || this.#isWithheld(place, digest)) return undefined
    const { sizeBytes, mediaType } = claim
    const hint = { sizeBytes, mediaType: mediaType === "" ? undefined : mediaType }
    const loaded =
      (await shelf.read(digest, hint.mediaType)) ??
      (await shelf.bringFromPeers(digest, hint, signal))
    if (loaded === undefined || !(await shelf.isDeliverable(loaded, signal))) return undefined
    await shelf.admit(place, loaded, { isProved: false })
    return loaded
  }

  /** Gives the bytes: from the store, else from peers that are at hand, else from the upstream. */
  async load(
    place: Place,
    digest: Digest,
    options: { hint: ManifestHint; signal: AbortSignal },
  ): Promise<LoadedManifest> {
    const { shelf, delivery } = this.#deps
    const { hint, signal } = options
    const local = await shelf.read(digest, hint.mediaType)
    if (local !== undefined) return local
    const isNear = delivery.isAtHand(digest)
    const near = isNear ? await shelf.bringFromPeers(digest, hint, signal) : undefined
    if (near !== undefined) return near
    try {
      return await this.#fetch(place, digest, signal)
    } catch (error) {
      if (place.origin !== undefined && !isOutage(error)) throw error
      const far = await shelf.bringFromPeers(digest, hint, signal)
      if (far !== undefined) return far
      throw error
    }
  }

  async #fetch(place: Place, digest: Digest, signal: AbortSignal): Promise<LoadedManifest> {
    const { upstream, shelf } = this.#deps
    const { origin } = place
    if (origin === undefined) throw undeliverable(digest)
    try {
      const got = await this.askUpstream(place, signal, (inner) =>
        upstream.manifest(origin, digest, { signal: inner }),
      )
      const loaded = {
        digest,
        bytes: got.bytes,
        manifest: parseUpstream(origin, got.bytes, got.mediaType),
      }
      await shelf.keep(loaded, { isShared: !got.usedCredentials })
      return loaded
    } catch (error) {
      throw isAbsent(error) ? unknownManifest(digest) : error
    }
  }

  /** Content that goes to no other node is given only under names that are proved for it. */
  #isWithheld(place: Place, digest: Digest): boolean {
    const isPrivate = this.#deps.store.stat(digest)?.isShared === false
    return isPrivate && this.#deps.names.find(place, digest)?.isProved !== true
  }

  /** Asks the upstream something within its share of the time, and notes that it answered. */
  async askUpstream<T>(
    place: Place,
    signal: AbortSignal,
    ask: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const { clock } = this.#deps
    const late = () => stalled(place, UPSTREAM_SHARE_MS)
    const answer = await within({ clock, limitMs: UPSTREAM_SHARE_MS, signal, late }, ask)
    this.#answered.add(place)
    return answer
  }
}

/** Tells whether a fault means that the upstream is away or broken, rather than that it says no. */
export function isOutage(error: unknown): boolean {
  if (!(error instanceof OriginError)) return false
  const { code } = error
  return code === "ORIGIN_UNAVAILABLE" || code === "ORIGIN_STALLED" || code === "ORIGIN_CORRUPT"
}

/** Tells whether a fault means that the upstream does not have it. */
export function isAbsent(error: unknown): boolean {
  return error instanceof OriginError && error.code === "ORIGIN_NOT_FOUND"
}

/** Reads an upstream's manifest. @throws OriginError `ORIGIN_CORRUPT` */
export function parseUpstream(
  origin: OriginRef,
  bytes: Uint8Array,
  mediaType: string | undefined,
): Manifest {
  try {
    return parseManifest(bytes, mediaType)
  } catch (cause) {
    const message = `${origin.registry} sent a malformed manifest`
    throw new OriginError("ORIGIN_CORRUPT", message, { cause })
  }
}

/** Says that time is up. */
export function stalled(place: Place, limitMs: number): OriginError {
  const where = place.registry === "" ? "the fleet" : place.registry
  return new OriginError("ORIGIN_STALLED", `${where} did not answer within ${limitMs} ms`)
}

/** Says that a name has no such manifest. */
export function unknownManifest(what: string): RegistryError {
  return new RegistryError("MANIFEST_UNKNOWN", `no manifest ${what} under this name`)
}

/** Says that a manifest is known, but of no use now. */
export function undeliverable(digest: Digest): DeliveryError {
  const message = `not all that manifest ${digest} names is here or at a connected peer`
  return new DeliveryError("BLOB_UNAVAILABLE", message)
}
