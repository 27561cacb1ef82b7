/**
 * The limits of the traffic: what holds, and setting it while the node runs.
 * @module
 */
import type { FastifyInstance } from "fastify"
import type { LimitKeeper } from "../swarm/limit-keeper.ts"
import type { LimitState } from "../swarm/limit-schedule.ts"
import type { Shaping } from "../swarm/shaping.ts"
import { RATE_BYTES_MIN, type Rate } from "../swarm/traffic-class.ts"
import type { Zones } from "../swarm/zones.ts"
import type { LimitsReport, LimitValues } from "./api.ts"
import { ApiError } from "./errors.ts"
import { fieldsOf } from "./request.ts"

/** The limits of one node. */
export interface LimitDeps {
  readonly keeper: LimitKeeper
  readonly shaping: Shaping
  /** Where peers stand. */
  readonly zones: Zones
}

/** Adds the routes to a server. */
export function addLimitRoutes(app: FastifyInstance, deps: LimitDeps): void {
  const { keeper } = deps
  app.get("/v1/limits", async (): Promise<LimitsReport> => reportOf(deps))
  app.post("/v1/limits", async (request): Promise<LimitsReport> => {
    const fields = fieldsOf(request.body, {
      ...{ up: "count", down: "count", lanUp: "count", lanDown: "count" },
      ...{ wanUp: "count", wanDown: "count", metered: "boolean" },
    })
    keeper.override({
      ...rateOf("", fields.up, fields.down),
      lan: rateOf("lan", fields.lanUp, fields.lanDown),
      wan: rateOf("wan", fields.wanUp, fields.wanDown),
      metered: fields.metered,
    })
    return reportOf(deps)
  })
  app.delete("/v1/limits", async (): Promise<LimitsReport> => {
    keeper.reset()
    return reportOf(deps)
  })
}

function reportOf({ keeper, shaping }: LimitDeps): LimitsReport {
  const { limits, override, nextChangeMs } = keeper.report()
  return {
    inForce: valuesOf(limits),
    override: override === undefined ? undefined : valuesOf(override),
    nextChangeMs,
    passedBytes: { up: { ...shaping.up.passedBytes }, down: { ...shaping.down.passedBytes } },
  }
}

/** Zero lifts a limit; JSON has no infinity. */
function rateOf(name: string, up: number | undefined, down: number | undefined): Rate {
  return { up: limitOf(`${name}up`, up), down: limitOf(`${name}down`, down) }
}

function limitOf(name: string, bytes: number | undefined): number | undefined {
  if (bytes === 0) return Number.POSITIVE_INFINITY
  if (bytes === undefined || bytes >= RATE_BYTES_MIN) return bytes
  throw new ApiError(
    "REQUEST_INVALID",
    `the limit ${name} is ${bytes} bytes per second; allowed: 0 for none, or at least ${RATE_BYTES_MIN}`,
  )
}

function valuesOf({ up, down, lan, wan, metered }: LimitState): LimitValues {
  return {
    up: shown(up),
    down: shown(down),
    lanUp: shown(lan?.up),
    lanDown: shown(lan?.down),
    wanUp: shown(wan?.up),
    wanDown: shown(wan?.down),
    metered: metered ?? false,
  }
}

function shown(bytes: number | undefined): number | undefined {
  return bytes === Number.POSITIVE_INFINITY ? 0 : bytes
}
