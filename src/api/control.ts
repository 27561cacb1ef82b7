/**
 * The control API: JSON over HTTP/1 on a Unix socket that only its owner can open (docs/api.md).
 * @module
 */
import { once } from "node:events"
import { umask } from "node:process"
import fastify, { type FastifyInstance } from "fastify"
import type { Clock } from "../core/clock.ts"
import { CodedError } from "../core/errors.ts"
import type { Logger } from "../core/log.ts"
import type { Delivery } from "../delivery/delivery.ts"
import type { PeerNetwork } from "../net/net.ts"
import type { Rollouts } from "../rollout/rollout.ts"
import type { BlobStore } from "../store/store.ts"
import type { PublicSide } from "../swarm/public/public.ts"
import type { Swarm } from "../swarm/swarm.ts"
import type { ConfigReport, NodeDescription } from "./api.ts"
import { addBlobRoutes } from "./blob-routes.ts"
import { addDraftRoutes } from "./draft-routes.ts"
import { ApiError } from "./errors.ts"
import { statusOf } from "./fault.ts"
import { errorBodyOf } from "./fault-body.ts"
import type { FleetDeps } from "./fleet-deps.ts"
import { addFleetFileRoutes } from "./fleet-file-routes.ts"
import { addFleetRoutes } from "./fleet-routes.ts"
import { addImageRoutes } from "./image-routes.ts"
import type { ImageSource } from "./image-source.ts"
import { addLimitRoutes, type LimitDeps } from "./limit-routes.ts"
import { addLogRoutes, type LogRouteDeps } from "./log-routes.ts"
import { addNodeRoutes } from "./node-routes.ts"
import { addPolicyRoutes } from "./policy-routes.ts"
import type { ReleaseDeps } from "./release-deps.ts"
import { addReleaseFileRoutes } from "./release-file-routes.ts"
import { addReleaseRoutes } from "./release-routes.ts"
import { addRolloutRoutes } from "./rollout-routes.ts"
import { addTorrentRoutes } from "./torrent-routes.ts"
import { addUsageRoutes, type UsageRouteDeps } from "./usage-routes.ts"
import { addWitnessRoutes } from "./witness-routes.ts"

const BODY_BYTES_MAX = 512 * 1024
const PARAMETER_CHARS_MAX = 1024
/** Connections that became idle while the server closes are looked for this often. */
const CLOSE_POLL_MS = 50
/** Permission bits taken away while the socket is made: only the owner may open it. */
const OWNER_ONLY_UMASK = 0o177

export interface ControlDeps extends LogRouteDeps, UsageRouteDeps {
  readonly store: BlobStore
  readonly net: PeerNetwork
  readonly swarm: Swarm
  readonly delivery: Delivery
  readonly images: ImageSource
  readonly publicSide: PublicSide
  readonly limits: LimitDeps
  /** Left out: a node that cannot be in a fleet. */
  readonly fleet?: FleetDeps | undefined
  readonly releases?: ReleaseDeps | undefined
  readonly rollouts?: Rollouts | undefined
  readonly clock: Clock
  readonly log: Logger
}

export interface ControlOptions {
  /** What this node is; called once it is ready. */
  readonly describe: () => NodeDescription
  readonly isReady: () => boolean
  readonly data: string
  readonly config: ConfigReport["entries"]
}

/** The running control API. */
export interface ControlServer {
  /** Stops accepting; connections that are still open after the deadline are cut. */
  stop(options: { deadlineMs: number }): Promise<void>
}

/** Starts the control API on a socket path that is free. @throws the system's error */
export async function startControl(
  deps: ControlDeps,
  options: ControlOptions & { socketPath: string },
): Promise<ControlServer> {
  const app = createControlApp(deps, options)
  await app.ready()
  const before = umask(OWNER_ONLY_UMASK)
  try {
    // A Unix socket is bound within this call, so the mask spans nothing else.
    app.server.listen(options.socketPath)
  } finally {
    umask(before)
  }
  await once(app.server, "listening")
  return { stop: ({ deadlineMs }) => closeApp(deps, app, deadlineMs) }
}

/**
 * Closes a server: running answers may end, then their kept-alive connections are closed too; after
 * the deadline whatever is left is cut.
 */
export async function closeApp(
  deps: Pick<ControlDeps, "clock">,
  app: FastifyInstance,
  deadlineMs: number,
): Promise<void> {
  const closed = new AbortController()
  const cutAtMs = deps.clock.monotonicMs() + deadlineMs
  const sweepIdle = () => {
    if (closed.signal.aborted) return
    if (deps.clock.monotonicMs() >= cutAtMs) app.server.closeAllConnections()
    else app.server.closeIdleConnections()
    deps.clock.after(CLOSE_POLL_MS, sweepIdle)
  }
  sweepIdle()
  try {
    await app.close()
  } finally {
    closed.abort()
  }
}

/** Makes the routes; the tests call them without a socket. */
export function createControlApp(deps: ControlDeps, options: ControlOptions): FastifyInstance {
  const app = fastify({
    bodyLimit: BODY_BYTES_MAX,
    forceCloseConnections: "idle",
    routerOptions: { maxParamLength: PARAMETER_CHARS_MAX },
  })
  app.setErrorHandler(async (error, request, reply) => {
    const known = knownError(error)
    const status = statusOf(known)
    if (status === 500) {
      deps.log.error({ error: known, route: request.routeOptions.url }, "control request failed")
    }
    return reply.code(status).send(errorBodyOf(known))
  })
  app.setNotFoundHandler(async (request, reply) => {
    const shown = `${request.method} ${request.url.slice(0, 200)}`
    const error = new ApiError("REQUEST_INVALID", `there is no ${shown}`)
    return reply.code(404).send(errorBodyOf(error))
  })
  addNodeRoutes(app, deps, options)
  addBlobRoutes(app, deps)
  addImageRoutes(app, deps)
  addTorrentRoutes(app, deps)
  addLimitRoutes(app, deps.limits)
  addFleetRoutes(app, deps)
  addPolicyRoutes(app, deps)
  addWitnessRoutes(app, deps)
  addFleetFileRoutes(app, deps)
  addDraftRoutes(app, deps)
  addLogRoutes(app, deps)
  addUsageRoutes(app, deps)
  addReleaseRoutes(app, deps, options)
  addReleaseFileRoutes(app, deps)
  addRolloutRoutes(app, deps)
  return app
}

/** Gives fastify's own refusals (malformed JSON, body too long) a code of ours. */
function knownError(error: unknown): unknown {
  if (error instanceof CodedError || !(error instanceof Error)) return error
  const status = "statusCode" in error ? Number(error.statusCode) : 500
  if (status < 400 || status >= 500) return error
  return new ApiError("REQUEST_INVALID", `the request is refused: ${error.message}`)
}
