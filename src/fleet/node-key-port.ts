/**
 * The ports to the keys that things are sealed to: this node's own, those of others, and the secrets
 * of groups (protocol/fleet.md §4, §5).
 * @module
 */
import type { PeerId } from "../net/net.ts"
import type { AgeIdentity } from "../seal/age-key.ts"

/** A node key that another node has stated, and that counts now. */
export interface StatedKey {
  readonly peer: PeerId
  readonly counter: number
  readonly recipient: string
  readonly notAfterMs: number
  /** The envelope as it was signed. */
  readonly statement: Uint8Array
}

/** Node keys of this node and of others. */
export interface NodeKeys {
  /** This node's newest key, made when there is none or it is past two thirds of its life. */
  own(): Promise<StatedKey>
  /** The secrets of this node's keys that have not been erased, newest first. */
  identities(): Promise<readonly AgeIdentity[]>
  /** The newest key that is known of a member; asks it, or other peers, when it is not kept. */
  of(peer: PeerId, options: { signal: AbortSignal }): Promise<StatedKey | undefined>
  /**
   * Looks for the keys of many members at once, so that `of` has them: connected peers are asked in
   * turn for those that are still missing.
   */
  gather(peers: readonly PeerId[], options: { signal: AbortSignal }): Promise<void>
  /**
   * Reads a statement from outside and keeps it if it is the newest.
   * @throws FleetError `NODE_KEY_INVALID`
   */
  accept(statement: Uint8Array): Promise<StatedKey>
}

/** What is sealed to this node's keys and still of use: grants, gate grants (adapters: in `release`). */
export interface LiveGrants {
  /**
   * Opens all that is sealed to a key and seals it anew to the next one. The key is erased only after
   * this has resolved.
   */
  rewrap(from: AgeIdentity, to: StatedKey): Promise<void>
}

/** The secrets of groups' epochs. */
export interface EpochSecrets {
  /**
   * Gives the identity of a group's epoch: kept, opened from a later epoch's chain, or asked of an
   * anchor.
   * @throws FleetError `EPOCH_REFUSED` when no anchor that can be reached gives it
   */
  of(group: string, epoch: number, options: { signal: AbortSignal }): Promise<AgeIdentity>
}

/** By group: the earliest epoch that something may still have to be opened with. */
export type EarliestEpochs = ReadonlyMap<string, number>

/** What the secrets of earlier epochs are still needed for (adapter: `release/epoch-needs.ts`). */
export interface EpochNeeds {
  /**
   * Gives the earliest epochs that are needed. Of a group that is left out only the present one is.
   * @param whose - `own`: by what this node has not opened yet; `all`: by whatever any node may open
   * @throws Error when it cannot be told now: then all are needed
   */
  earliest(whose: "own" | "all", options: { readonly signal: AbortSignal }): Promise<EarliestEpochs>
}
