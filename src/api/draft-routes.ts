/**
 * Drafts: changes of the fleet that are signed away from this node.
 * @module
 */
import type { FastifyInstance } from "fastify"
import type { DraftReceipt, DraftRequest } from "../fleet/fleet-desk.ts"
import { DRAFT_BYTES_MAX } from "../fleet/role-draft.ts"
import { parseHeldRole } from "../fleet/role-holding.ts"
import { parsePublicKey } from "../trust/public-key.ts"
import type { RoleKeyReport } from "./fleet-api.ts"
import { deskOf, type FleetRouteDeps } from "./fleet-deps.ts"
import { PARTIES_BODY_BYTES_MAX, POLICY_FIELDS, policyRequestOf } from "./policy-routes.ts"
import { acceptRawBodies, rawBodyOf, sendRaw } from "./raw-body.ts"
import { choiceOf, fieldsOf, required } from "./request.ts"
import { WITNESS_FIELDS, witnessRequestOf } from "./witness-routes.ts"

const ACTS = ["hold", "renew", "policy", "witness"] as const
const HOLD_FIELDS = { act: "text", roles: "texts", keys: "texts", threshold: "count" } as const

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
  const named = fieldsOf(body, { ...HOLD_FIELDS, ...POLICY_FIELDS, ...WITNESS_FIELDS })
  const act = choiceOf(named.act, "act", ACTS)
  if (act === "policy") {
    const { act: _, ...policy } = fieldsOf(body, { act: "text", ...POLICY_FIELDS })
    return { act, ...policyRequestOf(policy) }
  }
  if (act === "witness") {
    const { act: _, ...witness } = fieldsOf(body, { act: "text", ...WITNESS_FIELDS })
    return { act, ...witnessRequestOf(witness) }
  }
  const { roles, keys, threshold } = fieldsOf(body, HOLD_FIELDS)
  if (act === "renew") return { act }
  return {
    act,
    roles: required(roles, "roles").map(parseHeldRole),
    keys: required(keys, "keys").map(parsePublicKey),
    threshold: required(threshold, "threshold"),
  }
}
