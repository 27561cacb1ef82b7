/**
 * The port to the fleet of a node: who belongs to it, what each may do, and what is newest
 * (adapter: `fleet-member.ts`, protocol/fleet.md). Without a fleet a node is a mirror that believes
 * its configuration.
 * @module
 */
import type { Digest } from "../core/digest.ts"
import type { PeerId } from "../net/net.ts"
import type { Policy } from "../trust/policy.ts"
import type { PublicKey } from "../trust/public-key.ts"
import type { AcceptedTarget, SignedTarget } from "../trust/tuf/tuf-client.ts"
import type { TufSource } from "../trust/tuf/tuf-source.ts"
import type { WitnessList } from "../trust/witness-list.ts"
import type { AccessList } from "./access-list.ts"
import type { Verb } from "./access-rule.ts"
import type { HeldBack, Unheard } from "./beacon-judge.ts"
import type { ClockFault } from "./trusted-time.ts"

/** The access list that counts. */
export interface CurrentAccess {
  readonly list: AccessList
  /** True once it, or what says that it is the newest, has expired: nothing new is begun by it. */
  readonly isStale: boolean
}

/** The policy of a namespace that counts. */
export interface CurrentPolicy {
  readonly policy: Policy
  /** Of the file. */
  readonly digest: Digest
  readonly isStale: boolean
}

/** Who signs for a role of the fleet. */
export interface RoleHolders {
  readonly keys: ReadonlySet<PublicKey>
  readonly threshold: number
}

/** A node's place in its fleet. */
export interface Membership {
  /** The fleet id: 64 lower-case hex digits. */
  readonly fleet: string
  /** What the operator calls it; no meaning. */
  readonly name: string
  /** This node. */
  readonly peer: PeerId
  /** Undefined before the first list. */
  access(): CurrentAccess | undefined
  /** @returns undefined when the namespace has none */
  policy(namespace: string): Promise<CurrentPolicy | undefined>
  /** Those that are named; undefined: none, or by a list that is refused. */
  witnesses(): WitnessList | undefined
  /** Who signs for `targets`, `access`, `plan` or `releases.NAMESPACE`. */
  roleHolders(role: string): RoleHolders | undefined
  /** Every target file that is signed now. */
  targets(): readonly SignedTarget[]
  /** Reads a target file: from what is kept, else from peers. */
  readTarget(path: string, options?: { signal?: AbortSignal }): Promise<AcceptedTarget | undefined>
  /** All accepted files, under their names in a repository (protocol/tuf-profile.md §4). */
  readonly source: TufSource
  /** Trusted time, milliseconds since 1970. */
  nowMs(): number
  /** Why no time is to be trusted now: all is stale then. Undefined: the time is trusted. */
  clockFault(): ClockFault | undefined
  /** Whether enough witnesses are known to have something newer: all is stale then. */
  heldBack(): HeldBack | undefined
  /** Whether too few of them are heard for knowing that; nothing follows from it. */
  unheard(): Unheard | undefined
}

/** The fleet of a node, which it may join while it runs. */
export interface Fleet {
  /** Undefined: this node is in none. */
  readonly membership: Membership | undefined
  /** Whether a peer may be connected to. Without a fleet everybody may. */
  isAdmitted(peer: PeerId): boolean
  /** Decides by the newest list (protocol/fleet.md §5, deciding). Without a fleet everybody may. */
  may(peer: PeerId, verb: Verb, where: string): boolean
  /** Called after a join, and after each newer accepted set; connections are cut before that. */
  onChange(listener: () => void): () => void
}

/** Whether the newest list names a node. Without a fleet, or before the first list, it names nobody. */
export function isMember(
  membership: Pick<Membership, "access"> | undefined,
  peer: PeerId,
): boolean {
  return membership?.access()?.list.members.has(peer) === true
}
