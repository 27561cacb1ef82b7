/**
 * The front door's server: health, readiness, metrics, the status page, and the protocol fronts that
 * are handed in as plugins.
 * @module
 */
import fastify, { type FastifyInstance, type FastifyPluginAsync } from "fastify"
import type { Clock } from "../core/clock.ts"
import type { Logger } from "../core/log.ts"
import type { StatusReport } from "./api.ts"
import { closeApp } from "./control.ts"
import { ApiError } from "./errors.ts"
import { statusOf } from "./fault.ts"
import { errorBodyOf } from "./fault-body.ts"
import type { PrometheusMetrics } from "./metrics.ts"
import { STATUS_PAGE_POLICY, statusPage } from "./status-page.ts"

const BODY_BYTES_MAX = 64 * 1024
/** A client must have sent its request's headers within this time. */
const HEADERS_TIMEOUT_MS = 30_000
const SECONDS_BUCKETS = [0.001, 0.005, 0.02, 0.1, 0.5, 2, 5, 30, 120]

/** A check of `/readyz`: its name, and whether it is well. */
export interface ReadinessCheck {
  readonly name: string
  readonly isReady: () => boolean
}

export interface FrontDoorDeps {
  readonly log: Logger
  readonly clock: Clock
  readonly metrics: PrometheusMetrics
}

export interface FrontDoorOptions {
  readonly checks: readonly ReadinessCheck[]
  readonly status: () => StatusReport
  /** Refuses whoever may not come in at all; applied to every route. */
  readonly guard: (app: FastifyInstance) => void
  /** The protocol fronts. */
  readonly plugins: readonly FastifyPluginAsync[]
}

/** The running front door. */
export interface FrontDoor {
  /** Starts to listen. @throws the system's error, such as EADDRINUSE */
  listen(address: { host: string; port: number }): Promise<{ host: string; port: number }>
  /** Answers 503 on `/readyz` from now on, while everything else still works. */
  drain(): void
  /** Stops accepting and waits for running answers; after the deadline it cuts them. */
  stop(options: { deadlineMs: number }): Promise<void>
}

/** Makes the front door; it does not listen yet. */
export async function createFrontDoor(
  deps: FrontDoorDeps,
  options: FrontDoorOptions,
): Promise<FrontDoor> {
  let isDraining = false
  const app = fastify({ bodyLimit: BODY_BYTES_MAX, forceCloseConnections: "idle" })
  app.server.headersTimeout = HEADERS_TIMEOUT_MS
  countRequests(app, deps)
  app.setErrorHandler(async (error, request, reply) => {
    const status = statusOf(error)
    if (status === 500) deps.log.error({ error, path: request.routeOptions.url }, "request failed")
    return reply.code(status).send(errorBodyOf(error))
  })
  options.guard(app)
  for (const plugin of options.plugins) await app.register(plugin)
  addHealth(app, () => !isDraining, options.checks)
  addPages(app, deps, options)
  return {
    async listen({ host, port }) {
      await app.listen({ host, port })
      const address = app.server.address()
      return typeof address === "object" && address !== null
        ? { host: address.address, port: address.port }
        : { host, port }
    },
    drain() {
      isDraining = true
    },
    stop: ({ deadlineMs }) => closeApp(deps, app, deadlineMs),
  }
}

function countRequests(app: FastifyInstance, { metrics }: FrontDoorDeps): void {
  const labels = ["method", "status"]
  const requests = metrics.counter("sealift_http_requests_total", "Answered requests.", labels)
  const seconds = metrics.histogram(
    "sealift_http_request_seconds",
    "Time from a request to the end of its answer.",
    SECONDS_BUCKETS,
  )
  app.addHook("onResponse", async (request, reply) => {
    // Fastify accepts only the methods that it knows, so this label is bounded.
    requests.add(1, { method: request.method, status: String(reply.statusCode) })
    seconds.observe(reply.elapsedTime / 1000)
  })
}

function addHealth(
  app: FastifyInstance,
  isOpen: () => boolean,
  checks: readonly ReadinessCheck[],
): void {
  app.get("/healthz", async (_request, reply) => reply.type("text/plain").send("ok\n"))
  app.get("/readyz", async (_request, reply) => {
    const all = [{ name: "accepting", isReady: isOpen }, ...checks]
    const results = Object.fromEntries(all.map(({ name, isReady }) => [name, isReady()]))
    const isWell = Object.values(results).every((result) => result)
    return reply.code(isWell ? 200 : 503).send({ ready: isWell, checks: results })
  })
}

function addPages(app: FastifyInstance, deps: FrontDoorDeps, options: FrontDoorOptions): void {
  app.get("/metrics", async (_request, reply) => {
    return reply.type(deps.metrics.contentType).send(await deps.metrics.expose())
  })
  app.get("/", async (_request, reply) => reply.redirect("/ui/"))
  app.get("/ui", async (_request, reply) => reply.redirect("/ui/"))
  app.get("/ui/", async (_request, reply) => {
    reply.headers({
      "content-security-policy": STATUS_PAGE_POLICY,
      "x-content-type-options": "nosniff",
      "referrer-policy": "no-referrer",
      "cache-control": "no-store",
    })
    return reply.type("text/html; charset=utf-8").send(statusPage(options.status()))
  })
  app.setNotFoundHandler(async (request, reply) => {
    const shown = `${request.method} ${request.url.slice(0, 200)}`
    const error = new ApiError("REQUEST_INVALID", `there is no ${shown}`)
    return reply.code(404).send(errorBodyOf(error))
  })
}
