/**
 * What an operator does with the access list: admit, revoke, groups (protocol/fleet.md §5).
 * @module
 */
import { CodedError, messageOf } from "../core/errors.ts"
import { isPeerId } from "../core/name.ts"
import type { PeerId } from "../net/net.ts"
import { type EditAccess, withNextEpochs } from "./access-author.ts"
import {
  memberIn,
  verifyGroupName,
  withMember,
  withoutGroup,
  withoutMembers,
} from "./access-draft.ts"
import type { Labels } from "./access-field.ts"
import { FleetError } from "./errors.ts"
import { publicKeyOfPeer } from "./peer-signer.ts"

/** A group goes to its next epoch at least every 30 days (protocol/fleet.md §5). */
const EPOCH_LIFE_MS: number = 28 * 86_400_000

/** A node that is let in. */
export interface Admission {
  readonly peer: PeerId
  readonly groups: readonly string[]
  readonly labels: Labels
  readonly isAnchor?: boolean
}

/**
 * Lets a node in, or gives one that is in more groups and labels. One that was revoked is in again.
 * @throws FleetError `PEER_INVALID`, `GROUP_UNKNOWN`
 */
export function admitting({ peer, groups, labels, isAnchor = false }: Admission): EditAccess {
  verifyPeer(peer)
  for (const name of groups) verifyGroupName(name)
  return async ({ list, nextEpoch }) => {
    const missing = groups.filter((name) => !list.groups.has(name))
    const draft = await withNextEpochs(list, missing, nextEpoch)
    return withMember(draft, { peer, groups, labels, isAnchor })
  }
}

/** Revokes nodes: every group that one of them was in goes to its next epoch. */
export function revoking(peers: readonly PeerId[], self: PeerId): EditAccess {
  for (const peer of peers) verifyPeer(peer)
  if (peers.includes(self)) {
    throw new FleetError("FLEET_REQUEST_INVALID", "a node does not revoke itself")
  }
  return async ({ list, nextEpoch }) => {
    const left = peers.flatMap((peer) => list.members.get(peer)?.groups ?? [])
    return withNextEpochs(withoutMembers(list, peers), left, nextEpoch)
  }
}

/** Puts nodes into a group, which is made when there is none. */
export function addingTo(group: string, peers: readonly PeerId[]): EditAccess {
  verifyGroupName(group)
  return async ({ list, nextEpoch }) => {
    let draft = await withNextEpochs(list, list.groups.has(group) ? [] : [group], nextEpoch)
    for (const peer of peers)
      draft = withMember(draft, { ...memberIn(draft, peer), groups: [group] })
    return draft
  }
}

/** Takes nodes out of a group, which goes to its next epoch. @throws FleetError `GROUP_UNKNOWN` */
export function removingFrom(group: string, peers: readonly PeerId[]): EditAccess {
  verifyGroupName(group)
  return async ({ list, nextEpoch }) => {
    if (!list.groups.has(group)) {
      throw new FleetError("GROUP_UNKNOWN", `the fleet has no group ${group}`, {
        details: { group },
      })
    }
    const left = peers.filter((peer) => memberIn(list, peer).groups.includes(group))
    const draft = withoutGroup(list, group, left)
    return withNextEpochs(draft, left.length > 0 ? [group] : [], nextEpoch)
  }
}

/** Gives groups whose epoch has lasted long enough their next one. */
export function renewingEpochs(nowMs: number): EditAccess {
  return ({ list, nextEpoch }) =>
    withNextEpochs(list, oldEpochs(list.groups.values(), nowMs), nextEpoch)
}

/** Gives the groups whose epoch has lasted long enough. */
export function oldEpochs(
  groups: Iterable<{ readonly name: string; readonly sinceMs: number }>,
  nowMs: number,
): readonly string[] {
  return [...groups]
    .filter(({ sinceMs }) => nowMs - sinceMs >= EPOCH_LIFE_MS)
    .map(({ name }) => name)
}

/** protocol/fleet.md §4: the key in a peer id is looked at by who admits it. */
function verifyPeer(peer: PeerId): void {
  const details = { peer }
  if (!isPeerId(peer)) {
    const message = `${JSON.stringify(peer.slice(0, 80))} is no peer id of an Ed25519 key`
    throw new FleetError("PEER_INVALID", message, { details })
  }
  try {
    publicKeyOfPeer(peer)
  } catch (cause) {
    if (!(cause instanceof CodedError)) throw cause
    throw new FleetError("PEER_INVALID", `${peer}: ${messageOf(cause)}`, { cause, details })
  }
}
