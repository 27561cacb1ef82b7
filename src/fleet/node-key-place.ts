/**
 * The keys of a node in its fleet, and which of them count by the newest access list
 * (protocol/fleet.md §5, reading a node key).
 * @module
 */
import type { Logger } from "../core/log.ts"
import type { PeerId, PeerNetwork } from "../net/net.ts"
import type { Kv } from "../store/kv.ts"
import type { Member } from "./access-list.ts"
import type { Membership } from "./fleet.ts"
import {
  invalidNodeKey,
  type NodeKey,
  parseNodeKey,
  verifyNodeKeyCounts,
  verifySealsTo,
} from "./node-key.ts"
import { NodeKeyBook } from "./node-key-book.ts"
import { isFresh, NodeKeyRing, type RingOptions } from "./node-key-ring.ts"
import { peerSigner } from "./peer-signer.ts"

/** Keys, and the fleet that they are of. */
export interface KeyPlace {
  readonly membership: Membership
  /** This node's own. */
  readonly ring: NodeKeyRing
  /** Those of others; of this node the one with the highest counter that others told of. */
  readonly book: NodeKeyBook
}

/** Reads what is kept of a fleet's keys. */
export async function openPlace(
  deps: { readonly net: PeerNetwork; readonly kv: Kv; readonly log: Logger },
  options: RingOptions,
): Promise<Omit<KeyPlace, "membership">> {
  const { net, kv, log } = deps
  return {
    ring: await NodeKeyRing.open({ signer: peerSigner(net), log }, options),
    book: await NodeKeyBook.open({ kv: kv.part(options.fleet), log }),
  }
}

/**
 * Tells whether the newest own key may be given out. It may not when others know a later one, or
 * another with its counter: then what is on this disk is an old copy.
 */
export function isUsable(place: KeyPlace, key: NodeKey): boolean {
  const { membership, ring } = place
  return (
    isFresh(key, membership.nowMs()) &&
    key.counter >= ring.counterMax &&
    key.counter >= minCounterOf(place, membership.peer) &&
    (isKept(place, key) || key.counter > toldCounter(place))
  )
}

/** Gives the counter that the next own key must be above, as far as others know. */
export function counterFloor(place: KeyPlace): number {
  return Math.max(toldCounter(place), minCounterOf(place, place.membership.peer))
}

/** Gives the kept key of a member if it counts now. */
export function countingKey(place: KeyPlace, peer: PeerId): NodeKey | undefined {
  const key = place.book.of(peer)
  if (key === undefined || memberOf(place, peer) === undefined) return undefined
  try {
    verifyCounts(place, key)
    return key
  } catch {
    // It has ended; a newer one has to be asked for.
    return undefined
  }
}

/**
 * Reads a key from outside and keeps it, if it counts and is the newest of its node.
 * @param peer - whose it must be; undefined: of whoever signed it
 * @throws FleetError `NODE_KEY_INVALID`
 */
export async function acceptKey(
  place: KeyPlace,
  statement: Uint8Array,
  peer?: PeerId,
): Promise<NodeKey> {
  const { membership, book } = place
  const isMember = (one: PeerId) => memberOf(place, one) !== undefined
  const key = parseNodeKey(statement, { fleet: membership.fleet, peer })
  // Of the own ones only the counter matters, also of one that ended.
  if (key.peer !== membership.peer) {
    verifyCounts(place, key)
    if (!isKept(place, key)) await verifySealsTo(key.recipient)
    // Last, so that a revoked node's costs as much time as any other that is refused.
    if (!isMember(key.peer)) throw invalidNodeKey(`${key.peer} is no member of the fleet`)
  }
  await book.keep(key, isMember)
  return key
}

/** Gives what the newest list says of a node. */
export function memberOf({ membership }: KeyPlace, peer: PeerId): Member | undefined {
  return membership.access()?.list.members.get(peer)
}

function verifyCounts(place: KeyPlace, key: NodeKey): void {
  const terms = { nowMs: place.membership.nowMs(), minCounter: minCounterOf(place, key.peer) }
  verifyNodeKeyCounts(key, terms)
}

function isKept({ book }: KeyPlace, { peer, statement }: NodeKey): boolean {
  const known = book.of(peer)
  return known !== undefined && Buffer.compare(known.statement, statement) === 0
}

const minCounterOf = (place: KeyPlace, peer: PeerId): number =>
  memberOf(place, peer)?.minCounter ?? 0

const toldCounter = ({ book, membership }: KeyPlace): number =>
  book.of(membership.peer)?.counter ?? 0
