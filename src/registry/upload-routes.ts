/**
 * The routes of uploads (OCI distribution spec 1.1, end-4 to end-6, end-11, end-13).
 * @module
 */
import type { FastifyRequest } from "fastify"
import { type Digest, parseDigest } from "../core/digest.ts"
import { bodyOf, type Call, lengthOf, locateCall, pathTo, queryOf, type RouteOf } from "./call.ts"
import { RegistryError } from "./errors.ts"
import type { Located } from "./place.ts"
import { parseChunkRange } from "./range-header.ts"
import type { Chunk } from "./uploads.ts"

/** Opens an upload, takes a whole blob, or mounts one: end-4a, end-4b, end-11. */
export async function postUpload(call: Call, route: RouteOf<"uploads">): Promise<unknown> {
  const { registry, request } = call
  const name = locateCall(call, route)
  const query = queryOf(request)
  const mount = query.get("mount")
  if (mount !== null) {
    const from = query.get("from")
    const source = from === null ? undefined : registry.locate(from, query.get("ns") ?? undefined)
    const digest = parseDigest(mount)
    if (await registry.mount(name, digest, source)) return created(call, name, digest)
  }
  const digest = query.get("digest")
  // Checked before a session is opened, so that none is left behind.
  const expected = digest === null ? undefined : parseDigest(digest)
  const id = await registry.startUpload(name)
  if (expected === undefined) return uploadState(call, name, { id, sizeBytes: 0, status: 202 })
  try {
    await registry.finishUpload(name, id, expected, chunkOf(request))
  } catch (error) {
    await registry.cancelUpload(name, id).catch(() => {
      // The session went with the failed upload.
    })
    throw error
  }
  return created(call, name, expected)
}

/** Goes on with an upload, tells where it stands, ends or cancels it: end-5, end-6, end-13. */
export async function answerUpload(call: Call, route: RouteOf<"upload">): Promise<unknown> {
  const { registry, request, reply } = call
  const { id } = route
  const name = locateCall(call, route)
  const { method } = request
  if (method === "GET" || method === "HEAD") {
    const sizeBytes = registry.uploadSize(name, id)
    return uploadState(call, name, { id, sizeBytes, status: 204 })
  }
  if (method === "DELETE") {
    await registry.cancelUpload(name, id)
    return reply.code(204).send()
  }
  if (method === "PATCH") {
    const sizeBytes = await writeChunk(call, name, id, () =>
      registry.appendUpload(name, id, chunkOf(request)),
    )
    return uploadState(call, name, { id, sizeBytes, status: 202 })
  }
  if (method !== "PUT") throw new RegistryError("ROUTE_UNKNOWN", `${method} is not known here`)
  const digest = parseDigest(queryOf(request).get("digest") ?? "")
  await writeChunk(call, name, id, () => registry.finishUpload(name, id, digest, chunkOf(request)))
  return created(call, name, digest)
}

/** end-5: an answer of 416 tells where the upload stands. */
async function writeChunk<T>(
  call: Call,
  name: Located,
  id: string,
  write: () => Promise<T>,
): Promise<T> {
  try {
    return await write()
  } catch (error) {
    if (error instanceof RegistryError && error.code === "UPLOAD_OUT_OF_ORDER") {
      call.reply.header("location", pathTo(name, `blobs/uploads/${id}`))
      call.reply.header("range", rangeOf(call.registry.uploadSize(name, id)))
    }
    throw error
  }
}

function uploadState(
  { reply }: Call,
  name: Located,
  { id, sizeBytes, status }: { id: string; sizeBytes: number; status: number },
): unknown {
  reply.header("location", pathTo(name, `blobs/uploads/${id}`))
  reply.header("range", rangeOf(sizeBytes))
  reply.header("docker-upload-uuid", id)
  return reply.code(status).send()
}

function created({ reply }: Call, name: Located, digest: Digest): unknown {
  reply.header("location", pathTo(name, `blobs/${digest}`))
  reply.header("docker-content-digest", digest)
  return reply.code(201).send()
}

const rangeOf = (sizeBytes: number): string => `0-${Math.max(0, sizeBytes - 1)}`

function chunkOf(request: FastifyRequest): Chunk {
  const range = parseChunkRange(request.headers["content-range"])
  if (range === "malformed") throw new RegistryError("SIZE_INVALID", "malformed Content-Range")
  return { body: bodyOf(request), range, sizeBytes: lengthOf(request) }
}
