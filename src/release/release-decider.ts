/**
 * Decides about releases by what is kept and the policy of the day, and remembers what was found
 * (protocol/release.md §5, deciding).
 * @module
 */
import type { Membership } from "../fleet/fleet.ts"
import { verifyRelease } from "../seal/sealed-release.ts"
import type { PublicKey } from "../trust/public-key.ts"
import { decideRelease, type Evidence, type Standpoint } from "./counting.ts"
import type { Decision } from "./decision.ts"
import type { ReleaseEntry, ReleaseShelf } from "./release-shelf.ts"

export interface ReleaseDeciderDeps {
  readonly membership: Membership
  readonly shelf: ReleaseShelf
}

/** The decisions of one node. One at a time: it writes down what it finds. */
export class ReleaseDecider {
  readonly #deps: ReleaseDeciderDeps

  constructor(deps: ReleaseDeciderDeps) {
    this.#deps = deps
  }

  /** @throws SealError `FILE_KEY_CONFLICT` when another release of its files was approved meanwhile */
  async decide(entry: ReleaseEntry): Promise<Decision> {
    const { release, memory } = entry
    // A withdrawal is for ever, whatever becomes of the devices that signed it.
    if (memory.withdrawn !== undefined) return { kind: "withdrawn", ...memory.withdrawn }
    const standpoint = await this.standpoint(entry)
    if (standpoint === undefined) return { kind: "policy-not-current" }
    const decision = decideRelease(release, evidenceOf(entry), standpoint)
    if (decision.kind === "withdrawn") {
      const { by, reason } = decision
      await this.#deps.shelf.remember(entry, { ...memory, withdrawn: { by, reason } })
    }
    if (decision.kind === "approved") {
      // Nothing new is begun by a policy that has run out; it may not be the newest any more.
      if (standpoint.isStale && memory.approved === undefined) return { kind: "policy-not-current" }
      return await this.#approve(entry, decision.devices)
    }
    const { approved } = memory
    // An approval is remembered too; that the policy has the release openable is asked each time.
    if (decision.kind !== "missing" || approved === undefined) return decision
    return { kind: "approved", devices: new Set(approved) }
  }

  /** @returns undefined when the namespace has no policy now */
  async standpoint({
    release,
    memory,
  }: ReleaseEntry): Promise<(Standpoint & { readonly isStale: boolean }) | undefined> {
    const { membership } = this.#deps
    const current = await membership.policy(release.said.asset.namespace)
    if (current === undefined) return undefined
    return {
      isStale: current.isStale,
      policy: current.policy,
      policyDigest: current.digest,
      targetsKeys: targetsKeysOf(membership),
      nowMs: membership.nowMs(),
      wasAccepted: memory.wasAccepted,
    }
  }

  async #approve(entry: ReleaseEntry, devices: ReadonlySet<PublicKey>): Promise<Decision> {
    const { release, memory } = entry
    const { asset, content } = release.said
    const { shelf } = this.#deps
    if (memory.approved === undefined && content.visibility === "sealed") {
      verifyRelease(content.sealed, shelf.fileKeys(asset.namespace))
    }
    const all = new Set([...(memory.approved ?? []), ...devices])
    if (all.size > (memory.approved?.length ?? -1)) {
      await shelf.remember(entry, { ...memory, approved: [...all] })
    }
    return { kind: "approved", devices: all }
  }
}

/** Gives the keys of the targets role, which may withdraw. */
export function targetsKeysOf(membership: Pick<Membership, "roleHolders">): ReadonlySet<PublicKey> {
  return membership.roleHolders("targets")?.keys ?? new Set()
}

function evidenceOf({ approvals, withdrawals }: ReleaseEntry): Evidence {
  return {
    approvals: [...approvals.values()].map(({ approval }) => approval),
    withdrawals: [...withdrawals.values()].map(({ said }) => said),
  }
}
