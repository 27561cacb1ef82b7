/**
 * Images: get and stage (with progress), list, remove.
 * @module
 */
import type { FastifyInstance } from "fastify"
import type { Digest } from "../core/digest.ts"
import { codeOf } from "../core/errors.ts"
import { encodeImageReference } from "../core/reference.ts"
import { StoreError } from "../store/errors.ts"
import type { BlobStore } from "../store/store.ts"
import {
  HOLD_MS_MAX,
  type ImageRequest,
  type ImageRow,
  type ImageStreamLine,
  type ImagesReport,
  type RemovalReport,
} from "./api.ts"
import type { ControlDeps } from "./control.ts"
import { ApiError } from "./errors.ts"
import { presentParts } from "./image-graph.ts"
import { ImageLeases } from "./image-leases.ts"
import { imageReferenceOf, pullImage } from "./image-pull.ts"
import { verifyImage } from "./image-verify.ts"
import { type LineWriter, sendLines } from "./line-stream.ts"
import type { ImageVerifyLine, ReleaseProgressLine } from "./release-api.ts"
import { fieldsOf, required } from "./request.ts"

/** Images in one answer. */
const IMAGES_MAX = 4096
const IMAGE_FIELDS = {
  ref: "text",
  platform: "text",
  allPlatforms: "boolean",
  hold: "boolean",
} as const

/** Adds the routes to a server. */
export function addImageRoutes(app: FastifyInstance, deps: ControlDeps): void {
  for (const path of ["/v1/get", "/v1/stage"]) {
    app.post(path, async (request, reply) => {
      const fields = fieldsOf(request.body, IMAGE_FIELDS)
      const wish = { ...fields, ref: required(fields.ref, "ref") }
      // A malformed reference is refused before the answer begins.
      imageReferenceOf(deps.images, wish.ref)
      return sendLines<ImageStreamLine>(reply, (writer) => pull(deps, wish, writer))
    })
  }
  app.post("/v1/image/verify", async (request, reply) => {
    const { hold: _hold, ...types } = IMAGE_FIELDS
    const fields = fieldsOf(request.body, types)
    const wish = { ...fields, ref: required(fields.ref, "ref") }
    imageReferenceOf(deps.images, wish.ref)
    return sendLines<ImageVerifyLine>(reply, async (writer) => {
      const { signal } = writer
      const onProgress = (line: ReleaseProgressLine) => writer.tell(line)
      const report = await verifyImage(deps, wish, { signal, onProgress })
      await writer.write({ type: "result", ...report })
    })
  })
  app.get("/v1/images", async () => await listImages(deps))
  app.delete("/v1/images", async (request) => {
    return await removeImage(deps, required(fieldsOf(request.query, { ref: "text" }).ref, "ref"))
  })
}

async function pull(
  deps: ControlDeps,
  wish: ImageRequest,
  writer: LineWriter<ImageStreamLine>,
): Promise<void> {
  using leases = new ImageLeases(deps.store)
  const image = await pullImage(deps, wish, {
    signal: writer.signal,
    onProgress: (line) => writer.tell(line),
    onHere: (digest) => leases.add(digest),
  })
  await writer.write(image)
  if (wish.hold === true) await writer.closed(HOLD_MS_MAX)
}

async function listImages({ images, store }: ControlDeps): Promise<ImagesReport> {
  const pinned = new Set([...store.pins()].flatMap((pin) => pin.digests))
  const rows: ImageRow[] = []
  for await (const { name, digest, mediaType } of images.tags()) {
    if (rows.length === IMAGES_MAX) return { images: rows, isTruncated: true }
    const presentBytes = sizeOf(store, await presentParts(store, digest))
    const ref = encodeImageReference(name)
    rows.push({ ref, digest, mediaType, presentBytes, isPinned: pinned.has(digest) })
  }
  return { images: rows, isTruncated: false }
}

function sizeOf(store: BlobStore, digests: Iterable<Digest>): number {
  let total = 0
  for (const digest of digests) total += store.stat(digest)?.layout.sizeBytes ?? 0
  return total
}

/** Forgets a tag, and removes what no other tag here, no pin and no reader needs. */
async function removeImage({ images, store }: ControlDeps, ref: string): Promise<RemovalReport> {
  const reference = imageReferenceOf(images, ref)
  const wanted = encodeImageReference(reference)
  const needed = new Set<Digest>()
  let root = reference.digest
  for await (const tag of images.tags()) {
    if (encodeImageReference(tag.name) === wanted) root = tag.digest
    else for (const digest of await presentParts(store, tag.digest)) needed.add(digest)
  }
  if (root !== undefined) refusePinned(store, ref, root)
  const hadTag = reference.digest === undefined && (await images.forgetTag(reference))
  const parts = root === undefined ? new Set<Digest>() : await presentParts(store, root)
  if (!hadTag && parts.size === 0) {
    throw new ApiError("IMAGE_UNKNOWN", `no image ${wanted} is known here`)
  }
  if (root !== undefined && !needed.has(root)) await images.releaseManifest(reference, root)
  const removed: Digest[] = []
  const kept: Digest[] = []
  let freedBytes = 0
  for (const digest of parts) {
    const sizeBytes = store.stat(digest)?.layout.sizeBytes ?? 0
    const isGone = !needed.has(digest) && (await removeFree(store, digest))
    ;(isGone ? removed : kept).push(digest)
    if (isGone) freedBytes += sizeBytes
  }
  return { ref, removed, kept, freedBytes }
}

/** Pins of the registry keep what was pushed here, and go with its last tag. */
const PUSH_PIN_PREFIX = "push "

function refusePinned(store: BlobStore, ref: string, digest: Digest): void {
  for (const { name, digests } of store.pins()) {
    if (name.startsWith(PUSH_PIN_PREFIX) || !digests.includes(digest)) continue
    const message = `${ref} is pinned; let it go by "sealift unpin ${name}"`
    throw new StoreError("BLOB_IN_USE", message, { details: { digest, pin: name } })
  }
}

/** Removes a blob unless it is pinned or being read. @returns whether it is gone */
async function removeFree(store: BlobStore, digest: Digest): Promise<boolean> {
  try {
    await store.remove(digest)
    return true
  } catch (error) {
    if (codeOf(error) === "BLOB_IN_USE") return false
    throw error
  }
}
