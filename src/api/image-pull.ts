/**
 * Brings an image here: reference → index → manifests of the wanted platforms → their blobs.
 * @module
 */
import type { Clock } from "../core/clock.ts"
import type { Digest } from "../core/digest.ts"
import { InputError } from "../core/errors.ts"
import { type ImageReference, parseReference } from "../core/reference.ts"
import type { Delivery, FlightReport } from "../delivery/delivery.ts"
import type { OriginRef } from "../delivery/origin.ts"
import type { Descriptor, ImageLine, ImageRequest, ProgressLine } from "./api.ts"
import { ApiError } from "./errors.ts"
import { ImageProgress } from "./image-progress.ts"
import type { FoundManifest, ImageSource, NamedBy } from "./image-source.ts"
import { parseManifest } from "./manifest.ts"
import { hostPlatform, isPlatform, parsePlatform } from "./platform.ts"

/** So many blobs of one image travel at once; containerd asks for as many layers. */
const BLOBS_AT_ONCE_MAX = 3
/** An index may name indexes; deeper than this nobody builds them. */
const INDEX_DEPTH_MAX = 3
/** Manifests of one pull, of all platforms. */
const MANIFESTS_MAX = 256

export interface ImagePullDeps {
  readonly images: ImageSource
  readonly delivery: Delivery
  readonly clock: Clock
}

export interface ImagePullOptions {
  readonly signal: AbortSignal
  readonly onProgress?: (line: ProgressLine) => void
  /** Called for each manifest and blob as soon as it is here, so that it can be leased. */
  readonly onHere?: (digest: Digest) => void
}

/** What an image is made of. */
export interface ImageParts {
  readonly digest: Digest
  readonly mediaType: string
  /** False when an index has platforms that were not chosen. */
  readonly isWhole: boolean
  readonly manifests: readonly Descriptor[]
  readonly blobs: readonly Descriptor[]
  readonly origin: OriginRef | undefined
  readonly namedBy: NamedBy
}

/** Reads a REF that must be an image. @throws InputError `REFERENCE_INVALID` */
export function imageReferenceOf(images: ImageSource, ref: string): ImageReference {
  const reference = parseReference(ref, (component) => images.isRegistryKey(component))
  if (reference.kind === "image") return reference
  if (reference.kind === "name") return reference.image
  const shown = JSON.stringify(ref.slice(0, 120))
  throw new InputError("REFERENCE_INVALID", `${shown} is not an image: it names a release`)
}

/** Brings an image here, whole and verified. @throws ApiError, OriginError, DeliveryError */
export async function pullImage(
  deps: ImagePullDeps,
  request: ImageRequest,
  options: ImagePullOptions,
): Promise<ImageLine> {
  const parts = await findImageParts(deps.images, request, options)
  for (const manifest of parts.manifests) options.onHere?.(manifest.digest)
  const progress = new ImageProgress(deps.clock, request.ref, parts.blobs, options.onProgress)
  const queue = [...parts.blobs]
  const stop = new AbortController()
  const signal = AbortSignal.any([options.signal, stop.signal])
  const worker = async () => {
    for (let blob = queue.shift(); blob !== undefined; blob = queue.shift()) {
      signal.throwIfAborted()
      const { digest, sizeBytes } = blob
      const { origin } = parts
      const wish = { digest, sizeBytes, ...(origin === undefined ? {} : { origin }) }
      const onProgress = (report: FlightReport) => progress.report(report)
      await deps.delivery.ensure(wish, { signal, onProgress })
      options.onHere?.(digest)
      progress.finish(digest)
    }
  }
  const workers = Array.from({ length: BLOBS_AT_ONCE_MAX }, worker)
  try {
    await Promise.all(workers)
  } finally {
    stop.abort(new Error("another blob of the image failed"))
    await Promise.allSettled(workers)
  }
  progress.emit()
  const { doneBytes: _done, blobs: _blobs, type: _type, ...sums } = progress.line()
  const { origin: _origin, namedBy: _namedBy, ...named } = parts
  return { type: "result", ...named, ...sums }
}

