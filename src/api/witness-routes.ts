/**
 * The witnesses of the fleet: naming them, and who they are.
 * @module
 */
import type { FastifyInstance } from "fastify"
import { noWitnesses } from "../audit/errors.ts"
import { digestOf } from "../core/digest.ts"
import { isMember } from "../fleet/fleet.ts"
import type { WitnessReceipt, WitnessRequest } from "../fleet/fleet-desk.ts"
import type { PeerNetwork } from "../net/net.ts"
import { parsePublicKey } from "../trust/public-key.ts"
import { WITNESSES_PATH } from "../trust/witness-list.ts"
import type { WitnessesReport, WitnessKeyReport } from "./fleet-api.ts"
import { deskOf, type FleetRouteDeps, membershipOf } from "./fleet-deps.ts"
import { type Fields, fieldsOf, required } from "./request.ts"

/** Fields of a request that names witnesses. */
export const WITNESS_FIELDS = { nodes: "texts", threshold: "count" } as const

type WitnessRouteDeps = FleetRouteDeps & { readonly net: Pick<PeerNetwork, "peer"> }

/** Adds the routes to a server. */
export function addWitnessRoutes(app: FastifyInstance, deps: WitnessRouteDeps): void {
  app.get("/v1/fleet/witness", async (): Promise<WitnessesReport> => witnessesReport(deps))
  app.post("/v1/fleet/witness", async (request): Promise<WitnessReceipt> => {
    const fields = fieldsOf(request.body, WITNESS_FIELDS)
    return await deskOf(deps).setWitnesses(witnessRequestOf(fields))
  })
  app.post("/v1/fleet/witness/key", async (request): Promise<WitnessKeyReport> => {
    fieldsOf(request.body, {})
    const key = await deskOf(deps).witnessKey()
    return { peer: membershipOf(deps).peer, key }
  })
}

/** Reads what is asked of the witnesses. @throws ApiError `REQUEST_INVALID`; TrustError `KEY_MALFORMED` */
export function witnessRequestOf({
  nodes,
  threshold,
}: Fields<typeof WITNESS_FIELDS>): WitnessRequest {
  const named = required(nodes, "nodes").map((text) => {
    const at = text.indexOf("=")
    if (at < 0) return { peer: text }
    return { peer: text.slice(0, at), key: parsePublicKey(text.slice(at + 1)) }
  })
  return { nodes: named, threshold }
}

async function witnessesReport(deps: WitnessRouteDeps): Promise<WitnessesReport> {
  const membership = membershipOf(deps)
  // One that is signed and refused here names nobody.
  const list = membership.witnesses()
  const target = await membership.readTarget(WITNESSES_PATH)
  if (list === undefined || target === undefined) throw noWitnesses()
  const { version, threshold, faultyMax, witnesses } = list
  return {
    ...{ version, digest: digestOf(target.bytes), isStale: target.isStale, threshold, faultyMax },
    witnesses: witnesses.map(({ peer, key }) => ({
      ...{ peer, key },
      isEnrolled: isMember(membership, peer),
      isConnected: peer === membership.peer || deps.net.peer(peer) !== undefined,
    })),
  }
}
