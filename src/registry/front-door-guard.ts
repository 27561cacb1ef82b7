/**
 * Keeps web pages and other machines out of the whole front door: foreign `Host`, foreign `Origin`,
 * cross-site requests, and writes that do not come from loopback; in a fleet also whoever has not the
 * node's token, but for what everybody on this machine may read (protocol/registry-profile.md §8).
 * @module
 */
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify"
import { RegistryError } from "./errors.ts"
import { hasToken } from "./front-door-token.ts"
import { ociAnswer } from "./oci-error.ts"

export interface FrontDoorOptions {
  /**
   * Names and addresses, without port, that a client may use for this node besides loopback's: the
   * configured `hosts`, and the address it listens on unless that is a wildcard. Read at each request.
   */
  readonly hosts: () => readonly string[]
  /** What a node in a fleet asks for; nothing when left out. */
  readonly lock?: FrontDoorLock | undefined
}

/** The lock of the front door. */
export interface FrontDoorLock {
  /** Whether this node is in a fleet. Read at each request: it may join one while it runs. */
  readonly isLocked: () => boolean
  /** A program or browser on this machine that has it may do everything. */
  readonly token: string
  /** Tells whether everybody on this machine may read a path; {@link isOpenPath} when left out. */
  readonly isOpen?: (path: string) => boolean
}

const LOOPBACK_NAMES: ReadonlySet<string> = new Set(["localhost", "[::1]"])
const LOOPBACK_IPV4 = /^127(?:\.\d{1,3}){3}$/
/** Whether a node lives is nobody's secret. */
const HEALTH_PATHS: ReadonlySet<string> = new Set(["/healthz", "/readyz"])
/** Where clients ask whether they need credentials; Docker learns it nowhere else, for pushes too. */
const VERSION_PATHS: ReadonlySet<string> = new Set(["/v2", "/v2/"])
/** Where clients get tokens (distribution spec, token authentication). */
const TOKEN_PATH = "/token"
/** What whoever has no token gets there: it opens nothing, but clients go on with it. */
const NO_TOKEN = "none"
const REALM = "sealift"
const SAFE_METHODS: ReadonlySet<string> = new Set(["GET", "HEAD"])
/** A browser says `same-origin` for our own pages, `none` for what the user typed. */
const OWN_SITES: ReadonlySet<string> = new Set(["same-origin", "none"])

/**
 * What a browser may do with an answer. Media types of manifests are those of a registry or a client: one
 * that says it is a page must not run in the node's origin, from where it could read and push everything.
 */
const ANSWER_POLICY = "default-src 'none'; frame-ancestors 'none'; sandbox"

/**
 * Guards a fastify instance: every route, also unknown ones. Call it on the root before plugins are
 * registered, since they take over the hooks that are there; it is no plugin with a scope of its own.
 */
export function guardFrontDoor(app: FastifyInstance, options: FrontDoorOptions): void {
  app.addHook("onRequest", async (request, reply) => {
    const fault = faultOf(request, options) ?? lockFault(request, options.lock)
    if (fault?.code === "TOKEN_REQUIRED") reply.header("www-authenticate", challengeOf(request))
    if (fault !== undefined) return refuse(request, reply, fault)
    // Old browsers send no Sec-Fetch-Site; these headers keep their pages from using an answer.
    reply.header("cross-origin-resource-policy", "same-origin")
    reply.header("x-content-type-options", "nosniff")
    // Our own pages say what they need instead.
    reply.header("content-security-policy", ANSWER_POLICY)
  })
  const { lock } = options
  if (lock !== undefined) addTokenRoute(app, lock)
}

/** Tells whether everybody on this machine may read a path: images, figures, the status page. */
export function isOpenPath(path: string): boolean {
  return ["/v2/", "/ui/"].some((folder) => path.startsWith(folder)) || OPEN_PATHS.has(path)
}

const OPEN_PATHS: ReadonlySet<string> = new Set(["/", "/ui", "/metrics"])

/** In a fleet all but reading on this machine needs the token: container runtimes send none to mirrors. */
function lockFault(
  request: FastifyRequest,
  lock: FrontDoorLock | undefined,
): RegistryError | undefined {
  if (lock === undefined || !lock.isLocked()) return undefined
  if (hasToken(request.headers.authorization, lock.token)) return undefined
  const path = pathOf(request)
  if (SAFE_METHODS.has(request.method)) {
    const isOpen = (lock.isOpen ?? isOpenPath)(path) && !asksForCredentials(request)
    const isLocal = isLoopback(request.socket.remoteAddress)
    if (HEALTH_PATHS.has(path) || (isLocal && (isOpen || path === TOKEN_PATH))) return undefined
  }
  const message = "this needs the token of the node, which its owner finds in DATA/token"
  return new RegistryError("TOKEN_REQUIRED", message)
}

