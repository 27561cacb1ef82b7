/**
 * Rollouts: making plans, deciding by hand, seeing how far they are.
 * @module
 */
import type { FastifyInstance } from "fastify"
import type { Clock } from "../core/clock.ts"
import { formatAssetVersion } from "../release/asset-name.ts"
import type { NamedRelease } from "../release/signed.ts"
import { PLAN_DRAFT_BYTES_MAX } from "../rollout/plan-draft.ts"
import { parsePlanFile } from "../rollout/plan-file.ts"
import type { PlanReceipt, RolloutReport, Rollouts } from "../rollout/rollout.ts"
import { ApiError } from "./errors.ts"
import { type FleetRouteDeps, membershipOf } from "./fleet-deps.ts"
import { sendLines } from "./line-stream.ts"
import { acceptRawBodies, rawBodyOf, sendRaw } from "./raw-body.ts"
import { choiceOf, fieldsOf, required } from "./request.ts"
import type {
  PlanAnswer,
  RolledRelease,
  RolloutAnswer,
  RolloutLine,
  RolloutsAnswer,
} from "./rollout-api.ts"

const ACTS = ["start", "pause", "resume", "abort", "rollback"] as const
/** A rollout that is followed is told no more often than this. */
const INTERVAL_MS = 250
/** It is told again after this time even if nothing was heard: counts change by time alone. */
const IDLE_MS = 1_000

export interface RolloutRouteDeps extends FleetRouteDeps {
  /** Undefined: this node has no part that knows of rollouts, or is in no fleet yet. */
  readonly rollouts?: Rollouts | undefined
  readonly clock: Clock
}

/** Adds the routes to a server. */
export function addRolloutRoutes(app: FastifyInstance, deps: RolloutRouteDeps): void {
  app.post("/v1/rollouts", async (request): Promise<PlanAnswer> => {
    const { plan, dryRun } = fieldsOf(request.body, { plan: "object", dryRun: "boolean" })
    const terms = parsePlanFile(required(plan, "plan"))
    return planAnswerOf(await rolloutsOf(deps).create(terms, { isDryRun: dryRun === true }))
  })
  app.post("/v1/rollouts/draft", async (request, reply) => {
    const { plan } = fieldsOf(request.body, { plan: "object" })
    return sendRaw(reply, await rolloutsOf(deps).draft(parsePlanFile(required(plan, "plan"))))
  })
  app.register(async (scope) => {
    acceptRawBodies(scope)
    const limits = { bodyLimit: PLAN_DRAFT_BYTES_MAX }
    scope.post("/v1/rollouts/submit", limits, async (request): Promise<PlanAnswer> => {
      return planAnswerOf(await rolloutsOf(deps).submit(rawBodyOf(request.body)))
    })
  })
  app.get("/v1/rollouts", async (): Promise<RolloutsAnswer> => {
    return { rollouts: rolloutsOf(deps).list().map(answerOf) }
  })
  app.get<{ Params: { name: string } }>("/v1/rollouts/:name", async ({ params }) => {
    return answerOf(rolloutsOf(deps).status(params.name))
  })
  app.get<{ Params: { name: string } }>("/v1/rollouts/:name/follow", async ({ params }, reply) => {
    const rollouts = rolloutsOf(deps)
    rollouts.status(params.name)
    return await sendLines<RolloutLine>(reply, async (writer) => {
      for await (const report of followed(rollouts, params.name, { ...deps, ...writer })) {
        await writer.write({ type: "rollout", rollout: answerOf(report) })
      }
    })
  })
  app.post<{ Params: { name: string; act: string } }>(
    "/v1/rollouts/:name/:act",
    async ({ params, body }): Promise<RolloutAnswer> => {
      const { reason, wave } = fieldsOf(body, { reason: "text", wave: "text" })
      const act = choiceOf(params.act, "act", ACTS)
      return answerOf(await rolloutsOf(deps).act(params.name, act, { reason, wave }))
    },
  )
}

function rolloutsOf(deps: RolloutRouteDeps): Rollouts {
  membershipOf(deps)
  if (deps.rollouts !== undefined) return deps.rollouts
  throw new ApiError("INTERNAL", "the rollouts are not opened here yet: try again")
}

/** Gives a report now, and whenever it has changed. */
export async function* followed(
  rollouts: Pick<Rollouts, "status" | "onChange">,
  name: string,
  { clock, signal }: { readonly clock: Clock; readonly signal: AbortSignal },
): AsyncGenerator<RolloutReport> {
  let wake = () => {}
  let isChanged = false
  const forget = rollouts.onChange(() => {
    isChanged = true
    wake()
  })
  let shown = ""
  try {
    while (!signal.aborted) {
      isChanged = false
      const report = rollouts.status(name)
      const text = JSON.stringify(report)
      if (text !== shown) yield report
      shown = text
      await clock.sleep(INTERVAL_MS, { signal })
      // It may have changed while it was too early to tell.
      if (isChanged) continue
      await new Promise<void>((resolve) => {
        const cancel = clock.after(IDLE_MS, resolve)
        wake = () => {
          cancel()
          resolve()
        }
      })
    }
  } finally {
    forget()
  }
}

function planAnswerOf(made: PlanReceipt): PlanAnswer {
  return { ...made, digest: made.digest ?? null, releases: made.releases.map(releaseOf) }
}

function answerOf(report: RolloutReport): RolloutAnswer {
  return { ...report, releases: report.releases.map(releaseOf) }
}

function releaseOf({ asset, digest }: NamedRelease): RolledRelease {
  return { ref: formatAssetVersion(asset), digest }
}
