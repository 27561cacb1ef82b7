/**
 * Setting a policy: the targets role signs it, and names who signs the namespace's releases
 * (protocol/policy.md §5).
 * @module
 */
import { digestOf } from "../core/digest.ts"
import { isName } from "../core/name.ts"
import { countingDevices, type Policy, parsePolicy } from "../trust/policy.ts"
import { releasesRole } from "../trust/tuf/fleet-role.ts"
import type { TargetsChange } from "../trust/tuf/tuf-author.ts"
import { FleetError } from "./errors.ts"
import type { Base, Prepare, SignedAct } from "./fleet-author.ts"
import type { PolicyReceipt, PolicyRequest } from "./fleet-desk.ts"
import type { GateDeviceHolder } from "./gate-device.ts"
import { encodePolicy, type Holder, holderOf, isSamePolicy } from "./policy-draft.ts"
import { policyPath } from "./policy-shelf.ts"
import type { RoleRing } from "./role-ring.ts"

/** What the act works with. */
export interface PolicyActDeps {
  readonly gate: Pick<GateDeviceHolder, "make">
  readonly ring: RoleRing
  /** The fleet id. */
  readonly fleet: string
}

/**
 * Prepares the policy of a namespace. The role of its releases is made with its first one. What says the
 * same as before signs nothing.
 * @throws TrustError `POLICY_INVALID`, `POLICY_KEY_SHARED`; FleetError `ROLE_KEY_MISSING`
 */
export function settingPolicy(
  { gate, ring, fleet }: PolicyActDeps,
  request: PolicyRequest,
): SignedAct<PolicyReceipt> {
  const { namespace } = request
  if (!isName(namespace)) {
    const shown = JSON.stringify(namespace.slice(0, 80))
    throw new FleetError("FLEET_REQUEST_INVALID", `${shown} is no namespace`)
  }
  let file: Uint8Array = new Uint8Array()
  const prepare: Prepare = async (base) => {
    // Whoever cannot sign it makes no keys for it.
    await base.signersOf("targets")
    const known = await base.read(policyPath(namespace))
    const before = known && parsePolicy(known, { fleet, namespace })
    const terms = { ...request, gate: request.gate ?? (await gateOf(before, gate)) }
    const isSame = before !== undefined && isSamePolicy(terms, before)
    file = isSame && known !== undefined ? known : encodePolicy(terms, fleet, before)
    parsePolicy(file, { fleet, namespace })
    if (isSame) return undefined
    const add = new Map([[policyPath(namespace), file]])
    return base.sign("targets", { add, ...(await delegationFor(namespace, base, ring)) })
  }
  return { prepare, receipt: () => receiptOf(file, parsePolicy(file, { fleet, namespace })) }
}

/** The keepers that are named already, or this node alone. */
async function gateOf(before: Policy | undefined, own: PolicyActDeps["gate"]): Promise<Holder> {
  if (before?.gate !== undefined) return holderOf(before.gate)
  return { threshold: 1, devices: [await own.make()] }
}

async function delegationFor(
  namespace: string,
  { repository }: Base,
  ring: RoleRing,
): Promise<Pick<TargetsChange, "delegate">> {
  const role = releasesRole(namespace)
  if (Object.hasOwn(repository.targets.signed.delegations?.roles ?? {}, role)) return {}
  const { publicKey } = await ring.make(role)
  return { delegate: new Map([[role, { keys: [publicKey], threshold: 1 }]]) }
}

function receiptOf(file: Uint8Array, { namespace, version, parties, gate }: Policy): PolicyReceipt {
  return {
    namespace,
    version,
    digest: digestOf(file),
    parties: parties.map(({ name }) => name),
    gateDevices: gate === undefined ? 0 : countingDevices(gate).length,
  }
}
