/**
 * Reads manifests and indexes as far as pulling needs: what they name, by digest and size
 * (OCI image spec 1.1, manifest.md and image-index.md; Docker schema 2 has the same members).
 * @module
 */
import { isDigest } from "../core/digest.ts"
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
import type { Descriptor } from "./api.ts"
import { ApiError } from "./errors.ts"
import { platformOf } from "./platform.ts"

/** At most so many entries in an index, or layers in a manifest. */
const DESCRIPTORS_MAX = 4096
/** Layers that their registry does not give to everybody (OCI image spec, layer.md). */
const NONDISTRIBUTABLE = /nondistributable|\.foreign\./

/** What a manifest names. */
export type ManifestContent =
  | { readonly kind: "index"; readonly manifests: readonly Descriptor[] }
  | { readonly kind: "image"; readonly blobs: readonly Descriptor[] }

/**
 * Reads the bytes of a manifest.
 * @throws ApiError `MANIFEST_INVALID`; InputError `JSON_INVALID`
 */
export function parseManifest(bytes: Uint8Array): ManifestContent {
  const root = asObject(parseJson(bytes, { bytesMax: MANIFEST_BYTES_MAX }))
  if (root === undefined) throw invalid("it is no JSON object")
  const manifests = asArray(field(root, "manifests"))
  if (manifests !== undefined) return { kind: "index", manifests: descriptorsOf(manifests) }
  const layers = asArray(field(root, "layers"))
  if (layers === undefined) throw invalid("it has neither layers nor manifests")
  const config = field(root, "config")
  const all = descriptorsOf(config === undefined ? layers : [config, ...layers])
  return { kind: "image", blobs: all.filter((blob) => !NONDISTRIBUTABLE.test(blob.mediaType)) }
}

function descriptorsOf(values: readonly JsonValue[]): Descriptor[] {
  if (values.length > DESCRIPTORS_MAX) throw invalid(`it names more than ${DESCRIPTORS_MAX} blobs`)
  return values.map((value, index) => {
    const entry = asObject(value)
    if (entry === undefined) throw invalid(`entry ${index} is no object`)
    return descriptorOf(entry, index)
  })
}

function descriptorOf(entry: JsonObject, index: number): Descriptor {
  const digest = asText(field(entry, "digest")) ?? ""
  const sizeBytes = asCount(field(entry, "size"))
  const mediaType = asText(field(entry, "mediaType"))
  if (!isDigest(digest)) throw invalid(`the digest of entry ${index} is malformed`)
  if (sizeBytes === undefined) throw invalid(`the size of entry ${index} is malformed`)
  if (mediaType === undefined) throw invalid(`entry ${index} has no media type`)
  const platform = platformOf(field(entry, "platform"))
  return { digest, mediaType, sizeBytes, ...(platform === undefined ? {} : { platform }) }
}

function invalid(reason: string): ApiError {
  return new ApiError("MANIFEST_INVALID", `the manifest is not one of an image: ${reason}`)
}
