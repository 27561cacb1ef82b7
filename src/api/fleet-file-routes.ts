/**
 * The fleet's files in one piece, for sites that no network reaches, and the gate's device of this node.
 * @module
 */
import type { FastifyInstance } from "fastify"
import { DEVICE_BYTES_MAX } from "../fleet/device.ts"
import type { FleetReport } from "../fleet/fleet-desk.ts"
import {
  collectFleetFiles,
  encodeFleetFiles,
  FLEET_FILES_BYTES_MAX,
  parseFleetFiles,
  sourceOfFiles,
} from "../fleet/fleet-files.ts"
import { clientSignal } from "./client-signal.ts"
import { deskOf, type FleetRouteDeps, membershipOf } from "./fleet-deps.ts"
import { acceptRawBodies, rawBodyOf, sendRaw } from "./raw-body.ts"
import { fieldsOf } from "./request.ts"

/** Adds the routes to a server. */
export function addFleetFileRoutes(app: FastifyInstance, deps: FleetRouteDeps): void {
  app.register(async (scope) => {
    acceptRawBodies(scope)
    scope.get("/v1/fleet/files", async (_request, reply) => {
      return sendRaw(reply, encodeFleetFiles(await collectFleetFiles(membershipOf(deps))))
    })
    addGateKeyRoutes(scope, deps)
    const options = { bodyLimit: FLEET_FILES_BYTES_MAX }
    scope.post("/v1/fleet/files", options, async (request, reply): Promise<FleetReport> => {
      membershipOf(deps)
      const source = sourceOfFiles(parseFleetFiles(rawBodyOf(request.body)))
      await deps.fleet?.takeFiles(source, { signal: clientSignal(reply) })
      return await deskOf(deps).report()
    })
  })
}

/** The gate's device of this node; its public file is the answer. */
function addGateKeyRoutes(scope: FastifyInstance, deps: FleetRouteDeps): void {
  scope.post("/v1/fleet/gate-key", async (request, reply) => {
    fieldsOf(request.body, {})
    return sendRaw(reply, await deskOf(deps).gateKey())
  })
  const options = { bodyLimit: DEVICE_BYTES_MAX }
  scope.post("/v1/fleet/gate-key/import", options, async (request, reply) => {
    return sendRaw(reply, await deskOf(deps).takeGateKey(rawBodyOf(request.body)))
  })
}
