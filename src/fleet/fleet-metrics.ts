/**
 * What a monitor sees of a node's fleet.
 * @module
 */
import type { Metrics } from "../core/metrics.ts"
import { blockedBy } from "./blocked.ts"
import type { Membership } from "./fleet.ts"
import type { SelfStanding } from "./self-standing.ts"

/** Adds the metrics; they are read when somebody looks. */
export function addFleetMetrics(
  metrics: Metrics,
  node: {
    readonly membership: () => Pick<Membership, "access" | "clockFault" | "heldBack"> | undefined
    readonly self: Pick<SelfStanding, "fault">
  },
): void {
  const access = () => node.membership()?.access()
  metrics.gauge(
    "sealift_fleet_members",
    "Nodes of the access list that counts here; 0: in no fleet.",
    () => access()?.list.members.size ?? 0,
  )
  metrics.gauge(
    "sealift_fleet_list_version",
    "Version of the access list that counts here; 0: none.",
    () => access()?.list.version ?? 0,
  )
  metrics.gauge(
    "sealift_fleet_list_stale",
    "Whether the access list has run out: nothing new is accepted or opened.",
    () => Number(access()?.isStale ?? false),
  )
  metrics.gauge(
    "sealift_fleet_blocked",
    "Reasons for which this node opens, grants and signs nothing; sealift status names them.",
    () => blockedBy({ self: node.self, membership: node.membership() }).length,
  )
}
