/**
 * What a host should not keep together (docs/threat-model.md, a gate's device and groups' secrets).
 * @module
 */
import type { DeviceKey } from "../fleet/device.ts"
import type { Membership } from "../fleet/fleet.ts"

/**
 * Warns of a host that keeps a device of the gate and the secrets of groups: who takes it over opens,
 * from grants that were recorded, every release to a group. A fleet with one anchor has no other way.
 * @returns lines for people; none: nothing is to be said
 */
export function gateWarnings(
  membership: Membership,
  device: DeviceKey | undefined,
): readonly string[] {
  const members = [...(membership.access()?.list.members.values() ?? [])]
  const anchors = members.filter(({ isAnchor }) => isAnchor)
  const isAnchor = anchors.some(({ peer }) => peer === membership.peer)
  if (device === undefined || !isAnchor || anchors.length < 2) return []
  return [
    "this node keeps a device of the gate and the secrets of groups: whoever takes it over can open " +
      "every release to a group; keep them on two nodes, or set the gate's threshold to 2",
  ]
}
