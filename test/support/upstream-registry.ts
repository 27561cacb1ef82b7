/**
 * A stand-in upstream registry over real HTTP on loopback: serves the images it is given, counts the
 * blob bytes it sends, asks for authentication, and misbehaves on demand.
 */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"
import { setTimeout as wait } from "node:timers/promises"
import { type Digest, digestOf, isDigest } from "../../src/core/digest.ts"
import { jsonBytes, OCI_INDEX, type TestImage } from "./test-image.ts"

/** How a kind of request is treated; nothing set is good behaviour. */
export interface Fault {
  /** Accepts the request and never answers. */
  readonly hangs?: boolean
  readonly status?: number
  readonly retryAfter?: string
  readonly delayMs?: number
  /** The body ends (connection closed) after so many bytes, though more were announced. */
  readonly truncateAtBytes?: number
  /** The body stops for ever after so many bytes. */
  readonly stallAtBytes?: number
  /** One bit of the first byte of the body is wrong. */
  readonly flipsBit?: boolean
  readonly bytesPerSecond?: number
  /** Sends 307 to this URL; `{path}` stands for the request's path and query. */
  readonly redirect?: string
  readonly hidesDigest?: boolean
  readonly hidesLength?: boolean
  readonly ignoresRange?: boolean
}

export type FaultKind = "all" | "manifest" | "blob" | "tags" | "referrers" | "token"

export interface UpstreamRegistryOptions {
  readonly auth?: "none" | "basic" | "bearer"
  /** What basic authentication and the token server take; without it bearer is anonymous. */
  readonly credentials?: { readonly username: string; readonly password: string }
  readonly tokenLifeSeconds?: number
  /** False answers 404 on the referrers API, as docker-registry 2.8 does. */
  readonly hasReferrers?: boolean
  readonly tagsPerPage?: number
}

export interface SeenRequest {
  readonly method: string
  readonly path: string
  readonly headers: IncomingMessage["headers"]
}

export interface UpstreamRegistry {
  /** `127.0.0.1:PORT` */
  readonly host: string
  readonly url: string
  readonly requests: readonly SeenRequest[]
  /** Connections that were accepted so far. */
  readonly connectionCount: number
  readonly tokenCount: number
  /** Bytes of blob bodies that were written out, of one blob or of all. */
  sentBlobBytes(digest?: Digest): number
  addBlob(repository: string, bytes: Uint8Array): Digest
  addManifest(repository: string, reference: string, bytes: Uint8Array, mediaType: string): Digest
  /** Adds an image (or an index with its images) with all blobs under a tag. */
  addImage(repository: string, tag: string, image: TestImage): Digest
  removeTag(repository: string, tag: string): void
  /** Sets how a kind of request is treated from now on; undefined: well. */
  behave(kind: FaultKind, fault: Fault | undefined): void
  forgetRequests(): void
  close(): Promise<void>
}

interface Stored {
  readonly bytes: Uint8Array
  readonly mediaType: string
}

export async function startUpstreamRegistry(
  options: UpstreamRegistryOptions = {},
): Promise<UpstreamRegistry> {
  const registry = new Registry(options)
  await registry.start()
  return registry
}

