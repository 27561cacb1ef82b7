/**
 * Whether a node is in the audience of a release, by the newest access list, and by which entries
 * (protocol/release.md §5, opening 3).
 * @module
 */
import type { AccessList } from "../fleet/access-list.ts"
import { parseAudienceEntry } from "./audience.ts"
import type { Release } from "./release.ts"

/** Earlier epochs that a group's secret leads back to (protocol/fleet.md §4, `previous`). */
const EARLIER_EPOCHS_MAX = 16

/** An entry of an audience that a node is meant by. */
export interface OwnEntry {
  /** As the release has it. */
  readonly to: string
  /** Undefined: the node itself. */
  readonly group:
    | {
        readonly name: string
        /** Those whose secret may open a grant to this entry, the likeliest first. */
        readonly epochs: readonly number[]
      }
    | undefined
}

/**
 * Finds the entries that a node is meant by: its own, then those of groups that it is in now.
 * @returns none: it is not in the audience
 */
export function entriesOf(
  audience: readonly string[],
  list: AccessList,
  peer: string,
): readonly OwnEntry[] {
  const member = list.members.get(peer)
  if (member === undefined || list.revoked.has(peer)) return []
  const own: OwnEntry[] = []
  const ofGroups: OwnEntry[] = []
  for (const to of audience) {
    const entry = parseAudienceEntry(to)
    if (entry?.kind === "node" && entry.peer === peer) own.push({ to, group: undefined })
    if (entry?.kind !== "group" || !member.groups.includes(entry.name)) continue
    const epoch = list.groups.get(entry.name)?.epoch ?? 0
    // Before its epoch a group was another set of nodes, and this list is older than the release.
    if (epoch < entry.epoch) continue
    const epochs = epochsBetween(entry.epoch, epoch)
    ofGroups.push({ to, group: { name: entry.name, epochs } })
  }
  return [...own, ...ofGroups]
}

/**
 * Tells whether a release is for a node at all: one that is sealed for whoever may open it and is in its
 * audience, any other for whoever may fetch it.
 */
export function isForNode(
  { content }: Pick<Release, "content">,
  {
    list,
    peer,
    may,
  }: {
    readonly list: AccessList
    readonly peer: string
    readonly may: (verb: "fetch" | "open") => boolean
  },
): boolean {
  if (content.visibility !== "sealed") return may("fetch")
  return entriesOf(content.sealed.fields.audience, list, peer).length > 0 && may("open")
}

/** An approval seals to the epoch that it finds: mostly the newest one, or that of the release. */
function epochsBetween(first: number, newest: number): readonly number[] {
  const oldest = Math.max(first, newest - EARLIER_EPOCHS_MAX)
  const between = Array.from({ length: newest - oldest }, (_, index) => newest - 1 - index)
  return [...new Set([newest, first, ...between])]
}
