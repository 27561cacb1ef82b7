/**
 * Which nodes are in which wave: chosen once, when a rollout starts, and never again
 * (protocol/rollout.md §4, choosing the waves).
 * @module
 */
import { createHmac } from "node:crypto"
import { sha256 } from "../core/digest.ts"
import { assert, unreachable } from "../core/errors.ts"
import { lengthPrefixed } from "../core/length-prefix.ts"
import { type AccessList, type Member, NODES_MAX } from "../fleet/access-list.ts"
import type { PeerId } from "../net/net.ts"
import { RolloutError } from "./errors.ts"
import type { NodeSelector, Plan, Wave } from "./plan.ts"
import { placeOf, type Roster } from "./roster.ts"

const ORDER_LABEL = "sealift/wave-order/v1"
/** Most peers that an error names. */
const NAMED_MAX = 5

/** Who is in which wave, and who is in none. */
export interface Choice extends Roster {
  /** Nodes of the audience that no wave took, by peer id; they come as late ones do. */
  readonly others: readonly PeerId[]
}

/**
 * Chooses the nodes of each wave. Everybody who has the access list can choose the same.
 *
 * Of those that a selector names, the first in an order that nobody picks are taken: by HMAC-SHA256 of
 * the peer id, keyed by fleet, name and version of the plan. The key is not the plan's digest, which the
 * order was first meant to follow: a dry run must show before the plan is signed exactly what its start
 * will do, and a plan has no digest before it is written down. The version is in it, so that another try
 * begins with other nodes.
 *
 * @param list - the access list at the start
 * @param audience - whether a node may open what is rolled out; all may when left out. Whoever may not
 * is nowhere: neither in a wave, nor among those that a percentage is of, nor in `others`
 * @throws {@link RolloutError} `PLAN_INVALID` when a wave lists a node or names a group that is not
 * there, or lists one outside the audience
 * @see protocol/rollout.md §4, choosing the waves
 */
export function rosterOf(
  plan: Pick<Plan, "fleet" | "name" | "version" | "waves">,
  list: Pick<AccessList, "members" | "groups">,
  audience: (peer: PeerId) => boolean = () => true,
): Choice {
  assert(list.members.size <= NODES_MAX, "the nodes of an access list")
  for (const wave of plan.waves) verifyKnown(wave, list, audience)
  const members = [...list.members.values()].filter(({ peer }) => audience(peer))
  const ordered = inOrder(members, orderKey(plan))
  const free = new Set(ordered.map(({ peer }) => peer))
  const waves = plan.waves.map((wave) => {
    const chosen = choose(wave, ordered, free)
    for (const peer of chosen) free.delete(peer)
    return chosen.toSorted()
  })
  return { waves, others: [...free].toSorted() }
}

/**
 * Tells whether a node that was not there at the start follows once every wave stands: when a wave takes
 * whoever its selector names, and names it now. A share or a count of a group was chosen once, and a
 * list names nobody new.
 */
function mayComeLate(
  { waves }: Pick<Plan, "waves">,
  { members }: Pick<AccessList, "members">,
  peer: PeerId,
): boolean {
  const member = members.get(peer)
  if (member === undefined) return false
  return waves.some(({ select, amount }) => {
    const isWhole = amount === undefined || (amount.kind === "percent" && amount.percent === 100)
    return isWhole && select.kind !== "list" && namerOf(select)(member)
  })
}

/**
 * Gives a node's place: its wave, or the number of waves where it comes late.
 * @param known - what is known here: who is in which wave, and the newest list
 * @param audience - whether a node may open what is rolled out; asked of late ones alone
 * @returns undefined where it is not known, or is none
 */
export function placeOrLate(
  { waves }: Pick<Plan, "waves">,
  known: {
    readonly roster: Roster | undefined
    readonly list: Pick<AccessList, "members"> | undefined
  },
  peer: PeerId,
  audience: (peer: PeerId) => boolean = () => true,
): number | undefined {
  const { roster, list } = known
  if (roster === undefined) return undefined
  const isLate = () => list !== undefined && mayComeLate({ waves }, list, peer) && audience(peer)
  return placeOf(roster, peer) ?? (isLate() ? waves.length : undefined)
}

