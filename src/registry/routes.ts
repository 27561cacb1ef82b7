/**
 * The OCI distribution API over HTTP, as a fastify plugin (protocol/registry-profile.md).
 * @module
 */
import type { ServerResponse } from "node:http"
import type { FastifyPluginAsync, FastifyReply, FastifyRequest } from "fastify"
import { codeOf, messageOf } from "../core/errors.ts"
import { MANIFEST_BYTES_MAX } from "../core/limits.ts"
import type { Logger } from "../core/log.ts"
import type { BlobStream } from "../delivery/delivery.ts"
import { DeliveryError } from "../delivery/errors.ts"
import {
  bodyOf,
  type Call,
  drainBody,
  lengthOf,
  locateCall,
  pathOf,
  pathTo,
  queryOf,
  type RouteOf,
  signalOf,
} from "./call.ts"
import { RegistryError } from "./errors.ts"
import { OCI_INDEX } from "./manifest.ts"
import { isUncoded, ociAnswer } from "./oci-error.ts"
import { parseRange, resolveRange } from "./range-header.ts"
import { ofArtifactType, referrersIndex } from "./referrers.ts"
import type { Registry } from "./registry.ts"
import { parseRoute, type Route } from "./route-path.ts"
import { compareTags, pageOfTags, parseTagQuery } from "./tag-page.ts"
import { answerUpload, postUpload } from "./upload-routes.ts"

const OCTETS = "application/octet-stream"

/** Puts a registry on the front door. Nothing of it needs a body parser. */
export function registryPlugin(registry: Registry, options: { log: Logger }): FastifyPluginAsync {
  return async (app) => {
    app.removeAllContentTypeParsers()
    // Bodies are read as streams by the routes, which count them; fastify's own limit does not hold.
    app.addContentTypeParser("*", (_request, payload, done) => done(null, payload))
    app.setErrorHandler((error, request, reply) => sendError(error, { request, reply, ...options }))
    const serve = async (request: FastifyRequest, reply: FastifyReply) => {
      const call = { registry, request, reply, signal: signalOf(reply), log: options.log }
      const count = countRequest(call)
      const route = parseRoute(pathOf(request))
      count.route = route.kind
      reply.header("docker-distribution-api-version", "registry/2.0")
      return answer(call, route)
    }
    for (const url of ["/v2", "/v2/", "/v2/*"]) {
      app.route({
        url,
        method: ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"],
        exposeHeadRoute: false,
        handler: serve,
      })
    }
  }
}

async function answer(call: Call, route: Route): Promise<unknown> {
  const { method } = call.request
  const isRead = method === "GET" || method === "HEAD"
  // end-1: the version check.
  if (route.kind === "version" && isRead) {
    return call.reply.type("application/json").send(method === "HEAD" ? undefined : "{}")
  }
  if (route.kind === "manifest") {
    if (isRead) return getManifest(call, route)
    if (method === "PUT") return putManifest(call, route)
    if (method === "DELETE") return deleteManifest(call, route)
  }
  if (route.kind === "blob") {
    if (isRead) return getBlob(call, route)
    if (method === "DELETE") return deleteBlob(call, route)
  }
  if (route.kind === "uploads" && method === "POST") return postUpload(call, route)
  if (route.kind === "upload") return answerUpload(call, route)
  if (route.kind === "tags" && isRead) return getTags(call, route)
  if (route.kind === "referrers" && isRead) return getReferrers(call, route)
  throw new RegistryError("ROUTE_UNKNOWN", `${method} is not known here`)
}

// ---- manifests: end-3, end-7, end-9

async function getManifest(call: Call, route: RouteOf<"manifest">): Promise<unknown> {
  const { registry, reply, request, signal } = call
  const name = locateCall(call, route)
  const { digest, bytes, manifest, source } = await registry.manifest(name, route.reference, {
    signal,
  })
  reply.header("docker-content-digest", digest)
  reply.header("content-type", manifest.mediaType)
  reply.header("content-length", bytes.length)
  if (source !== undefined) reply.header("sealift-tag-source", source)
  if (request.method === "HEAD") return reply.send()
  registry.traffic.sentBytes.add(bytes.length)
  return reply.send(bytes)
}

