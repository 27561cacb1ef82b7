/**
 * Access lists as their author makes them: each change gives the next list, and the file to sign
 * (protocol/fleet.md §4).
 * @module
 */
import { encodeJson, type JsonValue } from "../core/json.ts"
import { isGroupName } from "../core/name.ts"
import {
  ACCESS_BYTES_MAX,
  type AccessList,
  type Group,
  type Member,
  PREVIOUS_MAX,
} from "./access-list.ts"
import { textOfRule } from "./access-rule.ts"
import { FleetError } from "./errors.ts"

/** What a list shall say. Fleet, version and time are added when it is written. */
export type AccessDraft = Pick<AccessList, "members" | "groups" | "rules" | "revoked">

/** What stands in a list beside its draft. */
export type AccessHead = Pick<AccessList, "fleet" | "version" | "issuedAtMs">

/**
 * Gives the first list of a one-person fleet: every node may mirror and open, and the first one does
 * the rest.
 */
export function firstAccess(peer: string): AccessDraft {
  const first = { peer, groups: [], labels: {}, isAnchor: true, minCounter: 0 }
  return {
    members: new Map([[peer, first]]),
    groups: new Map(),
    rules: [
      { who: { kind: "all" }, verbs: ["find", "fetch", "seed", "open", "vouch"], where: ["*"] },
      {
        who: { kind: "node", peer },
        verbs: ["publish", "approve", "admit", "audit"],
        where: ["*"],
      },
    ],
    revoked: new Set(),
  }
}

/** Writes a list as a file. */
export function encodeAccess(draft: AccessDraft, head: AccessHead): Uint8Array {
  return encodeJson({
    v: 1,
    fleet: head.fleet,
    version: head.version,
    issuedAt: head.issuedAtMs,
    nodes: [...draft.members.values()].map(memberOf),
    groups: [...draft.groups.values()].map(groupOf),
    rules: draft.rules.map((rule): JsonValue => ({ ...textOfRule(rule) })),
    revoked: [...draft.revoked],
  })
}

/**
 * Writes a list that fits into a file: the oldest secrets that groups carry along are left out first. A
 * node must never stay in because the list that leaves it out would be too large.
 */
export function encodeFitting(draft: AccessDraft, head: AccessHead): Uint8Array {
  for (let count = PREVIOUS_MAX; count > 0; count--) {
    const file = encodeAccess(withChains(draft, count), head)
    if (file.length <= ACCESS_BYTES_MAX) return file
  }
  return encodeAccess(withChains(draft, 0), head)
}

/** Gives a list whose groups carry at most some earlier epochs. */
function withChains(draft: AccessDraft, count: number): AccessDraft {
  const groups = [...draft.groups.values()].map((group): [string, Group] => {
    return [group.name, { ...group, previous: group.previous.slice(0, count) }]
  })
  return { ...draft, groups: new Map(groups) }
}

/** Gives a list with a node in it: a new one, or one that gets more groups and other labels. */
export function withMember(draft: AccessDraft, node: Omit<Member, "minCounter">): AccessDraft {
  const known = draft.members.get(node.peer)
  const member = {
    peer: node.peer,
    groups: [...new Set([...(known?.groups ?? []), ...node.groups])],
    labels: { ...known?.labels, ...node.labels },
    isAnchor: node.isAnchor || known?.isAnchor === true,
    minCounter: known?.minCounter ?? 0,
  }
  const revoked = new Set([...draft.revoked].filter((peer) => peer !== node.peer))
  return { ...draft, members: new Map(draft.members).set(node.peer, member), revoked }
}

/** Gives a list without some nodes, which are revoked from then on. Their rules go too. */
export function withoutMembers(draft: AccessDraft, peers: readonly string[]): AccessDraft {
  const gone = new Set(peers)
  const members = new Map([...draft.members].filter(([peer]) => !gone.has(peer)))
  const rules = draft.rules.filter(({ who }) => who.kind !== "node" || !gone.has(who.peer))
  return { ...draft, members, rules, revoked: new Set([...draft.revoked, ...peers]) }
}

/** Gives a list in which some nodes are no longer in a group. */
export function withoutGroup(
  draft: AccessDraft,
  group: string,
  peers: readonly string[],
): AccessDraft {
  const members = new Map(draft.members)
  for (const peer of peers) {
    const member = memberIn(draft, peer)
    members.set(peer, { ...member, groups: member.groups.filter((name) => name !== group) })
  }
  return { ...draft, members }
}

/** Gives a list with a group at its newest epoch. */
export function withGroup(draft: AccessDraft, group: Group): AccessDraft {
  return { ...draft, groups: new Map(draft.groups).set(group.name, group) }
}

/** Gives a node of a list. @throws {@link FleetError} `PEER_UNKNOWN` */
export function memberIn(draft: AccessDraft, peer: string): Member {
  const member = draft.members.get(peer)
  if (member !== undefined) return member
  const options = { details: { peer } }
  throw new FleetError(
    "PEER_UNKNOWN",
    `the access list does not name ${peer.slice(0, 80)}`,
    options,
  )
}

/** Checks a group's name. @throws {@link FleetError} `GROUP_UNKNOWN` */
export function verifyGroupName(name: string): void {
  if (isGroupName(name)) return
  throw new FleetError("GROUP_UNKNOWN", `${JSON.stringify(name.slice(0, 80))} is no group's name`)
}

function memberOf({ peer, groups, labels, isAnchor, minCounter }: Member): JsonValue {
  return {
    peer,
    groups,
    labels,
    ...(isAnchor ? { anchor: true } : {}),
    ...(minCounter > 0 ? { minCounter } : {}),
  }
}

function groupOf({ name, epoch, recipient, sinceMs, previous }: Group): JsonValue {
  return { name, epoch, recipient, since: sinceMs, previous }
}
