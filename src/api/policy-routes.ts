/**
 * Policies: whose approval the releases of a namespace need.
 * @module
 */
import type { FastifyInstance } from "fastify"
import type { PolicyReceipt, PolicyRequest } from "../fleet/fleet-desk.ts"
import { ReleaseError } from "../release/errors.ts"
import type { Party } from "../trust/policy.ts"
import { ApiError } from "./errors.ts"
import type { PartyReport, PolicyReport } from "./fleet-api.ts"
import { deskOf, type FleetRouteDeps, membershipOf } from "./fleet-deps.ts"
import { differenceOf, gateOf, type PartyWish, partiesOf } from "./policy-request.ts"
import { type Fields, fieldsOf, required } from "./request.ts"

/** Sixteen parties of sixteen devices: files of 3 KiB, in base64. */
export const PARTIES_BODY_BYTES_MAX: number = 2 * 1024 * 1024
/** Fields of a policy that is to be set. */
export const POLICY_FIELDS = {
  namespace: "text",
  parties: "objects",
  gate: "object",
  inspectors: "links",
  allowsClassical: "boolean",
  allowsNoGate: "boolean",
  keepsOpenable: "boolean",
} as const

/** Adds the routes to a server. */
export function addPolicyRoutes(app: FastifyInstance, deps: FleetRouteDeps): void {
  app.get("/v1/fleet/policy", async (request): Promise<PolicyReport> => {
    const { namespace } = fieldsOf(request.query, { namespace: "text" })
    return await policyReport(deps, required(namespace, "namespace"))
  })
  const options = { bodyLimit: PARTIES_BODY_BYTES_MAX }
  app.post("/v1/fleet/policy", options, async (request): Promise<PolicyReceipt> => {
    return await deskOf(deps).setPolicy(policyRequestOf(fieldsOf(request.body, POLICY_FIELDS)))
  })
}

/** Reads what is asked of a policy. @throws ApiError `REQUEST_INVALID`; FleetError `DEVICE_INVALID` */
export function policyRequestOf(fields: Fields<typeof POLICY_FIELDS>): PolicyRequest {
  const { namespace, parties, gate, ...rest } = fields
  return {
    ...rest,
    namespace: required(namespace, "namespace"),
    parties: partiesOf(required(parties, "parties")),
    ...(gate === undefined ? {} : { gate: gateOf(gate)! }),
  }
}

/**
 * Sees to it that a namespace has a policy of just these parties; one that it has is never changed.
 * @returns what was written; undefined when it had one
 * @throws ApiError `POLICY_MISMATCH`; FleetError `ROLE_KEY_MISSING`
 */
export async function ensureParties(
  deps: FleetRouteDeps,
  namespace: string,
  parties: readonly PartyWish[],
): Promise<PolicyReceipt | undefined> {
  const current = await membershipOf(deps).policy(namespace)
  if (current === undefined) return await deskOf(deps).setPolicy({ namespace, parties })
  const difference = differenceOf(current.policy, parties)
  if (difference === undefined) return undefined
  const { version } = current.policy
  throw new ApiError(
    "POLICY_MISMATCH",
    `policy ${version} of ${namespace} is another than these parties: ${difference}; leave --party out, or change it by "sealift fleet policy set ${namespace}"`,
    { details: { namespace, version } },
  )
}

async function policyReport(deps: FleetRouteDeps, namespace: string): Promise<PolicyReport> {
  const current = await membershipOf(deps).policy(namespace)
  if (current === undefined) {
    const shown = JSON.stringify(namespace.slice(0, 80))
    const message = `the namespace ${shown} has no policy; "sealift fleet policy set" writes one`
    throw new ReleaseError("POLICY_MISSING", message, { details: { namespace } })
  }
  const { policy, digest, isStale } = current
  const { parties, gate, inspectors, allowsClassical, allowsNoGate, openable, version } = policy
  return {
    ...{ namespace: policy.namespace, version, digest, isStale },
    parties: parties.map(partyReport),
    ...(gate === undefined ? {} : { gate: partyReport(gate) }),
    ...{ inspectors, allowsClassical, allowsNoGate, openable },
  }
}

function partyReport({ name, threshold, devices }: Party): PartyReport {
  return {
    name,
    threshold,
    devices: devices.map(({ key, recipient, state }) => ({ key, recipient, state })),
  }
}
