/**
 * Verifying an image that is here: whose word its name is, and whether every byte of it is right.
 * @module
 */
import { createHash } from "node:crypto"
import { type Digest, digestOfRaw } from "../core/digest.ts"
import { codeOf } from "../core/errors.ts"
import type { BlobReader, BlobStore } from "../store/store.ts"
import type { Descriptor, ImageRequest, ImageVerifyReport } from "./api.ts"
import { findImageParts } from "./image-pull.ts"
import type { ImageSource } from "./image-source.ts"
import type { ReleaseProgressLine } from "./release-api.ts"

const READ_BYTES: number = 1024 * 1024

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
  const onBytes = (bytes: number) => {
    signal.throwIfAborted()
    doneBytes += bytes
    onProgress({ type: "progress", phase: "verify", doneBytes, totalBytes })
  }
  for (const part of parts) {
    const found = await look(store, part, onBytes)
    if (found === "missing") missing.push(part.digest)
    if (found === "wrong") wrong.push(part.digest)
  }
  const { digest, mediaType, isWhole, namedBy } = image
  const counts = { parts: parts.length, totalBytes, missing, wrong }
  return { ref: request.ref, digest, mediaType, isWhole, namedBy, ...counts }
}

async function look(
  store: BlobStore,
  { digest, sizeBytes }: Descriptor,
  onBytes: (bytes: number) => void,
): Promise<"right" | "wrong" | "missing"> {
  const reader = store.open(digest)
  if (reader === undefined) return "missing"
  try {
    if (!reader.isComplete) return "missing"
    const isRight =
      reader.layout.sizeBytes === sizeBytes && (await digestIn(reader, onBytes)) === digest
    return isRight ? "right" : "wrong"
  } catch (error) {
    // What is read is compared with the hashes of its pieces.
    if (codeOf(error) === "BLOB_CORRUPT") return "wrong"
    throw error
  } finally {
    reader.release()
  }
}

async function digestIn(reader: BlobReader, onBytes: (bytes: number) => void): Promise<Digest> {
  const hash = createHash("sha256")
  const { sizeBytes } = reader.layout
  for (let start = 0; start < sizeBytes; start += READ_BYTES) {
    const bytes = await reader.read({ start, end: Math.min(start + READ_BYTES, sizeBytes) })
    hash.update(bytes)
    onBytes(bytes.length)
  }
  return digestOfRaw(hash.digest())
}
