/**
 * What a node is and does: status, peers, id, config, flights.
 * @module
 */
import { memoryUsage } from "node:process"
import type { FastifyInstance } from "fastify"
import type {
  ConfigReport,
  FlightsReport,
  NodeDescription,
  PeersReport,
  StatusReport,
} from "./api.ts"
import type { ControlDeps, ControlOptions } from "./control.ts"
import { blockedOf, warningsFor } from "./fleet-deps.ts"

/** Adds the routes to a server. */
export function addNodeRoutes(
  app: FastifyInstance,
  deps: ControlDeps,
  options: ControlOptions,
): void {
  const status = createStatusReader(deps, options)
  app.get("/v1/status", async (): Promise<StatusReport> => status())
  app.get("/v1/id", async (): Promise<NodeDescription> => options.describe())
  app.get("/v1/config", async (): Promise<ConfigReport> => ({ entries: options.config }))
  app.get("/v1/peers", async (): Promise<PeersReport> => peersOf(deps))
  app.get(
    "/v1/flights",
    async (): Promise<FlightsReport> => ({
      flights: deps.delivery.flights(),
    }),
  )
}

/** Makes the function that reads the status, also for the front door's page. */
export function createStatusReader(
  deps: Pick<
    ControlDeps,
    "store" | "net" | "swarm" | "publicSide" | "delivery" | "clock" | "fleet"
  >,
  options: Pick<ControlOptions, "describe" | "isReady" | "data">,
): () => StatusReport {
  const startedMs = deps.clock.monotonicMs()
  return () => ({
    ...options.describe(),
    data: options.data,
    isReady: options.isReady(),
    uptimeSeconds: Math.floor((deps.clock.monotonicMs() - startedMs) / 1000),
    rssBytes: memoryUsage.rss(),
    store: deps.store.usage(),
    swarm: deps.swarm.stats(),
    peerCount: deps.net.peers().length,
    flightCount: deps.delivery.flights().filter(({ state }) => state !== "complete").length,
    public: {
      torrentCount: deps.publicSide.list().length,
      ...(deps.publicSide.port === undefined ? {} : { port: deps.publicSide.port }),
    },
    blocked: blockedOf(deps),
    warnings: warningsFor(deps),
  })
}

function peersOf({ net, limits }: ControlDeps): PeersReport {
  const { shaping, zones } = limits
  return {
    peers: net.peers().map((peer) => ({
      ...peer,
      sources: [...peer.sources],
      trafficClass: shaping.classes.of(peer.id),
      zone: zones.of(peer.id),
    })),
    bans: net.bans(),
  }
}
