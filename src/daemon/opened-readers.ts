/**
 * The group that may read what this node opens, by its configuration; light, since a mirror loads it, too.
 * @module
 */
import { realpath } from "node:fs/promises"
import { join } from "node:path"
import type { Logger } from "../core/log.ts"
import { closedFolder } from "../disk/group-reading.ts"
import { OPENED_FOLDER, openRootTo } from "../release/opened-root.ts"
import { findReaderGroup, type ReaderGroup } from "../release/reader-group.ts"
import type { NodeConfig } from "./config-schema.ts"

/**
 * Finds the group and makes its way to what is opened; whether it may be given files is tried now, and not
 * when a rollout needs it. What is not the node's is told: what is closed above the data directory, and
 * what others have left open in it.
 * @returns undefined: nobody but the node's user
 * @throws ReleaseError `OPENED_GROUP_INVALID`
 */
export async function openToReaders(
  { data, openedGroup }: Pick<NodeConfig, "data" | "openedGroup">,
  { log }: { readonly log: Logger },
): Promise<ReaderGroup | undefined> {
  if (openedGroup === undefined) return undefined
  const group = await findReaderGroup(openedGroup)
  const left = await openRootTo(data, group)
  if (left.length > 0) {
    const fields = { group: group.said, paths: left }
    log.warn(fields, "others have put this into the data directory, and left it open to the group")
  }
  const closed = await closedFolder(await realpath(join(data, OPENED_FOLDER)), group.gid)
  if (closed !== undefined) {
    const fields = { group: group.said, folder: closed }
    log.warn(fields, "the group that may read what is opened cannot go through a folder on the way")
  }
  return group
}
