/**
 * One request at the registry: its path, query, name and body.
 * @module
 */
import type { FastifyReply, FastifyRequest } from "fastify"
import type { Logger } from "../core/log.ts"
import { RegistryError } from "./errors.ts"
import type { Located } from "./place.ts"
import type { Registry } from "./registry.ts"
import type { Route } from "./route-path.ts"

/** One kind of route. */
export type RouteOf<Kind extends Route["kind"]> = Extract<Route, { kind: Kind }>

/** One request on its way to an answer. */
export interface Call {
  readonly registry: Registry
  readonly request: FastifyRequest
  readonly reply: FastifyReply
  /** Aborted when the client goes away before its answer is complete. */
  readonly signal: AbortSignal
  readonly log: Logger
}

/** The path after `/v2/`, decoded once. */
export function pathOf(request: FastifyRequest): string {
  const path = request.url.split("?", 1)[0]!.replace(/^\/v2\/?/, "")
  try {
    return decodeURIComponent(path)
  } catch (cause) {
    throw new RegistryError("NAME_INVALID", "the path is not UTF-8", { cause })
  }
}

export function queryOf(request: FastifyRequest): URLSearchParams {
  const mark = request.url.indexOf("?")
  return new URLSearchParams(mark < 0 ? "" : request.url.slice(mark + 1))
}

export function locateCall({ registry, request }: Call, route: { name: string }): Located {
  return registry.locate(route.name, queryOf(request).get("ns") ?? undefined)
}

/** Gives a path of the API as the client would name it. */
export function pathTo(name: Located, rest: string): string {
  return `/v2/${name.path}/${rest}${name.query}`
}

export function signalOf(reply: FastifyReply): AbortSignal {
  const controller = new AbortController()
  reply.raw.once("close", () => {
    if (!reply.raw.writableFinished) controller.abort(new DOMException("client left", "AbortError"))
  })
  return controller.signal
}

/** The body as it comes. Leaving it early must not cut the connection: the answer is still to be sent. */
export function bodyOf(request: FastifyRequest): AsyncIterable<Uint8Array> {
  return request.raw.iterator({ destroyOnReturn: false })
}

export function lengthOf(request: FastifyRequest): number | undefined {
  const text = request.headers["content-length"]
  return text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : undefined
}

/** So much of a refused body is read on, so that its client comes to see the answer; then it is cut. */
const DRAINED_BYTES_MAX = 64 * 1024 * 1024

/** Reads the rest of a body that nobody wants; the connection serves its next request then. */
export function drainBody({ raw }: FastifyRequest): void {
  if (raw.readableEnded || raw.destroyed) return
  let passed = 0
  raw.on("data", (part: Uint8Array) => {
    passed += part.length
    if (passed > DRAINED_BYTES_MAX) raw.destroy()
  })
  // The answer is out already: how the rest ends does not matter.
  raw.on("error", () => {})
  // Whoever read it before by an iterator left it paused.
  raw.resume()
}
