/** Small images for tests: layers of bytes that are the same on each run, config, manifest, index. */
import { createHash } from "node:crypto"
import { type Digest, digestOf } from "../../src/core/digest.ts"

export const OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
export const OCI_INDEX = "application/vnd.oci.image.index.v1+json"
const OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
const OCI_LAYER = "application/vnd.oci.image.layer.v1.tar"

export interface TestBlob {
  readonly digest: Digest
  readonly bytes: Uint8Array
  readonly mediaType: string
}

/** A manifest with the blobs it names; an index has its images in `children`. */
export interface TestImage extends TestBlob {
  readonly blobs: readonly TestBlob[]
  readonly children: readonly TestImage[]
}

/** Bytes that look random and are the same on each run. */
export function bytesOf(label: string, sizeBytes: number): Uint8Array {
  if (sizeBytes === 0) return new Uint8Array(0)
  return createHash("shake256", { outputLength: sizeBytes }).update(label).digest()
}

export function blobOf(bytes: Uint8Array, mediaType: string = OCI_LAYER): TestBlob {
  return { digest: digestOf(bytes), bytes, mediaType }
}

export function jsonBytes(value: unknown): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value))
}

export function descriptorOf(blob: TestBlob): Record<string, unknown> {
  return { mediaType: blob.mediaType, digest: blob.digest, size: blob.bytes.length }
}

/** Builds an image. `extra` goes into the manifest: subject, artifactType, annotations. */
export function imageOf(
  label: string,
  options: { layerBytes?: readonly number[]; extra?: Record<string, unknown> } = {},
): TestImage {
  const sizes = options.layerBytes ?? [1_000, 2_000]
  const layers = sizes.map((size, index) => blobOf(bytesOf(`${label} layer ${index}`, size)))
  const diffs = layers.map(({ digest }) => digest)
  const config = blobOf(
    jsonBytes({ architecture: "amd64", os: "linux", label, rootfs: { type: "layers", diffs } }),
    OCI_CONFIG,
  )
  const bytes = jsonBytes({
    schemaVersion: 2,
    mediaType: OCI_MANIFEST,
    config: descriptorOf(config),
    layers: layers.map(descriptorOf),
    ...options.extra,
  })
  return { ...blobOf(bytes, OCI_MANIFEST), blobs: [config, ...layers], children: [] }
}

export function indexOf(children: readonly TestImage[]): TestImage {
  const manifests = children.map((child, index) => ({
    ...descriptorOf(child),
    platform: { os: "linux", architecture: index === 0 ? "amd64" : "arm64" },
  }))
  const bytes = jsonBytes({ schemaVersion: 2, mediaType: OCI_INDEX, manifests })
  return { ...blobOf(bytes, OCI_INDEX), blobs: [], children }
}
