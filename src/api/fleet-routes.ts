/**
 * The fleet: belonging to one, and the acts of its operator.
 * @module
 */
import type { FastifyInstance } from "fastify"
import type {
  FleetReceipt,
  FleetReport,
  InviteReceipt,
  RotationReceipt,
} from "../fleet/fleet-desk.ts"
import { clientSignal } from "./client-signal.ts"
import { deskOf, type FleetRouteDeps } from "./fleet-deps.ts"
import { choiceOf, fieldsOf, required } from "./request.ts"

const INVITE_LIFE_MS = 60 * 60 * 1000

/** Adds the routes to a server. */
export function addFleetRoutes(app: FastifyInstance, deps: FleetRouteDeps): void {
  app.get("/v1/fleet", async (): Promise<FleetReport> => deskOf(deps).report())
  app.post("/v1/fleet/init", async (request): Promise<FleetReport> => {
    const { name } = fieldsOf(request.body, { name: "text" })
    return await deskOf(deps).init({ name: required(name, "name") })
  })
  app.post("/v1/fleet/join", async (request, reply): Promise<FleetReport> => {
    const { token } = fieldsOf(request.body, { token: "link" })
    return await deskOf(deps).join(required(token, "token"), { signal: clientSignal(reply) })
  })
  app.post("/v1/fleet/renew", async (request): Promise<FleetReceipt> => {
    fieldsOf(request.body, {})
    return await deskOf(deps).renew()
  })
  app.post("/v1/fleet/rotate", async (request): Promise<RotationReceipt> => {
    const { role, isLost } = fieldsOf(request.body, { role: "text", isLost: "boolean" })
    return await deskOf(deps).rotate(required(role, "role"), { isLost })
  })
  app.post("/v1/fleet/desk", async (request): Promise<FleetReceipt> => {
    fieldsOf(request.body, {})
    return await deskOf(deps).takeDesk()
  })
  addMemberRoutes(app, deps)
}

function addMemberRoutes(app: FastifyInstance, deps: FleetRouteDeps): void {
  app.post("/v1/fleet/invite", async (request): Promise<InviteReceipt> => {
    const types = { group: "text", labels: "labels", lifeMs: "count" } as const
    const { lifeMs = INVITE_LIFE_MS, ...rest } = fieldsOf(request.body, types)
    return await deskOf(deps).invite({ ...rest, lifeMs })
  })
  app.post("/v1/fleet/admit", async (request): Promise<FleetReceipt> => {
    const types = { peer: "text", groups: "texts", labels: "labels", isAnchor: "boolean" } as const
    const { peer, groups = [], labels = {}, ...rest } = fieldsOf(request.body, types)
    return await deskOf(deps).admit({ peer: required(peer, "peer"), groups, labels, ...rest })
  })
  app.post("/v1/fleet/revoke", async (request): Promise<FleetReceipt> => {
    const { peers } = fieldsOf(request.body, { peers: "texts" })
    return await deskOf(deps).revoke(required(peers, "peers"))
  })
  app.post("/v1/fleet/group", async (request): Promise<FleetReceipt> => {
    const types = { action: "text", group: "text", peers: "texts" } as const
    const fields = fieldsOf(request.body, types)
    const action = choiceOf(fields.action, "action", ["add", "remove"])
    const group = required(fields.group, "group")
    const peers = required(fields.peers, "peers")
    const desk = deskOf(deps)
    return action === "add"
      ? await desk.addToGroup(group, peers)
      : await desk.removeFromGroup(group, peers)
  })
  app.post("/v1/fleet/rule", async (request): Promise<FleetReceipt> => {
    const types = { action: "text", who: "text", verbs: "texts", where: "texts" } as const
    const fields = fieldsOf(request.body, types)
    const action = choiceOf(fields.action, "action", ["add", "remove"])
    const rule = {
      who: required(fields.who, "who"),
      verbs: required(fields.verbs, "verbs"),
      where: required(fields.where, "where"),
    }
    const desk = deskOf(deps)
    return action === "add" ? await desk.addRule(rule) : await desk.removeRule(rule)
  })
}
