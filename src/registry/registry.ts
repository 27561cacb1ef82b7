/**
 * The OCI registry of one node, without HTTP: names, manifests, blobs, uploads, tags, referrers
 * (protocol/registry-profile.md). `routes.ts` puts it on the front door.
 * @module
 */
import type { Clock } from "../core/clock.ts"
import { type Digest, isDigest } from "../core/digest.ts"
import type { JsonObject } from "../core/json.ts"
import { UPSTREAM_ANSWER_MS_MAX } from "../core/limits.ts"
import type { Logger } from "../core/log.ts"
import type { Counter, Metrics } from "../core/metrics.ts"
import type { ImageReference } from "../core/reference.ts"
import type { BlobStream, Delivery, RangeRequest } from "../delivery/delivery.ts"
import { OriginError } from "../delivery/errors.ts"
import type { PeerNetwork } from "../net/net.ts"
import type { BlobPlaces } from "../store/blob-places.ts"
import type { BlobStore } from "../store/store.ts"
import { absent, BlobSource } from "./blob-source.ts"
import type { TagClaim } from "./claim/claim.ts"
import { ClaimBook } from "./claim/claim-book.ts"
import { ClaimExchange } from "./claim/claim-exchange.ts"
import { within } from "./deadline.ts"
import { RegistryError } from "./errors.ts"
import { isOutage, ManifestLoader, unknownManifest } from "./manifest-loader.ts"
import { ManifestShelf } from "./manifest-shelf.ts"
import { type ManifestAnswer, ManifestSource, type TagSource } from "./manifest-source.ts"
import { NameIndex } from "./name-index.ts"
import { PeerAnswers } from "./peer-answers.ts"
import { type Located, locate, type NameRules, type Place, placeKey } from "./place.ts"
import { type ManifestPush, PushDesk, type PushedManifest } from "./push-desk.ts"
import { Referrers } from "./referrers.ts"
import { type RegistryAccess, RegistryRights } from "./rights.ts"
import { TagBeliefs } from "./tag-beliefs.ts"
import { type Chunk, UPLOAD_LIMITS, type UploadLimits, Uploads } from "./uploads.ts"
import { statusFault } from "./upstream/fault.ts"
import type { Upstream } from "./upstream.ts"

/** Tags of a repository, in order. */
export interface TagList {
  readonly tags: readonly string[]
  readonly source: TagSource
}

/** A tag that this node knows. */
export interface KnownTag {
  readonly name: ImageReference
  readonly digest: Digest
  readonly mediaType: string
}

type Signalled = { readonly signal: AbortSignal }

/** The registry of one node. Methods throw RegistryError, OriginError, DeliveryError, StoreError. */
export interface Registry {
  /** Counts what the front door does. */
  readonly traffic: { readonly requests: Counter; readonly sentBytes: Counter }
  /** Reads the name of a request. @throws RegistryError `NAME_INVALID` */
  locate(path: string, ns: string | undefined): Located
  /** Gives a manifest by tag or digest; all that it names can be delivered. Within 5 s. */
  manifest(name: Located, reference: string, options: Signalled): Promise<ManifestAnswer>
  putManifest(name: Located, reference: string, push: ManifestPush): Promise<PushedManifest>
  /** Deletes a manifest with all tags that mean it, or one tag. */
  deleteManifest(name: Located, reference: string, options: Signalled): Promise<void>
  blobSize(name: Located, digest: Digest, options: Signalled): Promise<number>
  openBlob(
    name: Located,
    digest: Digest,
    options: Signalled & { range?: RangeRequest },
  ): Promise<BlobStream>
  deleteBlob(name: Located, digest: Digest): Promise<void>
  tags(name: Located, options: Signalled): Promise<TagList>
  /** Gives every tag that this node itself claims or believes, in the order of their names. */
  knownTags(): AsyncIterable<KnownTag>
  /** Forgets a mirrored tag, or deletes a pushed one. @returns whether there was one */
  forgetTag(name: Located, tag: string): Promise<boolean>
  referrers(name: Located, subject: Digest, options: Signalled): Promise<readonly JsonObject[]>
  /** Gives an upload's id. */
  startUpload(name: Located): Promise<string>
  uploadSize(name: Located, id: string): number
  appendUpload(name: Located, id: string, chunk: Chunk): Promise<number>
  finishUpload(name: Located, id: string, digest: Digest, chunk: Chunk): Promise<void>
  cancelUpload(name: Located, id: string): Promise<void>
  /** Gives a repository a blob of another one (of any pushed one when `from` is left out). */
  mount(name: Located, digest: Digest, from: Located | undefined): Promise<boolean>
  stop(): Promise<void>
}

