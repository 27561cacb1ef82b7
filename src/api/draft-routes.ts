/**
 * Drafts: changes of the fleet that are signed away from this node.
 * @module
 */
import type { FastifyInstance } from "fastify"
import { unreachable } from "../core/errors.ts"
import type { DraftReceipt, DraftRequest } from "../fleet/fleet-desk.ts"
import { DRAFT_BYTES_MAX } from "../fleet/role-draft.ts"
import { type Holding, parseHeldRole } from "../fleet/role-holding.ts"
import { parsePublicKey } from "../trust/public-key.ts"
import type { RoleKeyReport } from "./fleet-api.ts"
import { deskOf, type FleetRouteDeps } from "./fleet-deps.ts"
import { PARTIES_BODY_BYTES_MAX, POLICY_FIELDS, policyRequestOf } from "./policy-routes.ts"
import { acceptRawBodies, rawBodyOf, sendRaw } from "./raw-body.ts"
import { choiceOf, type Fields, fieldsOf, required } from "./request.ts"
import { WITNESS_FIELDS, witnessRequestOf } from "./witness-routes.ts"

const ACTS = ["found", "hold", "renew", "policy", "witness"] as const
const ACT_FIELD = { act: "text" } as const
const FOUND_FIELDS = { name: "text", held: "objects" } as const
const HOLD_FIELDS = { roles: "texts", keys: "texts", threshold: "count" } as const
const ALL_FIELDS = {
  ...ACT_FIELD,
  ...FOUND_FIELDS,
  ...HOLD_FIELDS,
  ...POLICY_FIELDS,
  ...WITNESS_FIELDS,
} as const

/** Adds the routes to a server. */
export function addDraftRoutes(app: FastifyInstance, deps: FleetRouteDeps): void {
  const options = { bodyLimit: PARTIES_BODY_BYTES_MAX }
  app.post("/v1/fleet/key", async (request): Promise<RoleKeyReport> => {
    const { role } = fieldsOf(request.body, { role: "text" })
    const named = required(role, "role")
    return { role: named, key: await deskOf(deps).roleKey(named) }
  })
  app.post("/v1/fleet/draft", options, async (request, reply) => {
    return sendRaw(reply, await deskOf(deps).draft(draftRequestOf(request.body)))
  })
  app.register(async (scope) => {
    acceptRawBodies(scope)
    const limits = { bodyLimit: DRAFT_BYTES_MAX }
    scope.post("/v1/fleet/submit", limits, async (request): Promise<DraftReceipt> => {
      return await deskOf(deps).submit(rawBodyOf(request.body))
    })
  })
}

function draftRequestOf(body: unknown): DraftRequest {
  const act = choiceOf(fieldsOf(body, ALL_FIELDS).act, "act", ACTS)
  switch (act) {
    case "found": {
      const { name, held } = fieldsOf(body, { ...ACT_FIELD, ...FOUND_FIELDS })
      const holders = required(held, "held").map((one) => holdingOf(fieldsOf(one, HOLD_FIELDS)))
      return { act, name: required(name, "name"), held: holders }
    }
    case "hold":
      return { act, ...holdingOf(fieldsOf(body, { ...ACT_FIELD, ...HOLD_FIELDS })) }
    case "renew":
      fieldsOf(body, ACT_FIELD)
      return { act }
    case "policy": {
      const { act: _, ...policy } = fieldsOf(body, { ...ACT_FIELD, ...POLICY_FIELDS })
      return { act, ...policyRequestOf(policy) }
    }
    case "witness": {
      const { act: _, ...witness } = fieldsOf(body, { ...ACT_FIELD, ...WITNESS_FIELDS })
      return { act, ...witnessRequestOf(witness) }
    }
    default:
      return unreachable(act)
  }
}

function holdingOf({ roles, keys, threshold }: Fields<typeof HOLD_FIELDS>): Holding {
  return {
    roles: required(roles, "roles").map(parseHeldRole),
    keys: required(keys, "keys").map(parsePublicKey),
    threshold: required(threshold, "threshold"),
  }
}
