/**
 * Whom a device seals its grants to: only what the access list and node keys say that it has verified
 * itself (protocol/release.md §5, approving 3).
 * @module
 */
import type { AccessList } from "../fleet/access-list.ts"
import { type NodeKey, parseNodeKey, verifyNodeKeyCounts } from "../fleet/node-key.ts"
import { verifyRecipient } from "../seal/age-key.ts"
import { parseAudienceEntry } from "./audience.ts"

/** Why an entry of an audience gets no grant. */
export type SkipReason =
  /** The access list does not have it, or no longer. */
  | "not-listed"
  | "revoked"
  /** The group's epoch in the list is earlier than the release's. */
  | "epoch-behind"
  /** The bundle has no key of the node that counts now. */
  | "no-key"
  /** Nothing can be sealed to its recipient. */
  | "recipient-invalid"

export interface SkippedEntry {
  readonly entry: string
  readonly reason: SkipReason
}

/** Whom an entry is sealed to. */
export interface EntryRecipient {
  readonly to: string
  readonly recipient: string
}

export interface AudienceRecipients {
  /** In the audience's order. */
  readonly recipients: readonly EntryRecipient[]
  readonly skipped: readonly SkippedEntry[]
}

/** What is known of nodes' keys. */
export interface NodeKeyTrust {
  readonly fleet: string
  readonly access: AccessList
  /** The highest counters that this device has used. */
  readonly counters: ReadonlyMap<string, number>
  readonly nowMs: number
}

/**
 * Reads the node keys of a bundle: the newest one of each node that counts now, and is not below one
 * that was used before. What is none is left out.
 * @param peers - only these are looked at
 */
export function readNodeKeys(
  statements: readonly Uint8Array[],
  peers: ReadonlySet<string>,
  { fleet, access, counters, nowMs }: NodeKeyTrust,
): ReadonlyMap<string, NodeKey> {
  const found = new Map<string, NodeKey>()
  for (const statement of statements) {
    const key = readOne(statement, { fleet, nowMs })
    if (key === undefined || !peers.has(key.peer)) continue
    const counterMin = Math.max(
      access.members.get(key.peer)?.minCounter ?? 0,
      counters.get(key.peer) ?? 0,
      found.get(key.peer)?.counter ?? 0,
    )
    if (key.counter >= counterMin) found.set(key.peer, key)
  }
  return found
}

/** Gives the nodes that an audience names one by one. */
export function peersOf(audience: readonly string[]): ReadonlySet<string> {
  const entries = audience.map(parseAudienceEntry)
  return new Set(entries.flatMap((entry) => (entry?.kind === "node" ? [entry.peer] : [])))
}

/** Finds the recipient of each entry. */
export function recipientsOf(
  audience: readonly string[],
  access: AccessList,
  nodeKeys: ReadonlyMap<string, NodeKey>,
): AudienceRecipients {
  const recipients: EntryRecipient[] = []
  const skipped: SkippedEntry[] = []
  for (const to of audience) {
    const found = recipientOf(to, access, nodeKeys)
    if (typeof found !== "string") skipped.push({ entry: to, reason: found.reason })
    else if (canBeSealedTo(found)) recipients.push({ to, recipient: found })
    else skipped.push({ entry: to, reason: "recipient-invalid" })
  }
  return { recipients, skipped }
}

function recipientOf(
  text: string,
  { groups, members, revoked }: AccessList,
  nodeKeys: ReadonlyMap<string, NodeKey>,
): string | { readonly reason: SkipReason } {
  const entry = parseAudienceEntry(text)
  if (entry?.kind === "group") {
    const group = groups.get(entry.name)
    if (group === undefined) return { reason: "not-listed" }
    return group.epoch < entry.epoch ? { reason: "epoch-behind" } : group.recipient
  }
  const peer = entry?.peer ?? ""
  if (revoked.has(peer)) return { reason: "revoked" }
  if (!members.has(peer)) return { reason: "not-listed" }
  return nodeKeys.get(peer)?.recipient ?? { reason: "no-key" }
}

/** Its checksum; whether its point is one is seen when something is sealed to it. */
function canBeSealedTo(recipient: string): boolean {
  try {
    verifyRecipient(recipient, { isPostQuantum: true })
    return true
  } catch {
    // One entry that is broken must not stop an approval for the others: it is named instead.
    return false
  }
}

function readOne(
  statement: Uint8Array,
  { fleet, nowMs }: Pick<NodeKeyTrust, "fleet" | "nowMs">,
): NodeKey | undefined {
  try {
    const key = parseNodeKey(statement, { fleet })
    verifyNodeKeyCounts(key, { nowMs })
    return key
  } catch {
    // Its node is then named as one without a key.
    return undefined
  }
}