export interface RegistryOptions {
  /** Where names without a registry are looked up when the fleet does not have them. */
  readonly defaultUpstream?: string | undefined
  /** Believes peers found by mDNS like those given by `--peer`. */
  readonly trustLanTags?: boolean
  /** Hosts with port at which clients reach this node: `?ns=` with one of them names no upstream. */
  readonly ownHosts?: () => readonly string[]
  readonly uploads?: UploadLimits
}

export interface RegistryDeps {
  readonly store: BlobStore
  readonly delivery: Delivery
  readonly net: PeerNetwork
  readonly upstream: Upstream
  readonly clock: Clock
  readonly log: Logger
  readonly metrics: Metrics
  /** What this node and peers may by the fleet's access list; without a fleet, and when left out, all. */
  readonly access?: RegistryAccess | undefined
  /** Where what comes in by a name is noted; the swarm gives it out by that. */
  readonly places?: BlobPlaces | undefined
}

/** Makes the registry and begins to answer peers about tags. */
export function createRegistry(deps: RegistryDeps, options: RegistryOptions): Registry {
  return new NodeRegistry(deps, options)
}

class NodeRegistry implements Registry {
  readonly traffic: { readonly requests: Counter; readonly sentBytes: Counter }
  readonly #deps: RegistryDeps
  readonly #rules: NameRules
  readonly #rights: RegistryRights
  readonly #names: NameIndex
  readonly #book: ClaimBook
  readonly #beliefs: TagBeliefs
  readonly #manifests: ManifestSource
  readonly #blobs: BlobSource
  readonly #referrers: Referrers
  readonly #desk: PushDesk
  readonly #uploads: Uploads
  readonly #stopListening: () => void

