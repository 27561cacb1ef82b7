/**
 * Keeps web pages and other machines out of the whole front door: foreign `Host`, foreign `Origin`,
 * cross-site requests, and writes that do not come from loopback (protocol/registry-profile.md §8).
 * @module
 */
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify"
import { RegistryError } from "./errors.ts"
import { ociAnswer } from "./oci-error.ts"

export interface FrontDoorOptions {
  /**
   * Names and addresses, without port, that a client may use for this node besides loopback's: the
   * configured `hosts`, and the address it listens on unless that is a wildcard. Read at each request.
   */
  readonly hosts: () => readonly string[]
}

const LOOPBACK_NAMES: ReadonlySet<string> = new Set(["localhost", "[::1]"])
const LOOPBACK_IPV4 = /^127(?:\.\d{1,3}){3}$/
const SAFE_METHODS: ReadonlySet<string> = new Set(["GET", "HEAD"])
/** A browser says `same-origin` for our own pages, `none` for what the user typed. */
const OWN_SITES: ReadonlySet<string> = new Set(["same-origin", "none"])

/**
 * Guards a fastify instance: every route, also unknown ones. Call it on the root before plugins are
 * registered, since they take over the hooks that are there; it is no plugin with a scope of its own.
 */
export function guardFrontDoor(app: FastifyInstance, options: FrontDoorOptions): void {
  app.addHook("onRequest", async (request, reply) => {
    const fault = faultOf(request, options)
    if (fault !== undefined) return refuse(request, reply, fault)
    // Old browsers send no Sec-Fetch-Site; these headers keep their pages from using an answer.
    reply.header("cross-origin-resource-policy", "same-origin")
    reply.header("x-content-type-options", "nosniff")
  })
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