/** Finds what an image is made of; brings its manifests here, none of its blobs. */
export async function findImageParts(
  images: ImageSource,
  request: ImageRequest,
  options: { signal: AbortSignal },
): Promise<ImageParts> {
  const reference = imageReferenceOf(images, request.ref)
  const wanted = request.allPlatforms === true ? undefined : wantedPlatform(request)
  const root = await found(images, reference, request.ref, options)
  const walk: Walk = { images, reference, ref: request.ref, signal: options.signal, wanted }
  const manifests = new Map<Digest, Descriptor>()
  const blobs = new Map<Digest, Descriptor>()
  const isWhole = await collect(walk, root, { manifests, blobs, depth: 0 })
  return {
    digest: root.digest,
    mediaType: root.mediaType,
    isWhole,
    manifests: [...manifests.values()],
    blobs: [...blobs.values()],
    origin: images.originOf(reference),
    namedBy: root.namedBy,
  }
}

interface Walk {
  readonly images: ImageSource
  readonly reference: ImageReference
  readonly ref: string
  readonly signal: AbortSignal
  /** Undefined: all platforms. */
  readonly wanted: string | undefined
}

interface Collected {
  readonly manifests: Map<Digest, Descriptor>
  readonly blobs: Map<Digest, Descriptor>
  readonly depth: number
}

/** Collects a manifest and what it names. @returns whether nothing of it was left out */
async function collect(
  walk: Walk,
  manifest: FoundManifest,
  into: Collected,
  platform?: string,
): Promise<boolean> {
  const { digest, mediaType, bytes } = manifest
  if (into.manifests.size >= MANIFESTS_MAX || into.depth > INDEX_DEPTH_MAX) {
    throw new ApiError("MANIFEST_INVALID", `${walk.ref} names too many manifests, or too deep`)
  }
  const named = platform === undefined ? {} : { platform }
  into.manifests.set(digest, { digest, mediaType, sizeBytes: bytes.length, ...named })
  const content = parseManifest(bytes)
  if (content.kind === "image") {
    for (const blob of content.blobs) into.blobs.set(blob.digest, blob)
    return true
  }
  const entries = chosen(walk, content.manifests)
  let isWhole = entries.length === content.manifests.length
  for (const entry of entries) {
    if (into.manifests.has(entry.digest)) continue
    const inner = { ...walk.reference, tag: undefined, digest: entry.digest }
    const next = await found(walk.images, inner, walk.ref, walk)
    const deeper = { ...into, depth: into.depth + 1 }
    isWhole = (await collect(walk, next, deeper, entry.platform)) && isWhole
  }
  return isWhole
}

function chosen(walk: Walk, entries: readonly Descriptor[]): readonly Descriptor[] {
  const { wanted } = walk
  if (wanted === undefined) return entries
  const exact = entries.filter((entry) => isPlatform(entry.platform, wanted))
  if (exact.length > 0) return exact.slice(0, 1)
  // An index of artifacts or of indexes names no platform; all of it is meant then.
  if (entries.every((entry) => entry.platform === undefined)) return entries
  const platforms = entries.flatMap((entry) => entry.platform ?? [])
  throw new ApiError(
    "PLATFORM_UNKNOWN",
    `${walk.ref} has no ${wanted}; it has ${platforms.join(", ").slice(0, 400)}`,
    { details: { platforms } },
  )
}

async function found(
  images: ImageSource,
  reference: ImageReference,
  ref: string,
  options: { signal: AbortSignal },
): Promise<FoundManifest> {
  const manifest = await images.manifest(reference, { signal: options.signal })
  if (manifest !== undefined) return manifest
  const what = reference.digest === undefined ? ref : `${ref} (${reference.digest})`
  throw new ApiError("IMAGE_UNKNOWN", `no image ${what} is known here, at a peer or upstream`)
}

function wantedPlatform(request: ImageRequest): string {
  return request.platform === undefined ? hostPlatform() : parsePlatform(request.platform)
}
