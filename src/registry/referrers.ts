/**
 * Which manifests refer to another by `subject` (OCI distribution spec 1.1, end-12): noted at each
 * manifest that comes in, asked of upstreams and peers.
 * @module
 */
import { type Digest, hexOf, isDigest } from "../core/digest.ts"
import {
  asObject,
  asText,
  encodeJson,
  field,
  type JsonObject,
  type JsonValue,
  parseJson,
} from "../core/json.ts"
import type { Kv } from "../store/kv.ts"
import { isOutage } from "./manifest-loader.ts"
import type { LoadedManifest, ManifestShelf } from "./manifest-shelf.ts"
import { type Place, placeKey } from "./place.ts"
import type { TagBeliefs } from "./tag-beliefs.ts"
import type { Upstream } from "./upstream.ts"

/** Referrers of one manifest that are kept and listed at most. */
const REFERRERS_MAX = 10_000
/** Descriptors of them that are read for one answer: each may have annotations as long as a manifest. */
const DESCRIPTOR_BYTES_MAX = 16 * 1024 * 1024
/** Referrers that only peers know, fetched for one answer. */
const FETCHED_MAX = 64

export class Referrers {
  readonly #kv: Kv
  readonly #upstream: Upstream
  readonly #beliefs: TagBeliefs
  readonly #shelf: ManifestShelf

  constructor(deps: { kv: Kv; upstream: Upstream; beliefs: TagBeliefs; shelf: ManifestShelf }) {
    this.#kv = deps.kv
    this.#upstream = deps.upstream
    this.#beliefs = deps.beliefs
    this.#shelf = deps.shelf
  }

  /** Notes a manifest if it has a subject. */
  async note(place: Place, loaded: LoadedManifest): Promise<void> {
    const { subject } = loaded.manifest
    if (subject === undefined) return
    const key = `${prefixOf(place, subject)}${loaded.digest}`
    if (this.#kv.get(key) === undefined) await this.#kv.put(key, encodeJson(describe(loaded)))
  }

  async forget(place: Place, loaded: LoadedManifest): Promise<void> {
    const { subject } = loaded.manifest
    if (subject !== undefined) await this.#kv.del(`${prefixOf(place, subject)}${loaded.digest}`)
  }

  /** Gives the digests that this node knows by itself. */
  async known(place: Place, subject: Digest): Promise<readonly JsonObject[]> {
    const found: JsonObject[] = []
    let readBytes = 0
    const entries = this.#kv.scan(prefixOf(place, subject), { limit: REFERRERS_MAX })
    for await (const [, value] of entries) {
      readBytes += value.length
      if (readBytes > DESCRIPTOR_BYTES_MAX) break
      const descriptor = asObject(parseJson(value))
      if (descriptor !== undefined) found.push(descriptor)
    }
    return found
  }

  /**
   * Gives the descriptors of all that refer to a manifest.
   * @throws OriginError when the upstream refuses; while it is away, what is known here is given
   */
  async list(place: Place, subject: Digest, signal: AbortSignal): Promise<readonly JsonObject[]> {
    const known = await this.known(place, subject)
    if (place.origin === undefined) {
      return merge(known, await this.#fromPeers(place, subject, { known, signal }))
    }
    try {
      return merge(await this.#upstream.referrers(place.origin, subject, { signal }), known)
    } catch (error) {
      if (!isOutage(error) || known.length === 0) throw error
      return known
    }
  }

  /** A peer only names digests; the manifest itself proves that it refers to the subject. */
  async #fromPeers(
    place: Place,
    subject: Digest,
    { known, signal }: { known: readonly JsonObject[]; signal: AbortSignal },
  ): Promise<readonly JsonObject[]> {
    const claims = await this.#beliefs.askReferrers(place, subject, signal)
    const seen = new Set(known.map((descriptor) => field(descriptor, "digest")))
    const found: JsonObject[] = []
    let readBytes = 0
    for (const { digest, sizeBytes, mediaType } of claims) {
      if (found.length >= FETCHED_MAX || readBytes > DESCRIPTOR_BYTES_MAX) break
      if (digest === undefined || seen.has(digest)) continue
      seen.add(digest)
      const hint = { sizeBytes, mediaType: mediaType === "" ? undefined : mediaType }
      const loaded =
        (await this.#shelf.read(digest, hint.mediaType)) ??
        (await this.#shelf.bringFromPeers(digest, hint, signal))
      readBytes += loaded?.bytes.length ?? 0
      if (loaded?.manifest.subject !== subject) continue
      await this.#shelf.admit(place, loaded, { isProved: false })
      await this.note(place, loaded)
      found.push(describe(loaded))
    }
    return found
  }
}

/** Gives the index that answers: OCI image spec 1.1, image-index.md. */
export function referrersIndex(descriptors: readonly JsonObject[]): Uint8Array {
  return encodeJson({
    schemaVersion: 2,
    mediaType: "application/vnd.oci.image.index.v1+json",
    manifests: descriptors,
  })
}

/** Keeps the descriptors of one artifact type. */
export function ofArtifactType(
  descriptors: readonly JsonObject[],
  artifactType: string,
): readonly JsonObject[] {
  return descriptors.filter((one) => asText(field(one, "artifactType")) === artifactType)
}

function prefixOf(place: Place, subject: Digest): string {
  return `${hexOf(subject)} ${placeKey(place)} `
}

/** Distribution spec 1.1, Listing Referrers: artifact type and annotations of the manifest itself. */
function describe({ digest, bytes, manifest }: LoadedManifest): JsonObject {
  const descriptor: { [key: string]: JsonValue } = {
    mediaType: manifest.mediaType,
    size: bytes.length,
    digest,
  }
  if (manifest.artifactType !== undefined) descriptor.artifactType = manifest.artifactType
  if (manifest.annotations !== undefined) descriptor.annotations = manifest.annotations
  return descriptor
}

function merge(first: readonly JsonObject[], second: readonly JsonObject[]): readonly JsonObject[] {
  const byDigest = new Map<string, JsonObject>()
  for (const descriptor of [...first, ...second]) {
    const digest = asText(field(descriptor, "digest")) ?? ""
    if (isDigest(digest) && !byDigest.has(digest)) byDigest.set(digest, descriptor)
  }
  return [...byDigest.values()].slice(0, REFERRERS_MAX)
}