  constructor(deps: RegistryDeps, options: RegistryOptions) {
    const { store, net, upstream, clock, log } = deps
    const kv = store.kv("registry")
    this.#deps = deps
    this.#rules = {
      isRegistry: (component) => upstream.isRegistry(component),
      isOwnHost: (host) => options.ownHosts?.().includes(host) === true,
      defaultUpstream: options.defaultUpstream,
    }
    const rights = new RegistryRights({ net, access: deps.access, places: deps.places })
    this.#rights = rights
    const fleet = () => rights.fleet
    this.#names = new NameIndex(kv.part("names"))
    this.#book = new ClaimBook({ net, clock, kv: kv.part("claims"), fleet })
    const exchange = new ClaimExchange({ net, clock, log, fleet })
    const trustLanTags = options.trustLanTags === true
    this.#beliefs = new TagBeliefs({ net, clock, book: this.#book, exchange, trustLanTags, rights })
    const shared = { ...deps, names: this.#names, beliefs: this.#beliefs, rights }
    const shelf = new ManifestShelf(shared)
    const loader = new ManifestLoader({ ...shared, shelf })
    this.#manifests = new ManifestSource({ ...shared, shelf, loader })
    this.#blobs = new BlobSource(shared)
    this.#referrers = new Referrers({ ...shared, kv: kv.part("referrers"), shelf })
    this.#desk = new PushDesk({ ...shared, shelf, referrers: this.#referrers })
    this.#uploads = new Uploads(deps, options.uploads ?? UPLOAD_LIMITS)
    this.traffic = trafficCounters(deps.metrics)
    deps.metrics.gauge("sealift_registry_uploads", "Open uploads.", () => this.#uploads.count)
    const answers = new PeerAnswers({ ...shared, book: this.#book, referrers: this.#referrers })
    exchange.serve((query, peer) => answers.answer(query, peer))
    this.#stopListening = store.onChange((change) => {
      if (change.kind !== "removed") return
      this.#names.forget(change.digest).catch((error: unknown) => {
        log.warn({ error, digest: change.digest }, "names of a removed blob could not be dropped")
      })
    })
  }

  locate(path: string, ns: string | undefined): Located {
    return locate(path, ns, this.#rules)
  }

  manifest(name: Located, reference: string, { signal }: Signalled): Promise<ManifestAnswer> {
    return withFallback(name, async (place) => {
      this.#assertReadable(place, () =>
        unknownManifest(isDigest(reference) ? reference : `${placeKey(place)}:${reference}`),
      )
      const answer = await this.#manifests.find(place, reference, signal)
      await this.#referrers.note(place, answer)
      return answer
    })
  }

  putManifest(name: Located, reference: string, push: ManifestPush): Promise<PushedManifest> {
    return this.#desk.putManifest(name.place, reference, push)
  }

  deleteManifest(name: Located, reference: string, { signal }: Signalled): Promise<void> {
    return this.#desk.deleteManifest(name.place, reference, signal)
  }

  blobSize(name: Located, digest: Digest, { signal }: Signalled): Promise<number> {
    return withFallback(name, async (place) => {
      this.#assertReadable(place, () => absent(digest))
      return this.#blobs.size(place, digest, signal)
    })
  }

  openBlob(
    name: Located,
    digest: Digest,
    options: Signalled & { range?: RangeRequest },
  ): Promise<BlobStream> {
    return withFallback(name, async (place) => {
      this.#assertReadable(place, () => absent(digest))
      return this.#blobs.open(place, digest, options)
    })
  }

  deleteBlob(name: Located, digest: Digest): Promise<void> {
    return this.#desk.deleteBlob(name.place, digest)
  }

  tags(name: Located, { signal }: Signalled): Promise<TagList> {
    const { clock } = this.#deps
    const late = () => new OriginError("ORIGIN_STALLED", "the tags did not come in time")
    return withFallback(name, (place) =>
      within({ clock, limitMs: UPSTREAM_ANSWER_MS_MAX, signal, late }, (inner) =>
        this.#tagsOf(place, inner),
      ),
    )
  }

  async #tagsOf(place: Place, signal: AbortSignal): Promise<TagList> {
    const { origin } = place
    this.#assertReadable(place, () => unknownName(place))
    if (origin === undefined) {
      const tags = tagsOf(await this.#beliefs.claims(place, signal))
      if (tags.length > 0 || (await this.#isPushed(place))) return { tags, source: "own-claim" }
      throw unknownName(place)
    }
    try {
      return { tags: await this.#deps.upstream.tags(origin, { signal }), source: "upstream" }
    } catch (error) {
      if (!isOutage(error)) throw error
      const tags = tagsOf(await this.#beliefs.claims(place, signal))
      if (tags.length === 0) throw error
      return { tags, source: "peer-claims" }
    }
  }

  async *knownTags(): AsyncIterable<KnownTag> {
    for await (const { registry, name, tag, digest, mediaType } of this.#book.all()) {
      if (digest === undefined) continue
      const place = { registry: registry === "" ? undefined : registry, repository: name }
      yield { name: { ...place, tag, digest: undefined }, digest, mediaType }
    }
  }

  async forgetTag({ place }: Located, tag: string): Promise<boolean> {
    // The question to peers ends by itself within a second.
    const { signal } = new AbortController()
    if (place.origin === undefined) return this.#beliefs.remove(place, tag, signal)
    return this.#book.forget({ ...repositoryOf(place), tag })
  }

  /** A repository whose tags are all gone is still one. */
  async #isPushed(place: Place): Promise<boolean> {
    for await (const _ of this.#book.ownOf(repositoryOf(place))) return true
    return this.#desk.hasPushes(place)
  }

  referrers(name: Located, subject: Digest, { signal }: Signalled): Promise<readonly JsonObject[]> {
    const { clock } = this.#deps
    const late = () => new OriginError("ORIGIN_STALLED", "the referrers did not come in time")
    return within({ clock, limitMs: UPSTREAM_ANSWER_MS_MAX, signal, late }, async (inner) => {
      const pushed = await this.#referrersOf(name.place, subject, inner)
      if (pushed.length > 0 || name.fallback === undefined) return pushed
      if (this.#names.find(name.place, subject) !== undefined) return pushed
      return this.#referrersOf(name.fallback, subject, inner)
    })
  }

  async #referrersOf(
    place: Place,
    subject: Digest,
    signal: AbortSignal,
  ): Promise<readonly JsonObject[]> {
    return this.#rights.mayRead(place) ? this.#referrers.list(place, subject, signal) : []
  }

  /** What this node itself may not fetch is answered as what there is not. */
  #assertReadable(place: Place, unknown: () => Error): void {
    if (!this.#rights.mayRead(place)) throw unknown()
  }

  async startUpload({ place }: Located): Promise<string> {
    this.#desk.assertMayPush(place)
    return this.#uploads.start(place)
  }

  uploadSize(name: Located, id: string): number {
    return this.#uploads.sizeBytes(name.place, id)
  }

  appendUpload(name: Located, id: string, chunk: Chunk): Promise<number> {
    return this.#uploads.append(name.place, id, chunk)
  }

  async finishUpload(name: Located, id: string, digest: Digest, chunk: Chunk): Promise<void> {
    const stat = await this.#uploads.finish(name.place, id, digest, chunk)
    await this.#desk.nameBlob(name.place, stat.digest, stat.layout.sizeBytes)
  }

  cancelUpload(name: Located, id: string): Promise<void> {
    return this.#uploads.cancel(name.place, id)
  }

  mount(name: Located, digest: Digest, from: Located | undefined): Promise<boolean> {
    return this.#desk.mount(name.place, digest, from?.place)
  }

  async stop(): Promise<void> {
    this.#stopListening()
    await this.#uploads.stop()
  }
}

/** Tries a name as pushed, then at the default upstream. */
async function withFallback<T>(name: Located, ask: (place: Place) => Promise<T>): Promise<T> {
  const { place, fallback } = name
  if (fallback === undefined) return ask(place)
  try {
    return await ask(place)
  } catch (error) {
    if (!(error instanceof RegistryError) || !UNKNOWN_CODES.has(error.code)) throw error
    return ask(fallback)
  }
}

const UNKNOWN_CODES: ReadonlySet<string> = new Set([
  "NAME_UNKNOWN",
  "MANIFEST_UNKNOWN",
  "BLOB_NOT_FOUND",
])

/** Says that there is no such repository; of an upstream's name as that one would. */
function unknownName({ registry, repository, origin }: Place): Error {
  if (origin !== undefined) return statusFault(registry, 404, undefined)
  return new RegistryError("NAME_UNKNOWN", `no repository ${repository} in the fleet`)
}

const tagsOf = (claims: readonly TagClaim[]): string[] => claims.map(({ tag }) => tag)
const repositoryOf = ({ registry, repository }: Place) => ({ registry, name: repository })

function trafficCounters(metrics: Metrics): { requests: Counter; sentBytes: Counter } {
  return {
    requests: metrics.counter(
      "sealift_registry_requests_total",
      "Requests at the registry by route, method and status.",
      ["route", "method", "status"],
    ),
    sentBytes: metrics.counter(
      "sealift_registry_sent_bytes_total",
      "Bytes of blobs and manifests sent to clients.",
    ),
  }
}