/**
 * Tells whether a node may be in a wave before the waves are chosen: when the selector of one names it.
 * Of how many a wave takes nothing is known yet.
 */
export function mayBeIn(
  { waves }: Pick<Plan, "waves">,
  { members }: Pick<AccessList, "members">,
  peer: PeerId,
): boolean {
  const member = members.get(peer)
  return member !== undefined && waves.some(({ select }) => namerOf(select)(member))
}

/** Gives the first of those that a wave names and nobody has taken, as many as it says. */
function choose(
  { select, amount }: Wave,
  ordered: readonly Member[],
  free: ReadonlySet<PeerId>,
): PeerId[] {
  const named = peersOf(select, ordered)
  const left = named.filter((peer) => free.has(peer))
  if (amount === undefined) return left
  if (amount.kind === "count") return left.slice(0, amount.count)
  // Of all that it names, whether or not a wave before has them: 10 % of a group are 10 % of the group.
  return left.slice(0, Math.ceil((named.length * amount.percent) / 100))
}

function peersOf(select: NodeSelector, ordered: readonly Member[]): PeerId[] {
  const isNamed = namerOf(select)
  return ordered.filter(isNamed).map(({ peer }) => peer)
}

/** Gives what tells whether a selector names a node. */
function namerOf(select: NodeSelector): (member: Member) => boolean {
  switch (select.kind) {
    case "all":
      return () => true
    case "list": {
      const peers = new Set(select.peers)
      return ({ peer }) => peers.has(peer)
    }
    case "group":
      return ({ groups }) => groups.includes(select.group)
    case "labels": {
      const wanted = Object.entries(select.labels)
      return ({ labels }) =>
        wanted.every(([key, label]) => Object.hasOwn(labels, key) && labels[key] === label)
    }
    default:
      return unreachable(select)
  }
}

function inOrder(members: readonly Member[], key: Uint8Array): readonly Member[] {
  const ranked = members.map((member) => ({ member, rank: rankOf(key, member.peer) }))
  // No two ranks are equal unless SHA-256 is broken; peer ids then keep the order the same for all.
  ranked.sort((one, other) => {
    const byRank = Buffer.compare(one.rank, other.rank)
    if (byRank !== 0) return byRank
    return one.member.peer < other.member.peer ? -1 : 1
  })
  return ranked.map(({ member }) => member)
}

function orderKey({ fleet, name, version }: Pick<Plan, "fleet" | "name" | "version">): Uint8Array {
  return sha256(lengthPrefixed(ORDER_LABEL, fleet, name, String(version)))
}

function rankOf(key: Uint8Array, peer: PeerId): Uint8Array {
  return createHmac("sha256", key).update(peer).digest()
}

/** A name that nobody has is a slip of the pen, and would silently make the wave smaller. */
function verifyKnown(
  { name, select }: Wave,
  { members, groups }: Pick<AccessList, "members" | "groups">,
  audience: (peer: PeerId) => boolean,
): void {
  if (select.kind === "group" && !groups.has(select.group)) {
    throw invalid(`wave ${name}: the fleet has no group ${JSON.stringify(select.group)}`)
  }
  if (select.kind !== "list") return
  const unknown = select.peers.filter((peer) => !members.has(peer))
  if (unknown.length > 0) throw invalid(`wave ${name}: not in the fleet: ${textOf(unknown)}`)
  const outside = select.peers.filter((peer) => !audience(peer))
  if (outside.length > 0) throw invalid(`wave ${name}: not in the audience: ${textOf(outside)}`)
}

function textOf(peers: readonly PeerId[]): string {
  const more = peers.length - NAMED_MAX
  return `${peers.slice(0, NAMED_MAX).join(", ")}${more > 0 ? ` and ${more} more` : ""}`
}

function invalid(reason: string): RolloutError {
  return new RolloutError("PLAN_INVALID", reason)
}
