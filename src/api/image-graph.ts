/**
 * What of an image is here: its manifests and blobs, read from the store alone.
 * @module
 */
import type { Digest } from "../core/digest.ts"
import { MANIFEST_BYTES_MAX } from "../core/limits.ts"
import type { BlobStore } from "../store/store.ts"
import { parseManifest } from "./manifest.ts"

/** Manifests of one image that are looked at. */
const MANIFESTS_MAX = 256

/** Gives the digests of an image that are here, manifests first; what is missing is left out. */
export async function presentParts(store: BlobStore, root: Digest): Promise<Set<Digest>> {
  const parts = new Set<Digest>()
  const manifests = [root]
  for (let index = 0; index < manifests.length && index < MANIFESTS_MAX; index++) {
    const digest = manifests[index]!
    const bytes = await readManifest(store, digest)
    if (bytes === undefined) continue
    parts.add(digest)
    const content = parseManifest(bytes)
    const named = content.kind === "index" ? content.manifests : content.blobs
    for (const entry of named) {
      if (content.kind === "index" && !manifests.includes(entry.digest))
        manifests.push(entry.digest)
      if (content.kind === "image" && store.stat(entry.digest) !== undefined)
        parts.add(entry.digest)
    }
  }
  return parts
}

async function readManifest(store: BlobStore, digest: Digest): Promise<Uint8Array | undefined> {
  const reader = store.open(digest)
  if (reader === undefined) return undefined
  try {
    const { sizeBytes } = reader.layout
    if (!reader.isComplete || sizeBytes === 0 || sizeBytes > MANIFEST_BYTES_MAX) return undefined
    return await reader.read({ start: 0, end: sizeBytes })
  } finally {
    reader.release()
  }
}
