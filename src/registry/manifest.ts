/**
 * What a manifest names (OCI image spec 1.1, manifest.md and image-index.md; Docker's schema 2). The
 * bytes are kept as they came; this only reads them.
 * @module
 */
import { type Digest, isDigest } from "../core/digest.ts"
import {
  asArray,
  asCount,
  asObject,
  asText,
  field,
  type JsonObject,
  type JsonValue,
  parseJson,
} from "../core/json.ts"
import { MANIFEST_BYTES_MAX } from "../core/limits.ts"
import { RegistryError } from "./errors.ts"

export const OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
export const OCI_INDEX = "application/vnd.oci.image.index.v1+json"
const DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
const DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"

/** What is accepted from an upstream: everything, the known types first. */
export const MANIFEST_ACCEPT: string = [
  OCI_INDEX,
  OCI_MANIFEST,
  DOCKER_LIST,
  DOCKER_MANIFEST,
  "*/*;q=0.5",
].join(", ")

const DESCRIPTORS_MAX = 10_000
const MEDIA_TYPE =
  /^[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}\/[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}$/
/** Layers that are never pushed: they are fetched from `urls` (image spec 1.1, layer.md). */
const FOREIGN = /nondistributable|\.foreign\./

/** A blob or manifest that another one names. */
export interface Descriptor {
  readonly digest: Digest
  readonly sizeBytes: number
  readonly mediaType: string
}

/** What a manifest says about others and itself. */
export interface Manifest {
  readonly mediaType: string
  /** Config and layers: without them the image cannot be used. */
  readonly blobs: readonly Descriptor[]
  /** Layers that a registry need not have. */
  readonly foreign: readonly Descriptor[]
  /** The manifests of an index; an image has none. */
  readonly manifests: readonly Descriptor[]
  readonly isIndex: boolean
  readonly subject: Digest | undefined
  /** Its own, else the config's media type for an image (distribution spec, Listing Referrers). */
  readonly artifactType: string | undefined
  readonly annotations: JsonObject | undefined
}

/** Tells whether a text is a media type without parameters (RFC 6838 §4.2). */
export function isMediaType(text: string): boolean {
  return MEDIA_TYPE.test(text)
}

/**
 * Reads a manifest of any media type: by its shape, so that unknown types are carried too.
 *
 * @param told - the media type it came under; a `mediaType` in the manifest must equal it
 * @throws RegistryError `MANIFEST_INVALID`, `MANIFEST_TOO_LARGE`
 */
export function parseManifest(bytes: Uint8Array, told: string | undefined): Manifest {
  if (bytes.length > MANIFEST_BYTES_MAX) {
    const message = `a manifest of ${bytes.length} bytes, at most ${MANIFEST_BYTES_MAX}`
    throw new RegistryError("MANIFEST_TOO_LARGE", message)
  }
  const body = parseBody(bytes)
  const mediaType = mediaTypeOf(body, told)
  const isIndex = asArray(field(body, "manifests")) !== undefined
  const config = optional(body, "config", parseDescriptor)
  const layers = descriptors(field(body, "layers") ?? field(body, "blobs"))
  const manifests = descriptors(field(body, "manifests"))
  const subject = optional(body, "subject", parseDescriptor)
  const own = asText(field(body, "artifactType"))
  return {
    mediaType,
    blobs: [...(config === undefined ? [] : [config]), ...layers.filter((one) => !isForeign(one))],
    foreign: layers.filter(isForeign),
    manifests,
    isIndex,
    subject: subject?.digest,
    artifactType: own !== undefined && own !== "" ? own : config?.mediaType,
    annotations: asObject(field(body, "annotations")),
  }
}

function parseBody(bytes: Uint8Array): JsonObject {
  let body: JsonObject | undefined
  try {
    body = asObject(parseJson(bytes, { bytesMax: MANIFEST_BYTES_MAX }))
  } catch (cause) {
    throw new RegistryError("MANIFEST_INVALID", "the manifest is not strict JSON", { cause })
  }
  if (body === undefined) throw invalid("the manifest is not a JSON object")
  return body
}

function mediaTypeOf(body: JsonObject, told: string | undefined): string {
  const own = asText(field(body, "mediaType"))
  if (own !== undefined && told !== undefined && own !== told) {
    throw invalid(`the manifest says it is ${own}, but it came as ${told}`)
  }
  const mediaType = told ?? own ?? guessMediaType(body)
  if (!isMediaType(mediaType)) throw invalid("the media type is malformed")
  return mediaType
}

/** OCI manifests of image spec 1.0 may lack `mediaType`; peers do not tell it beside the bytes. */
function guessMediaType(body: JsonObject): string {
  return asArray(field(body, "manifests")) === undefined ? OCI_MANIFEST : OCI_INDEX
}

function descriptors(list: JsonValue | undefined): Descriptor[] {
  const entries = asArray(list) ?? []
  if (entries.length > DESCRIPTORS_MAX) throw invalid(`${entries.length} descriptors`)
  return entries.map(parseDescriptor)
}

function parseDescriptor(value: JsonValue): Descriptor {
  const body = asObject(value)
  const digest = body && asText(field(body, "digest"))
  const sizeBytes = body && asCount(field(body, "size"))
  if (body === undefined || digest === undefined || sizeBytes === undefined) {
    throw invalid("a descriptor without digest or size")
  }
  if (!isDigest(digest)) throw invalid(`a descriptor with the digest ${digest.slice(0, 80)}`)
  return { digest, sizeBytes, mediaType: asText(field(body, "mediaType")) ?? "" }
}

function optional<T>(body: JsonObject, key: string, parse: (value: JsonValue) => T): T | undefined {
  const value = field(body, key)
  return value === undefined || value === null ? undefined : parse(value)
}

const isForeign = ({ mediaType }: Descriptor): boolean => FOREIGN.test(mediaType)

function invalid(message: string): RegistryError {
  return new RegistryError("MANIFEST_INVALID", message)
}
