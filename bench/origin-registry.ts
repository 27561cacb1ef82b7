/**
 * A small honest registry for one image: the pull side of the OCI distribution spec, with a count of
 * what it really sent, and on demand a slow uplink. Pushing, deleting and listing are not needed here.
 * @module
 */
import { createReadStream } from "node:fs"
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"
import { pipeline } from "node:stream/promises"
import { isDigest } from "../src/core/digest.ts"
import type { Image } from "./layered-image.ts"
import { Uplink } from "./uplink.ts"

const PATH = /^\/v2\/([a-z0-9/._-]+)\/(manifests|blobs)\/([A-Za-z0-9:._-]+)$/

/** Status and OCI error code of an answer that brings nothing. */
type Refusal = readonly [status: number, code: string]

/** The registry and its counters. */
export class OriginRegistry {
  /** Body bytes of blobs handed to sockets. */
  blobBytes = 0
  blobRequests = 0
  #url = ""
  readonly #server: Server
  readonly #repository: string
  readonly #tag: string
  readonly #image: Image
  readonly #uplink: Uplink

  /** @param options - `bytesPerSecond`: of all blobs together, without a limit when left out */
  constructor(image: Image, options: { repository: string; tag: string; bytesPerSecond?: number }) {
    this.#image = image
    this.#uplink = new Uplink(options.bytesPerSecond ?? Number.POSITIVE_INFINITY)
    this.#repository = options.repository
    this.#tag = options.tag
    this.#server = createServer((request, response) => this.#answer(request, response))
  }

  /** `http://ADDRESS:PORT`, once it is started. */
  get url(): string {
    return this.#url
  }

  async start(address = "127.0.0.1"): Promise<void> {
    await new Promise<void>((resolve) => this.#server.listen(0, address, resolve))
    this.#url = `http://${address}:${(this.#server.address() as AddressInfo).port}`
  }

  /** Ends it at once, open connections included. */
  async kill(): Promise<void> {
    if (!this.#server.listening) return
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()))
    this.#server.closeAllConnections()
    await closed
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const refusal = this.#serve(request, response)
    if (refusal === undefined) return
    const [status, code] = refusal
    response.writeHead(status, { "content-type": "application/json" })
    response.end(JSON.stringify({ errors: [{ code, message: code.toLowerCase() }] }))
  }

  #serve(request: IncomingMessage, response: ServerResponse): Refusal | undefined {
    const path = new URL(request.url ?? "/", "http://registry").pathname
    if (request.method !== "GET" && request.method !== "HEAD") return [405, "UNSUPPORTED"]
    if (path === "/v2/") {
      response.end("{}")
      return undefined
    }
    const [, repository, kind, reference = ""] = PATH.exec(path) ?? []
    if (repository !== this.#repository) return [404, "NAME_UNKNOWN"]
    if (kind === "manifests") return this.#sendManifest(request, response, reference)
    return this.#sendBlob(request, response, reference)
  }

  #sendManifest(
    request: IncomingMessage,
    response: ServerResponse,
    reference: string,
  ): Refusal | undefined {
    const { manifest, manifestType, digest } = this.#image
    if (reference !== this.#tag && reference !== digest) return [404, "MANIFEST_UNKNOWN"]
    response.writeHead(200, {
      "content-type": manifestType,
      "content-length": manifest.length,
      "docker-content-digest": digest,
    })
    response.end(request.method === "HEAD" ? undefined : manifest)
    return undefined
  }

  #sendBlob(
    request: IncomingMessage,
    response: ServerResponse,
    reference: string,
  ): Refusal | undefined {
    const blob = isDigest(reference) ? this.#image.blobs.get(reference) : undefined
    if (blob === undefined) return [404, "BLOB_UNKNOWN"]
    const range = parseRange(request.headers.range, blob.size)
    if (range === undefined) return [416, "RANGE_INVALID"]
    const { start, end } = range
    const isPart = end - start < blob.size
    response.writeHead(isPart ? 206 : 200, {
      "content-type": "application/octet-stream",
      "content-length": end - start,
      "docker-content-digest": reference,
      "accept-ranges": "bytes",
      ...(isPart ? { "content-range": `bytes ${start}-${end - 1}/${blob.size}` } : {}),
    })
    if (request.method === "HEAD") response.end()
    else void this.#sendFile(response, blob.path, range)
    return undefined
  }

  async #sendFile(
    response: ServerResponse,
    path: string,
    range: { start: number; end: number },
  ): Promise<void> {
    this.blobRequests++
    const body = createReadStream(path, { start: range.start, end: range.end - 1 })
    const counted = async function* (this: OriginRegistry) {
      for await (const chunk of body as AsyncIterable<Uint8Array>) {
        await this.#uplink.send(chunk.length)
        this.blobBytes += chunk.length
        yield chunk
      }
    }
    try {
      await pipeline(counted.bind(this), response)
    } catch {
      // Whoever asked is gone; so are its bytes.
      body.destroy()
    }
  }
}

/** Reads one range (RFC 9110 §14.2). @returns undefined when it lies outside */
function parseRange(
  header: string | undefined,
  size: number,
): { start: number; end: number } | undefined {
  const [, first, last] = /^bytes=(\d+)-(\d*)$/.exec(header ?? "") ?? []
  if (first === undefined) return { start: 0, end: size }
  const start = Number(first)
  const end = last === "" || last === undefined ? size : Math.min(Number(last) + 1, size)
  return start < end ? { start, end } : undefined
}
