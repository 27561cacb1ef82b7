/**
 * The store: blobs and their bytes, pins, sweep and verify.
 * @module
 */
import { Readable } from "node:stream"
import type { FastifyInstance, FastifyReply } from "fastify"
import { type Digest, parseDigest } from "../core/digest.ts"
import { DeliveryError } from "../delivery/errors.ts"
import { type BlobReader, type BlobStore, REPLICAS_MAX } from "../store/store.ts"
import { type BlobLine, blobRowOf, type GcReport, type PinsReport, type VerifyLine } from "./api.ts"
import type { ControlDeps } from "./control.ts"
import { ApiError } from "./errors.ts"
import { type LineWriter, sendLines } from "./line-stream.ts"
import { fieldsOf, required } from "./request.ts"

const READ_BYTES = 1024 * 1024
const PIN_NAME_CHARS_MAX = 512

/** Adds the routes to a server. */
export function addBlobRoutes(app: FastifyInstance, { store }: ControlDeps): void {
  app.get("/v1/blobs", async (_request, reply) => {
    return sendLines<BlobLine>(reply, (writer) => listBlobs(store, writer))
  })
  app.get<DigestRoute>("/v1/blobs/:digest", async ({ params }) => {
    const stat = store.stat(parseDigest(params.digest))
    if (stat === undefined) throw unknownBlob(params.digest)
    return blobRowOf(stat)
  })
  app.get<DigestRoute>("/v1/blobs/:digest/content", async ({ params }, reply) => {
    return sendContent(store, parseDigest(params.digest), reply)
  })
  app.delete<DigestRoute>("/v1/blobs/:digest", async ({ params }) => {
    const digest = parseDigest(params.digest)
    const freedBytes = store.stat(digest)?.layout.sizeBytes ?? 0
    if (!(await store.remove(digest))) throw unknownBlob(digest)
    return { ref: digest, removed: [digest], kept: [], freedBytes }
  })
  app.post("/v1/gc", async (request): Promise<GcReport> => {
    const { targetBytes } = fieldsOf(request.body, { targetBytes: "count" })
    const report = await store.sweep(targetBytes === undefined ? {} : { targetBytes })
    return { ...report, usage: store.usage() }
  })
  app.post("/v1/verify", async (request, reply) => {
    const { repair = false } = fieldsOf(request.body, { repair: "boolean" })
    return sendLines<VerifyLine>(reply, (writer) => verify(store, repair, writer))
  })
  addPinRoutes(app, store)
}

interface DigestRoute {
  Params: { digest: string }
}

function addPinRoutes(app: FastifyInstance, store: BlobStore): void {
  app.get("/v1/pins", async (): Promise<PinsReport> => ({ pins: [...store.pins()] }))
  app.post("/v1/pins", async (request) => {
    const fields = fieldsOf(request.body, { name: "text", digests: "texts", minReplicas: "count" })
    const name = required(fields.name, "name")
    if (name === "" || name.length > PIN_NAME_CHARS_MAX) {
      throw new ApiError(
        "REQUEST_INVALID",
        `a pin's name has 1 to ${PIN_NAME_CHARS_MAX} characters`,
      )
    }
    const { minReplicas } = fields
    if (minReplicas === 0 || (minReplicas ?? 0) > REPLICAS_MAX) {
      throw new ApiError("REQUEST_INVALID", `minReplicas is a number from 1 to ${REPLICAS_MAX}`)
    }
    const digests = required(fields.digests, "digests").map(parseDigest)
    const pin = minReplicas === undefined ? { name, digests } : { name, digests, minReplicas }
    await store.pin(pin)
    return pin
  })
  app.delete<{ Params: { name: string } }>("/v1/pins/:name", async ({ params }) => {
    if (await store.unpin(params.name)) return { name: params.name }
    throw new ApiError("PIN_UNKNOWN", `there is no pin ${JSON.stringify(params.name)}`)
  })
}

async function listBlobs(store: BlobStore, writer: LineWriter<BlobLine>): Promise<void> {
  for (const stat of store.list()) await writer.write({ type: "blob", ...blobRowOf(stat) })
  await writer.write({ type: "result", ...store.usage() })
}

async function verify(
  store: BlobStore,
  repair: boolean,
  writer: LineWriter<VerifyLine>,
): Promise<void> {
  let blobCount = 0
  let faultCount = 0
  let checkedBytes = 0
  for await (const finding of store.verify({ repair, signal: writer.signal })) {
    blobCount++
    if (finding.kind !== "ok") faultCount++
    checkedBytes = finding.doneBytes
    await writer.write({ type: "finding", ...finding })
  }
  await writer.write({ type: "result", blobCount, faultCount, checkedBytes, isRepaired: repair })
}

function sendContent(store: BlobStore, digest: Digest, reply: FastifyReply): FastifyReply {
  const reader = store.open(digest)
  if (reader?.isComplete !== true) {
    reader?.release()
    throw unknownBlob(digest)
  }
  const stream = Readable.from(contentOf(reader))
  // Not in the generator: one that was never started runs no `finally`.
  stream.once("close", () => reader.release())
  reply.type("application/octet-stream")
  reply.header("content-length", reader.layout.sizeBytes)
  return reply.send(stream)
}

async function* contentOf(reader: BlobReader): AsyncGenerator<Uint8Array> {
  const { sizeBytes } = reader.layout
  for (let start = 0; start < sizeBytes; start += READ_BYTES) {
    yield await reader.read({ start, end: Math.min(start + READ_BYTES, sizeBytes) })
  }
}

function unknownBlob(digest: string): DeliveryError {
  return new DeliveryError("BLOB_UNKNOWN", `${digest} is not here, or not complete`)
}