async function putManifest(call: Call, route: RouteOf<"manifest">): Promise<unknown> {
  const { registry, request, reply, signal } = call
  const name = locateCall(call, route)
  // Parameters are to be ignored (Pushing Manifests).
  const mediaType = request.headers["content-type"]?.split(";")[0]?.trim() || undefined
  const bytes = await readManifest(bodyOf(request), lengthOf(request))
  const pushed = await registry.putManifest(name, route.reference, { bytes, mediaType, signal })
  reply.header("location", pathTo(name, `manifests/${pushed.digest}`))
  reply.header("docker-content-digest", pushed.digest)
  if (pushed.subject !== undefined) reply.header("oci-subject", pushed.subject)
  return reply.code(201).send()
}

async function deleteManifest(call: Call, route: RouteOf<"manifest">): Promise<unknown> {
  const { registry, reply, signal } = call
  await registry.deleteManifest(locateCall(call, route), route.reference, { signal })
  return reply.code(202).send()
}

// ---- blobs: end-2, end-10

async function getBlob(call: Call, route: RouteOf<"blob">): Promise<unknown> {
  const { registry, request, reply, signal } = call
  const name = locateCall(call, route)
  const { digest } = route
  const wish = parseRange(request.headers.range)
  reply.header("docker-content-digest", digest)
  reply.header("content-type", OCTETS)
  reply.header("accept-ranges", "bytes")
  if (request.method === "HEAD") {
    reply.header("content-length", await registry.blobSize(name, digest, { signal }))
    return reply.send()
  }
  if (wish === undefined) {
    const stream = await registry.openBlob(name, digest, { signal })
    return sendStream(call, stream, 200)
  }
  const sizeBytes = await registry.blobSize(name, digest, { signal })
  const range = resolveRange(wish, sizeBytes)
  if (range === undefined) {
    reply.header("content-range", `bytes */${sizeBytes}`)
    throw new DeliveryError("RANGE_INVALID", `the blob has ${sizeBytes} bytes`)
  }
  // An open end stays open: then delivery streams in order and need not wait for the whole proof.
  const isOpen = wish.kind === "part" && wish.end === undefined
  const asked = isOpen ? { start: range.start } : range
  const stream = await registry.openBlob(name, digest, { range: asked, signal })
  return sendStream(call, stream, 206)
}

async function sendStream(call: Call, stream: BlobStream, status: 200 | 206): Promise<unknown> {
  const { registry, request, reply, signal, log } = call
  const parts = stream.body[Symbol.asyncIterator]()
  // Until the first bytes are there an error can still be told by its code.
  let next = await parts.next()
  const { start, end } = stream.range
  reply.header("content-length", end - start)
  if (status === 206) reply.header("content-range", `bytes ${start}-${end - 1}/${stream.sizeBytes}`)
  const { raw } = reply.hijack()
  try {
    raw.writeHead(status, headersOf(reply))
    for (; next.done !== true; next = await parts.next()) {
      registry.traffic.sentBytes.add(next.value.length)
      await written(raw, next.value)
    }
    raw.end()
  } catch (error) {
    const fields = { path: pathOf(request), code: codeOf(error), error: messageOf(error) }
    if (!signal.aborted) log.warn(fields, "a stream broke")
    // The head is out, so cutting the connection is all that is left: no client takes it as whole.
    raw.destroy()
    await parts.return?.().catch(() => {})
  }
  return reply
}

/** The headers that were set so far. */
function headersOf(reply: FastifyReply): Record<string, string | number | string[]> {
  const set = Object.entries(reply.getHeaders()).filter(([, value]) => value !== undefined)
  return Object.fromEntries(set) as Record<string, string | number | string[]>
}

/** Writes a chunk and waits until its memory is no longer needed. @throws when the client is gone */
function written(raw: ServerResponse, part: Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    const onClose = () => reject(new DOMException("client left", "AbortError"))
    raw.once("close", onClose)
    raw.write(part, (error) => {
      raw.off("close", onClose)
      if (error === undefined || error === null) resolve()
      else reject(error)
    })
  })
}

