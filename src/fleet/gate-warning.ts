/**
 * What a host should not keep together, and what should not hang on one host (docs/threat-model.md, a
 * gate's device and groups' secrets).
 * @module
 */
import { countingDevices, type Policy } from "../trust/policy.ts"
import type { DevicePublic } from "./device.ts"
import type { Membership } from "./fleet.ts"
import { namespaceOfPolicy } from "./policy-shelf.ts"

/** What warnings are found by. */
export type GateView = Pick<Membership, "access" | "peer" | "policy" | "targets">

/**
 * Warns of an anchor that keeps a device of the gate, of which one is enough, and the secrets of
 * groups: who takes it over opens, from grants that were recorded, every release to a group. Warns too
 * of a gate that is lost with one host. A fleet with one anchor has no other way.
 * @param device - of this node
 * @returns lines for people; none: nothing is to be said
 */
export async function gateWarnings(
  membership: GateView,
  device: Pick<DevicePublic, "key"> | undefined,
): Promise<readonly string[]> {
  const members = [...(membership.access()?.list.members.values() ?? [])]
  const anchors = members.filter(({ isAnchor }) => isAnchor)
  if (anchors.length < 2 || !anchors.some(({ peer }) => peer === membership.peer)) return []
  const policies = await policiesOf(membership)
  const alone = policies.filter((policy) => isEnough(policy, device))
  const single = policies.filter(({ gate }) => gate && countingDevices(gate).length === 1)
  return [
    ...(alone.length === 0
      ? []
      : [
          `this node keeps a device of the gate, of which ${namesOf(alone)} needs no other, and the ` +
            "secrets of groups: whoever takes it over can open every release to a group; keep them on " +
            'two nodes, or have two keepers asked ("sealift fleet policy set … --threshold gate=2")',
        ]),
    ...(single.length === 0
      ? []
      : [
          `the gate of ${namesOf(single)} has one device: without it nothing opens that is not open ` +
            'yet; "sealift gate key" gives another anchor one, and "party init gate-keeper" makes one ' +
            "to keep apart",
        ]),
  ]
}

function isEnough({ gate }: Policy, device: Pick<DevicePublic, "key"> | undefined): boolean {
  if (gate === undefined || gate.threshold > 1) return false
  return countingDevices(gate).some(({ key }) => key === device?.key)
}

async function policiesOf(membership: GateView): Promise<readonly Policy[]> {
  const found: Policy[] = []
  for (const { path } of membership.targets()) {
    const namespace = namespaceOfPolicy(path)
    const current = namespace && (await membership.policy(namespace))
    if (current) found.push(current.policy)
  }
  return found
}

function namesOf(policies: readonly Policy[]): string {
  return policies.map(({ namespace }) => namespace).join(", ")
}
