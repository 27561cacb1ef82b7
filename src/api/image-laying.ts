/**
 * Lays an image out as an OCI image layout in a folder of the node, as the content of a release.
 * @module
 */
import { mkdir, open, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { type Digest, hexOf } from "../core/digest.ts"
import type { LayImage } from "../release/content-making.ts"
import type { BlobStore } from "../store/store.ts"
import { bytesOf, withBlob } from "../store/whole-blob.ts"
import { ImageLeases } from "./image-leases.ts"
import { type ImagePullDeps, pullImage } from "./image-pull.ts"
import { LAYOUT_MARK, layoutIndexOf, layoutManifests } from "./layout-index.ts"

/** Makes the part of publishing that brings an image here, all its platforms. */
export function createImageLaying(deps: ImagePullDeps & { readonly store: BlobStore }): LayImage {
  return async (reference, folder, { signal, onProgress }) => {
    using leases = new ImageLeases(deps.store)
    const image = await pullImage(
      deps,
      { ref: reference, allPlatforms: true },
      {
        signal,
        onHere: (digest) => leases.add(digest),
        onProgress: ({ doneBytes, totalBytes }) =>
          onProgress({ phase: "fetching", doneBytes, totalBytes }),
      },
    )
    const blobs = join(folder, "blobs", "sha256")
    await mkdir(blobs, { recursive: true })
    for (const { digest } of [...layoutManifests(image), ...image.blobs]) {
      await copyBlob(deps.store, digest, { path: join(blobs, hexOf(digest)), signal })
    }
    await writeFile(join(folder, "oci-layout"), LAYOUT_MARK)
    await writeFile(join(folder, "index.json"), JSON.stringify(layoutIndexOf(image)))
  }
}

async function copyBlob(
  store: BlobStore,
  digest: Digest,
  { path, signal }: { readonly path: string; readonly signal: AbortSignal },
): Promise<void> {
  await withBlob(store, digest, async (reader) => {
    await using file = await open(path, "wx")
    for await (const bytes of bytesOf(reader, signal)) await file.writeFile(bytes)
  })
}