async function deleteBlob(call: Call, route: RouteOf<"blob">): Promise<unknown> {
  await call.registry.deleteBlob(locateCall(call, route), route.digest)
  return call.reply.code(202).send()
}

// ---- tags and referrers: end-8, end-12

async function getTags(call: Call, route: RouteOf<"tags">): Promise<unknown> {
  const { registry, request, reply, signal } = call
  const name = locateCall(call, route)
  const query = queryOf(request)
  const wish = parseTagQuery(query.get("n"), query.get("last"))
  const { tags, source } = await registry.tags(name, { signal })
  const page = pageOfTags([...tags].sort(compareTags), wish)
  reply.header("sealift-tag-source", source)
  if (page.next !== undefined) {
    const next = new URLSearchParams({ n: String(page.tags.length), last: page.next })
    const ns = query.get("ns")
    if (ns !== null) next.set("ns", ns)
    reply.header("link", `</v2/${name.path}/tags/list?${next}>; rel="next"`)
  }
  return reply.type("application/json").send(JSON.stringify({ name: name.path, tags: page.tags }))
}

async function getReferrers(call: Call, route: RouteOf<"referrers">): Promise<unknown> {
  const { registry, request, reply, signal } = call
  const name = locateCall(call, route)
  const all = await registry.referrers(name, route.digest, { signal })
  const artifactType = queryOf(request).get("artifactType")
  const wanted = artifactType === null ? all : ofArtifactType(all, artifactType)
  if (artifactType !== null) reply.header("oci-filters-applied", "artifactType")
  return reply.header("content-type", OCI_INDEX).send(referrersIndex(wanted))
}

async function readManifest(
  body: AsyncIterable<Uint8Array>,
  told: number | undefined,
): Promise<Uint8Array> {
  const tooLarge = () =>
    new RegistryError("MANIFEST_TOO_LARGE", `a manifest has at most ${MANIFEST_BYTES_MAX} bytes`)
  if (told !== undefined && told > MANIFEST_BYTES_MAX) throw tooLarge()
  const parts: Uint8Array[] = []
  let sizeBytes = 0
  for await (const part of body) {
    sizeBytes += part.length
    if (sizeBytes > MANIFEST_BYTES_MAX) throw tooLarge()
    parts.push(part)
  }
  return Buffer.concat(parts)
}

/** Counts a request when its answer is out; what names no route is counted as none. */
function countRequest({ registry, request, reply }: Call): { route: string } {
  const count = { route: "none" }
  reply.raw.once("close", () => {
    const { method } = request
    const status = String(reply.raw.statusCode)
    registry.traffic.requests.add(1, { route: count.route, method, status })
  })
  return count
}

/** What only a good answer says of its content. */
const ANSWER_HEADERS = ["accept-ranges", "content-length", "content-type", "docker-content-digest"]

function sendError(
  error: unknown,
  { request, reply, log }: { request: FastifyRequest; reply: FastifyReply; log: Logger },
): unknown {
  const fault = requestFault(error) ?? error
  // A client that has gone is no fault: what broke then, broke for that reason.
  if (isUncoded(fault) && !reply.raw.destroyed)
    log.error({ error: fault, method: request.method }, "a request failed")
  drainBody(request)
  const { status, headers, body } = ociAnswer(fault)
  // What the handler had said of the good answer does not hold for this one.
  for (const name of ANSWER_HEADERS) reply.removeHeader(name)
  return reply
    .code(status)
    .headers(headers)
    .send(request.method === "HEAD" ? undefined : body)
}

/** Gives what fastify itself refused (a malformed Content-Type) as an error of ours. */
function requestFault(error: unknown): RegistryError | undefined {
  if (!(error instanceof Error) || !("statusCode" in error)) return undefined
  const status = error.statusCode
  if (typeof status !== "number" || status < 400 || status > 499) return undefined
  return new RegistryError("REQUEST_INVALID", error.message, { cause: error })
}
