/**
 * The fleet's files in one piece, for sites that no network reaches.
 * @module
 */
import type { FastifyInstance } from "fastify"
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

/** Adds the routes to a server. */
export function addFleetFileRoutes(app: FastifyInstance, deps: FleetRouteDeps): void {
  app.register(async (scope) => {
    acceptRawBodies(scope)
    scope.get("/v1/fleet/files", async (_request, reply) => {
      return sendRaw(reply, encodeFleetFiles(await collectFleetFiles(membershipOf(deps))))
    })
    const options = { bodyLimit: FLEET_FILES_BYTES_MAX }
    scope.post("/v1/fleet/files", options, async (request, reply): Promise<FleetReport> => {
      membershipOf(deps)
      const source = sourceOfFiles(parseFleetFiles(rawBodyOf(request.body)))
      await deps.fleet?.takeFiles(source, { signal: clientSignal(reply) })
      return await deskOf(deps).report()
    })
  })
}
