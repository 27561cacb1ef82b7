/**
 * What a node shows of its fleet.
 * @module
 */
import type { PeerNetwork } from "../net/net.ts"
import { livesOf, signersOfRole } from "../trust/tuf/role-holders.ts"
import { textOfRule } from "./access-rule.ts"
import { fingerprintOf } from "./fingerprint.ts"
import { isMember } from "./fleet.ts"
import type { FleetReport } from "./fleet-desk.ts"
import type { FleetMember } from "./fleet-member.ts"
import type { GateDeviceHolder } from "./gate-device.ts"
import { gateWarnings } from "./gate-warning.ts"
import { HELD_ROLES } from "./role-holding.ts"
import { warningOf } from "./role-renewal.ts"
import type { RoleRing } from "./role-ring.ts"

/** What else is looked at. */
export interface ReportView {
  readonly net: Pick<PeerNetwork, "peer">
  readonly gate: Pick<GateDeviceHolder, "look">
}

/** Gives what is known of the fleet now. */
export async function reportOf(
  member: FleetMember,
  ring: RoleRing,
  { net, gate }: ReportView,
): Promise<FleetReport> {
  const device = await gate.look()
  const { fleet, name, peer } = member
  const access = member.access()
  const nodes = [...(access?.list.members.values() ?? [])]
  const sizeOf = (group: string) => nodes.filter(({ groups }) => groups.includes(group)).length
  return {
    ...{ fleet, name, peer },
    fingerprint: fingerprintOf(fleet, peer),
    accessVersion: access?.list.version ?? 0,
    isStale: access?.isStale ?? true,
    isEnrolled: isMember(member, peer),
    roles: await ring.roles(),
    holders: await Promise.all(HELD_ROLES.map((role) => holdersOf(role, member, ring))),
    nodes: nodes.map(({ minCounter: _, ...node }) => {
      return { ...node, isConnected: node.peer === peer || net.peer(node.peer) !== undefined }
    }),
    groups: [...(access?.list.groups.values() ?? [])].map((group) => {
      return { name: group.name, epoch: group.epoch, size: sizeOf(group.name) }
    }),
    rules: (access?.list.rules ?? []).map(textOfRule),
    revoked: [...(access?.list.revoked ?? [])],
    lifetimes: livesOf(member.accepted ?? new Map()).map(({ role, expiresAtMs }) => {
      const warning = warningOf(role, expiresAtMs, member.nowMs())
      return { role, expiresAtMs, ...(warning === undefined ? {} : { warning }) }
    }),
    ...(device !== undefined && { gateDevice: device.key }),
    warnings: await gateWarnings(member, device),
  }
}

async function holdersOf(
  role: string,
  member: FleetMember,
  ring: RoleRing,
): Promise<FleetReport["holders"][number]> {
  const none = { keys: [], threshold: 1 }
  const { keys, threshold } = signersOfRole(member.accepted ?? new Map(), role) ?? none
  return { role, threshold, keys, here: (await ring.among(role, keys)).length }
}