class Registry implements UpstreamRegistry {
  readonly requests: SeenRequest[] = []
  connectionCount = 0
  tokenCount = 0
  host = ""
  readonly #options: UpstreamRegistryOptions
  /** Keys are `repository@digest`. */
  readonly #blobs = new Map<string, Uint8Array>()
  /** Keys are `repository@digest` and `repository:tag`; a tag's value is the digest. */
  readonly #manifests = new Map<string, Stored>()
  readonly #tags = new Map<string, Digest>()
  readonly #faults = new Map<FaultKind, Fault>()
  readonly #sent = new Map<Digest, number>()
  readonly #tokens = new Set<string>()
  readonly #server = createServer((request, response) => {
    this.#answer(request, response).catch((error: unknown) => response.destroy(error as Error))
  })

  constructor(options: UpstreamRegistryOptions) {
    this.#options = options
  }

  get url(): string {
    return `http://${this.host}`
  }

  async start(): Promise<void> {
    this.#server.on("connection", () => {
      this.connectionCount++
    })
    await new Promise<void>((resolve) => this.#server.listen(0, "127.0.0.1", resolve))
    this.host = `127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  sentBlobBytes(digest?: Digest): number {
    if (digest !== undefined) return this.#sent.get(digest) ?? 0
    return [...this.#sent.values()].reduce((sum, bytes) => sum + bytes, 0)
  }

  addBlob(repository: string, bytes: Uint8Array): Digest {
    const digest = digestOf(bytes)
    this.#blobs.set(`${repository}@${digest}`, bytes)
    return digest
  }

  addManifest(repository: string, reference: string, bytes: Uint8Array, mediaType: string): Digest {
    const digest = digestOf(bytes)
    this.#manifests.set(`${repository}@${digest}`, { bytes, mediaType })
    if (!isDigest(reference)) this.#tags.set(`${repository}:${reference}`, digest)
    return digest
  }

  addImage(repository: string, tag: string, image: TestImage): Digest {
    for (const blob of image.blobs) this.addBlob(repository, blob.bytes)
    for (const child of image.children) this.addImage(repository, child.digest, child)
    return this.addManifest(repository, tag, image.bytes, image.mediaType)
  }

  removeTag(repository: string, tag: string): void {
    this.#tags.delete(`${repository}:${tag}`)
  }

  behave(kind: FaultKind, fault: Fault | undefined): void {
    if (fault === undefined) this.#faults.delete(kind)
    else this.#faults.set(kind, fault)
  }

  forgetRequests(): void {
    this.requests.length = 0
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise<void>((resolve) => this.#server.close(() => resolve()))
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? "/", this.url)
    const path = `${url.pathname}${url.search}`
    this.requests.push({ method: request.method ?? "", path, headers: request.headers })
    request.resume()
    const kind = kindOf(url.pathname)
    const fault = { ...this.#faults.get("all"), ...this.#faults.get(kind) }
    if (fault.hangs === true) return
    if (fault.delayMs !== undefined) await wait(fault.delayMs)
    if (fault.status !== undefined) return sendStatus(response, fault)
    if (kind === "token") return this.#sendToken(url, request, response)
    if (!this.#isAuthorized(request)) return this.#challenge(url, response)
    if (fault.redirect !== undefined) {
      response.writeHead(307, { location: fault.redirect.replace("{path}", path) }).end()
      return
    }
    const parts = /^\/v2\/(.+)\/(manifests|blobs|tags|referrers)\/([^/]+)$/.exec(url.pathname)
    if (parts === null) return sendJson(response, url.pathname === "/v2/" ? 200 : 404, {})
    const [, repository, what, last] = parts as unknown as [string, string, string, string]
    const send = { request, response, fault }
    if (what === "manifests") return this.#sendManifest(repository, last, send)
    if (what === "blobs") return this.#sendBlob(repository, last, send)
    if (what === "tags") return this.#sendTags(repository, url, response)
    return this.#sendReferrers(repository, last, url, response)
  }

  async #sendManifest(repository: string, reference: string, send: Sending): Promise<void> {
    const digest = isDigest(reference) ? reference : this.#tags.get(`${repository}:${reference}`)
    const stored = this.#manifests.get(`${repository}@${digest}`)
    if (stored === undefined) return sendError(send.response, 404, "MANIFEST_UNKNOWN")
    const headers: Record<string, string> = { "content-type": stored.mediaType }
    if (send.fault.hidesDigest !== true) headers["docker-content-digest"] = `${digest}`
    await sendBytes(stored.bytes, { ...send, headers, status: 200 })
  }

  async #sendBlob(repository: string, digest: string, send: Sending): Promise<void> {
    const bytes = this.#blobs.get(`${repository}@${digest}`)
    if (bytes === undefined) return sendError(send.response, 404, "BLOB_UNKNOWN")
    const headers: Record<string, string> = { "content-type": "application/octet-stream" }
    headers["docker-content-digest"] = digest
    const wish = /^bytes=(\d+)-(\d*)$/.exec(send.request.headers.range ?? "")
    const onSent = (sizeBytes: number) => {
      const sent = this.#sent.get(digest as Digest) ?? 0
      this.#sent.set(digest as Digest, sent + sizeBytes)
    }
    if (wish === null || send.fault.ignoresRange === true) {
      return sendBytes(bytes, { ...send, headers, status: 200, onSent })
    }
    const start = Number(wish[1])
    const end = wish[2] === "" ? bytes.length : Math.min(Number(wish[2]) + 1, bytes.length)
    if (start >= end) return sendError(send.response, 416, "SIZE_INVALID")
    headers["content-range"] = `bytes ${start}-${end - 1}/${bytes.length}`
    await sendBytes(bytes.subarray(start, end), { ...send, headers, status: 206, onSent })
  }

  #sendTags(repository: string, url: URL, response: ServerResponse): void {
    const prefix = `${repository}:`
    const last = url.searchParams.get("last") ?? ""
    const asked = Number(url.searchParams.get("n") ?? "100000")
    const count = Math.min(asked, this.#options.tagsPerPage ?? 100_000)
    const all = [...this.#tags.keys()]
      .filter((key) => key.startsWith(prefix))
      .map((key) => key.slice(prefix.length))
      .sort()
    if (all.length === 0) {
      sendError(response, 404, "NAME_UNKNOWN")
      return
    }
    const rest = all.filter((tag) => tag > last)
    const tags = rest.slice(0, count)
    if (rest.length > tags.length) {
      const next = `/v2/${repository}/tags/list?n=${asked}&last=${tags.at(-1)}`
      response.setHeader("link", `<${next}>; rel="next"`)
    }
    sendJson(response, 200, { name: repository, tags })
  }

  #sendReferrers(repository: string, digest: string, url: URL, response: ServerResponse): void {
    if (this.#options.hasReferrers === false) {
      sendError(response, 404, "UNSUPPORTED")
      return
    }
    const manifests: unknown[] = []
    for (const [key, { bytes, mediaType }] of this.#manifests) {
      if (!key.startsWith(`${repository}@`)) continue
      const body = JSON.parse(Buffer.from(bytes).toString()) as Record<string, unknown>
      const subject = body.subject as { digest?: string } | undefined
      if (subject?.digest !== digest) continue
      const artifactType = body.artifactType
      manifests.push({ mediaType, digest: digestOf(bytes), size: bytes.length, artifactType })
    }
    const filter = url.searchParams.get("artifactType")
    const found = manifests.filter(
      (one) => filter === null || (one as { artifactType?: string }).artifactType === filter,
    )
    response.setHeader("content-type", OCI_INDEX)
    response.end(jsonBytes({ schemaVersion: 2, mediaType: OCI_INDEX, manifests: found }))
  }

  // ---- authentication

  #isAuthorized(request: IncomingMessage): boolean {
    const { auth, credentials } = this.#options
    const header = request.headers.authorization ?? ""
    if (auth === "basic") return header === basicOf(credentials)
    if (auth === "bearer") return this.#tokens.has(header.replace(/^Bearer /, ""))
    return true
  }

  #challenge(url: URL, response: ServerResponse): void {
    const name = /^\/v2\/(.+)\/(?:manifests|blobs|tags|referrers)\//.exec(url.pathname)?.[1] ?? ""
    const bearer = `Bearer realm="${this.url}/token",service="stand-in",scope="repository:${name}:pull"`
    const offered = this.#options.auth === "basic" ? 'Basic realm="stand-in"' : bearer
    response.setHeader("www-authenticate", offered)
    sendError(response, 401, "UNAUTHORIZED")
  }

  #sendToken(url: URL, request: IncomingMessage, response: ServerResponse): void {
    this.tokenCount++
    const { credentials, tokenLifeSeconds } = this.#options
    const mayPass =
      credentials === undefined || request.headers.authorization === basicOf(credentials)
    if (!mayPass) {
      sendError(response, 401, "UNAUTHORIZED")
      return
    }
    const token = `token-${this.tokenCount}-${url.searchParams.get("scope") ?? ""}`
    this.#tokens.add(token)
    if (tokenLifeSeconds !== undefined) {
      setTimeout(() => this.#tokens.delete(token), tokenLifeSeconds * 1000).unref()
    }
    sendJson(response, 200, { token, expires_in: tokenLifeSeconds ?? 300 })
  }
}

interface Sending {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly fault: Fault
}

const WRITE_BYTES = 16 * 1024

async function sendBytes(
  bytes: Uint8Array,
  options: Sending & {
    headers: Record<string, string>
    status: number
    onSent?: (sizeBytes: number) => void
  },
): Promise<void> {
  const { request, response, fault, headers, status, onSent } = options
  if (fault.hidesLength !== true) headers["content-length"] = String(bytes.length)
  response.writeHead(status, headers)
  if (request.method === "HEAD") {
    response.end()
    return
  }
  const body = fault.flipsBit === true ? withFlippedBit(bytes) : bytes
  const closed = new Promise((resolve) => response.once("close", resolve))
  const stopAt = fault.truncateAtBytes ?? fault.stallAtBytes ?? body.length
  for (let at = 0; at < Math.min(stopAt, body.length) && !response.destroyed; ) {
    const part = body.subarray(at, Math.min(at + WRITE_BYTES, stopAt))
    at += part.length
    onSent?.(part.length)
    if (!response.write(part)) {
      await Promise.race([closed, new Promise((resolve) => response.once("drain", resolve))])
    }
    if (fault.bytesPerSecond !== undefined) await wait((part.length / fault.bytesPerSecond) * 1000)
  }
  if (fault.truncateAtBytes !== undefined) response.socket?.end()
  else if (fault.stallAtBytes === undefined) response.end()
}

function withFlippedBit(bytes: Uint8Array): Uint8Array {
  const out = Uint8Array.from(bytes)
  out[0]! ^= 1
  return out
}

function kindOf(path: string): FaultKind {
  if (path === "/token") return "token"
  if (/\/manifests\/[^/]+$/.test(path)) return "manifest"
  if (/\/blobs\/[^/]+$/.test(path)) return "blob"
  if (path.endsWith("/tags/list")) return "tags"
  return path.includes("/referrers/") ? "referrers" : "all"
}

function basicOf(credentials: { username: string; password: string } | undefined): string {
  const text = `${credentials?.username}:${credentials?.password}`
  return `Basic ${Buffer.from(text).toString("base64")}`
}

function sendStatus(response: ServerResponse, fault: Fault): void {
  if (fault.retryAfter !== undefined) response.setHeader("retry-after", fault.retryAfter)
  sendError(response, fault.status ?? 500, "STAND_IN")
}

function sendError(response: ServerResponse, status: number, code: string): void {
  sendJson(response, status, { errors: [{ code, message: "stand-in" }] })
}

function sendJson(response: ServerResponse, status: number, body: unknown): void {
  response.statusCode = status
  response.setHeader("content-type", "application/json")
  response.end(jsonBytes(body))
}
