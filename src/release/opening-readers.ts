/**
 * Who may read what is opened at a place, by the node's setting or by who opens it.
 * @module
 */
import { dirname, join, resolve } from "node:path"
import { isWithin } from "../disk/folder.ts"
import { closedFolder } from "../disk/group-reading.ts"
import { OPENED_FOLDER } from "./opened-root.ts"
import type { FolderReaders } from "./opening-folder.ts"
import { findReaderGroup, invalid, type ReaderGroup } from "./reader-group.ts"

/** The data directory of a node. */
export interface OwnFolder {
  /** Absolute. */
  readonly data: string
  /** For whom it has a way to what is opened in it (`opened-root.ts`). */
  readonly group?: ReaderGroup | undefined
}

/**
 * Chooses the readers of an opening.
 * @param asked - a group by name or number, in the place of the node's own
 * @returns undefined: the node's user alone
 * @throws {@link ReleaseError} `OPENED_GROUP_INVALID`
 */
export async function readersOf(
  target: string,
  asked: string | undefined,
  own: OwnFolder,
): Promise<FolderReaders | undefined> {
  const group = asked === undefined ? own.group : await findReaderGroup(asked)
  if (group === undefined) return undefined
  // One folder has one group: another one would need a way through the data directory as well.
  if (isWithin(resolve(target), own.data) && group.gid !== own.group?.gid) {
    const cure = `open it elsewhere (-o), or set openedGroup: ${group.said}`
    throw invalid(group.said, `the group ${group.said} has no way into ${own.data}: ${cure}`)
  }
  return { group, own: join(own.data, OPENED_FOLDER) }
}

/** Tells for whom something was opened, and what on the way keeps them from it. */
export async function reachOf(
  path: string,
  readers: FolderReaders | undefined,
): Promise<{ readonly group?: string; readonly closed?: string }> {
  if (readers === undefined) return {}
  const { said, gid } = readers.group
  const closed = await closedFolder(dirname(path), gid)
  return { group: said, ...(closed !== undefined && { closed }) }
}
