/**
 * The fleet's files in one piece, for sites that no network reaches,
 * node keys, and the gate's device of this node.
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
import {
  collectNodeKeys,
  NODE_KEYS_BYTES_MAX,
  type NodeKeysReceipt,
  takeNodeKeys,
} from "../fleet/node-key-file.ts"
import { clientSignal } from "./client-signal.ts"
import {
  deskOf,
  type FleetDeps,
  type FleetRouteDeps,
  membershipOf,
  notEnrolled,
} from "./fleet-deps.ts"
import { acceptRawBodies, rawBodyOf, sendRaw } from "./raw-body.ts"
import { choiceOf, fieldsOf, required } from "./request.ts"

/** Other nodes are asked for their keys no longer than this. */
const GATHER_MS_MAX = 30_000

/** Adds the routes to a server. */
export function addFleetFileRoutes(app: FastifyInstance, deps: FleetRouteDeps): void {
  app.register(async (scope) => {
    acceptRawBodies(scope)
    scope.get("/v1/fleet/files", async (_request, reply) => {
      return sendRaw(reply, encodeFleetFiles(await collectFleetFiles(membershipOf(deps))))
    })
    addGateKeyRoutes(scope, deps)
    addNodeKeyRoutes(scope, deps)
    const options = { bodyLimit: FLEET_FILES_BYTES_MAX }
    scope.post("/v1/fleet/files", options, async (request, reply): Promise<FleetReport> => {
      membershipOf(deps)
      const source = sourceOfFiles(parseFleetFiles(rawBodyOf(request.body)))
      await deps.fleet?.takeFiles(source, { signal: clientSignal(reply) })
      return await deskOf(deps).report()
    })
    scope.post("/v1/fleet/join-files", options, async (request, reply): Promise<FleetReport> => {
      const fleet = required(fieldsOf(request.query, { fleet: "text" }).fleet, "fleet")
      const files = parseFleetFiles(rawBodyOf(request.body))
      return await deskOf(deps).joinByFiles(fleet, files, { signal: clientSignal(reply) })
    })
  })
}

/** What nodes without contact have stated, out and in. */
function addNodeKeyRoutes(scope: FastifyInstance, deps: FleetRouteDeps): void {
  scope.get("/v1/fleet/node-keys", async (request, reply) => {
    const { all } = fieldsOf(request.query, { all: "text" })
    const membership = membershipOf(deps)
    const isAll = choiceOf(all ?? "false", "all", ["true", "false"]) === "true"
    const signal = clientSignal(reply)
    const deadline = AbortSignal.timeout(GATHER_MS_MAX)
    const file = await collectNodeKeys(nodeKeysOf(deps), membership, { isAll, signal, deadline })
    return sendRaw(reply, file)
  })
  const options = { bodyLimit: NODE_KEYS_BYTES_MAX }
  scope.post("/v1/fleet/node-keys", options, async (request): Promise<NodeKeysReceipt> => {
    return await takeNodeKeys(nodeKeysOf(deps), membershipOf(deps), rawBodyOf(request.body))
  })
}

function nodeKeysOf({ fleet }: FleetRouteDeps): FleetDeps["nodeKeys"] {
  if (fleet === undefined) throw notEnrolled()
  return fleet.nodeKeys
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