/** Whether a client asks if it needs credentials; not when it has been told that it may go on without. */
function asksForCredentials(request: FastifyRequest): boolean {
  const isNobody = request.headers.authorization === `Bearer ${NO_TOKEN}`
  return VERSION_PATHS.has(pathOf(request)) && !isNobody
}

/** Tells a client how to get in: that of a registry by a token, which it may have without a password, too. */
function challengeOf(request: FastifyRequest): string {
  if (!VERSION_PATHS.has(pathOf(request))) return `Basic realm="${REALM}", charset="UTF-8"`
  return `Bearer realm="http://${request.headers.host}${TOKEN_PATH}",service="${REALM}"`
}

/** Changes a password for a token, the same one; and none for one that opens nothing. */
function addTokenRoute(app: FastifyInstance, lock: FrontDoorLock): void {
  app.get(TOKEN_PATH, async (request, reply) => {
    if (!lock.isLocked()) return reply.callNotFound()
    const { authorization } = request.headers
    const isOwner = hasToken(authorization, lock.token)
    if (authorization !== undefined && !isOwner) {
      reply.header("www-authenticate", `Basic realm="${REALM}", charset="UTF-8"`)
      return refuse(request, reply, new RegistryError("TOKEN_REQUIRED", "a wrong password"))
    }
    const token = isOwner ? lock.token : NO_TOKEN
    return reply.header("cache-control", "no-store").send({ token, access_token: token })
  })
}

function pathOf(request: FastifyRequest): string {
  return request.url.split("?", 1)[0] ?? ""
}

/** Gives why a request is refused, or undefined. */
function faultOf(request: FastifyRequest, { hosts }: FrontDoorOptions): RegistryError | undefined {
  const host = parseHost(request.headers.host)
  // A rebound DNS name brings a page's requests here under that name: only its Host tells.
  if (host === undefined || !isOwnHost(host.name, hosts())) {
    return new RegistryError("HOST_FOREIGN", "the Host header does not name this node")
  }
  const { origin } = request.headers
  if (origin !== undefined && !isOwnOrigin(origin, host)) {
    return new RegistryError("PAGE_FOREIGN", "a page of another origin may not use this node")
  }
  const site = request.headers["sec-fetch-site"]
  if (site !== undefined && (typeof site !== "string" || !OWN_SITES.has(site))) {
    return new RegistryError("PAGE_FOREIGN", "a page of another site may not use this node")
  }
  if (!SAFE_METHODS.has(request.method) && !isLoopback(request.socket.remoteAddress)) {
    return new RegistryError("WRITE_REMOTE", "writes are taken from this machine only")
  }
  return undefined
}

interface Host {
  /** Lower case; an IPv6 address in brackets. */
  readonly name: string
  /** The header, lower case. */
  readonly text: string
}

function parseHost(header: string | undefined): Host | undefined {
  const text = header?.toLowerCase() ?? ""
  const name = /^(\[[0-9a-f:.]+\]|[^:[\]/@\s]+)(?::\d{1,5})?$/.exec(text)?.[1]
  // One dot at the end is the same name to DNS.
  return name === undefined ? undefined : { name: name.replace(/\.$/, ""), text }
}

function isOwnHost(name: string, hosts: readonly string[]): boolean {
  if (LOOPBACK_NAMES.has(name) || LOOPBACK_IPV4.test(name)) return true
  return hosts.some((host) => bracketed(host.toLowerCase()) === name)
}

const bracketed = (host: string): string =>
  host.includes(":") && !host.startsWith("[") ? `[${host}]` : host

/** An origin is scheme, host and port; the front door speaks plain HTTP, so its pages do too. */
function isOwnOrigin(origin: string, host: Host): boolean {
  return origin.toLowerCase() === `http://${host.text}`
}

/** Tells whether a socket's other end is this machine. */
export function isLoopback(address: string | undefined): boolean {
  const bare = address?.replace(/^::ffff:/i, "") ?? ""
  return bare === "::1" || LOOPBACK_IPV4.test(bare)
}

function refuse(request: FastifyRequest, reply: FastifyReply, fault: RegistryError): FastifyReply {
  const { status, headers, body } = ociAnswer(fault)
  return reply
    .code(status)
    .headers(headers)
    .send(request.method === "HEAD" ? undefined : body)
}
