/**
 * Verifying an image that is here: whose word its name is, and whether every byte of it is right.
 * @module
 */
import type { Digest } from "../core/digest.ts"
import type { BlobStore } from "../store/store.ts"
import { isStoredRight } from "../store/whole-blob.ts"
import type { ImageRequest, ImageVerifyReport } from "./api.ts"
import { findImageParts } from "./image-pull.ts"
import type { ImageSource } from "./image-source.ts"
import type { ReleaseProgressLine } from "./release-api.ts"

/** Brings the manifests if they are not here, and no blob. @throws ApiError, OriginError, StoreError */
export async function verifyImage(
  { images, store }: { readonly images: ImageSource; readonly store: BlobStore },
  request: ImageRequest,
  options: {
    readonly signal: AbortSignal
    readonly onProgress: (line: ReleaseProgressLine) => void
  },
): Promise<ImageVerifyReport> {
  const { signal, onProgress } = options
  const image = await findImageParts(images, request, { signal })
  const parts = [...image.manifests, ...image.blobs]
  const totalBytes = parts.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
  const missing: Digest[] = []
  const wrong: Digest[] = []
  let doneBytes = 0
  const onBytes = (count: number) => {
    doneBytes += count
    onProgress({ type: "progress", phase: "verify", doneBytes, totalBytes })
  }
  for (const { digest, sizeBytes } of parts) {
    const stat = store.stat(digest)
    if (stat?.isComplete !== true) missing.push(digest)
    else if (
      stat.layout.sizeBytes !== sizeBytes ||
      !(await isStoredRight(store, digest, { signal, onBytes }))
    ) {
      wrong.push(digest)
    }
  }
  const { digest, mediaType, isWhole, namedBy } = image
  const counts = { parts: parts.length, totalBytes, missing, wrong }
  return { ref: request.ref, digest, mediaType, isWhole, namedBy, ...counts }
}
