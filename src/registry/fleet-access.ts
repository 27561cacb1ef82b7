/**
 * The rights on the wire, as the fleet's access list gives them (adapter of {@link RegistryAccess} over
 * the port `Fleet`; the swarm and delivery are given the same).
 * @module
 */
import type { Member } from "../fleet/access-list.ts"
import { may } from "../fleet/access-rule.ts"
import type { Fleet } from "../fleet/fleet.ts"
import type { RegistryAccess } from "./rights.ts"

/** A node of which nothing is known but that it belongs: it may what all may. */
const ANYBODY: Member = { peer: "", groups: [], labels: {}, isAnchor: false, minCounter: 0 }
const ANYBODY_ALONE: ReadonlyMap<string, Member> = new Map([[ANYBODY.peer, ANYBODY]])
const NOBODY: ReadonlySet<string> = new Set()

/** Makes the adapter; a node may join a fleet while it runs. */
export function createFleetAccess(fleet: Pick<Fleet, "membership" | "may">): RegistryAccess {
  return {
    isFleet: () => fleet.membership !== undefined,
    fleetId: () => fleet.membership?.fleet,
    may: (peer, verb, where) => fleet.may(peer, verb, where),
    mayAll(verb, where) {
      if (fleet.membership === undefined) return true
      const access = fleet.membership.access()
      if (access === undefined || access.isStale) return false
      const list = { ...access.list, members: ANYBODY_ALONE, revoked: NOBODY }
      return may(list, ANYBODY.peer, verb, where)
    },
    nodes() {
      const list = fleet.membership?.access()?.list
      if (list === undefined) return []
      return [...list.members.keys()].filter((peer) => !list.revoked.has(peer))
    },
  }
}
