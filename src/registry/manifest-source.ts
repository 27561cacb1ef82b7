/**
 * Manifests by tag and by digest: who is asked in which order, and what is believed
 * (protocol/registry-profile.md §3, protocol/tag-claim.md §6).
 * @module
 */
import type { Clock } from "../core/clock.ts"
import { type Digest, isDigest } from "../core/digest.ts"
import { UPSTREAM_ANSWER_MS_MAX } from "../core/limits.ts"
import { OriginError } from "../delivery/errors.ts"
import type { OriginRef } from "../delivery/origin.ts"
import { within } from "./deadline.ts"
import {
  isAbsent,
  isOutage,
  type ManifestLoader,
  parseUpstream,
  stalled,
  undeliverable,
  unknownManifest,
} from "./manifest-loader.ts"
import type { LoadedManifest, ManifestShelf } from "./manifest-shelf.ts"
import { type Place, placeKey } from "./place.ts"
import type { TagBeliefs } from "./tag-beliefs.ts"
import type { Upstream, UpstreamHead } from "./upstream.ts"

/** Whose word a tag's digest is. */
export type TagSource = "upstream" | "own-claim" | "peer-claims"

/** A manifest for a client. */
export interface ManifestAnswer extends LoadedManifest {
  /** Undefined when it was asked for by digest. */
  readonly source: TagSource | undefined
}

/** What an upstream says of a tag. */
interface TagHead extends UpstreamHead {
  readonly digest: Digest
  /** The bytes, if they had to be asked for. */
  readonly loaded: LoadedManifest | undefined
}

/** The status of a registry that does not know HEAD. */
const METHOD_UNKNOWN = 405

export interface ManifestSourceDeps {
  readonly upstream: Upstream
  readonly shelf: ManifestShelf
  readonly beliefs: TagBeliefs
  readonly loader: ManifestLoader
  readonly clock: Clock
}

export class ManifestSource {
  readonly #deps: ManifestSourceDeps

  constructor(deps: ManifestSourceDeps) {
    this.#deps = deps
  }

  /**
   * Gives a manifest by tag or digest.
   * @throws RegistryError, OriginError, DeliveryError, within 5 s
   */
  async find(place: Place, reference: string, signal: AbortSignal): Promise<ManifestAnswer> {
    const { clock, loader } = this.#deps
    const late = () => stalled(place, UPSTREAM_ANSWER_MS_MAX)
    const deadline = { clock, limitMs: UPSTREAM_ANSWER_MS_MAX, signal, late }
    return within(deadline, async (inner) => {
      if (isDigest(reference)) {
        return { ...(await loader.loadNamed(place, reference, inner)), source: undefined }
      }
      const { origin } = place
      if (origin === undefined) return this.#pushedTag(place, reference, inner)
      return this.#mirroredTag(place, origin, { tag: reference, signal: inner })
    })
  }

  async #mirroredTag(
    place: Place,
    origin: OriginRef,
    { tag, signal }: { tag: string; signal: AbortSignal },
  ): Promise<ManifestAnswer> {
    const { beliefs, loader, shelf } = this.#deps
    try {
      const head = await loader.askUpstream(place, signal, (inner) =>
        this.#head(origin, tag, inner),
      )
      const isShared = !head.usedCredentials
      const { digest } = head
      const loaded = head.loaded ?? (await loader.load(place, digest, { hint: head, signal }))
      if (head.loaded !== undefined) await shelf.keep(loaded, { isShared })
      await shelf.admit(place, loaded, { isProved: true })
      // Only now: a tag is claimed once its manifest is here, so that both are told at once.
      await beliefs.observe(place, tag, { ...head, isShared })
      return { ...loaded, source: "upstream" }
    } catch (error) {
      if (isAbsent(error)) {
        await beliefs.observeAbsence(place, tag)
        throw unknownManifest(`${placeKey(place)}:${tag}`)
      }
      if (!isOutage(error)) throw error
      const answer = await this.#fromClaims(place, tag, signal)
      if (answer !== undefined) return answer
      throw error
    }
  }

  /** Gives the upstream's word; registries that tell none, or know no HEAD, are asked for the bytes. */
  async #head(origin: OriginRef, tag: string, signal: AbortSignal): Promise<TagHead> {
    const head = await this.#headOrNothing(origin, tag, signal)
    if (head?.digest !== undefined) return { ...head, digest: head.digest, loaded: undefined }
    const got = await this.#deps.upstream.manifest(origin, tag, { signal })
    const { digest, bytes, mediaType, usedCredentials } = got
    const loaded = { digest, bytes, manifest: parseUpstream(origin, bytes, mediaType) }
    return { digest, mediaType, sizeBytes: bytes.length, usedCredentials, loaded }
  }

  async #headOrNothing(
    origin: OriginRef,
    tag: string,
    signal: AbortSignal,
  ): Promise<UpstreamHead | undefined> {
    try {
      return await this.#deps.upstream.headManifest(origin, tag, { signal })
    } catch (error) {
      if (error instanceof OriginError && error.details?.status === METHOD_UNKNOWN) return undefined
      throw error
    }
  }

  /** While the upstream is away: the node's own last claim, else what peers agree on. */
  async #fromClaims(
    place: Place,
    tag: string,
    signal: AbortSignal,
  ): Promise<ManifestAnswer | undefined> {
    const { beliefs, loader } = this.#deps
    const own = beliefs.own(place, tag)
    if (own?.digest !== undefined) {
      const loaded = await loader.loadClaimed(place, own, signal)
      if (loaded !== undefined) return { ...loaded, source: "own-claim" }
    }
    const believed = await beliefs.askMirrored(place, tag, signal)
    if (believed?.digest === undefined) return undefined
    const loaded = await loader.loadClaimed(place, believed, signal)
    if (loaded === undefined) return undefined
    await beliefs.keep(believed)
    return { ...loaded, source: "peer-claims" }
  }

  async #pushedTag(place: Place, tag: string, signal: AbortSignal): Promise<ManifestAnswer> {
    const { beliefs, loader } = this.#deps
    const { claim, isOwn } = await beliefs.askPushed(place, tag, signal)
    if (claim?.digest === undefined) throw unknownManifest(`${placeKey(place)}:${tag}`)
    const loaded = await loader.loadClaimed(place, claim, signal)
    // Not MANIFEST_UNKNOWN: it is this name's, and a default upstream's image must not stand in.
    if (loaded === undefined) throw undeliverable(claim.digest)
    if (!isOwn) await beliefs.adopt(claim)
    return { ...loaded, source: isOwn ? "own-claim" : "peer-claims" }
  }
}
