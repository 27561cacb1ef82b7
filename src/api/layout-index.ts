/**
 * What an OCI image layout of an image says (OCI image spec 1.1, image-layout.md): its manifests and its
 * `index.json`.
 * @module
 */
import { parseReference } from "../core/reference.ts"
import type { Descriptor, ImageLine } from "./api.ts"

const INDEX_TYPE = "application/vnd.oci.image.index.v1+json"
/** The file `oci-layout`. */
export const LAYOUT_MARK = '{"imageLayoutVersion":"1.0.0"}'

/**
 * A layout of some platforms of an index does not hold the index: tools that follow it would look for
 * the platforms that were not fetched.
 */
export function layoutManifests(image: ImageLine): readonly Descriptor[] {
  return image.isWhole ? image.manifests : image.manifests.slice(-1)
}

/** Gives the content of `index.json`. */
export function layoutIndexOf(image: ImageLine): object {
  const written = layoutManifests(image)
  const top = written.find(({ digest }) => digest === image.digest) ?? written[0]!
  const [os, architecture, variant] = top.platform?.split("/") ?? []
  const reference = parseReference(image.ref)
  const tag = reference.kind === "image" ? reference.tag : "latest"
  return {
    schemaVersion: 2,
    mediaType: INDEX_TYPE,
    manifests: [
      {
        mediaType: top.mediaType,
        digest: top.digest,
        size: top.sizeBytes,
        ...(os === undefined ? {} : { platform: { architecture, os, variant } }),
        ...(tag === undefined ? {} : { annotations: { "org.opencontainers.image.ref.name": tag } }),
      },
    ],
  }
}
