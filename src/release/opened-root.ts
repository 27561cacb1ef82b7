/**
 * The folder in the data directory in which releases are opened, and the way to it for the group that
 * may read them: through the data directory, and into nothing else there.
 * @module
 */
import type { Stats } from "node:fs"
import { chmod, lstat, readdir, realpath } from "node:fs/promises"
import { join } from "node:path"
import { getuid } from "node:process"
import { codeOf, messageOf } from "../core/errors.ts"
import {
  giveFolder,
  isGivenFolder,
  letThrough,
  passes,
  passesAll,
  permissionsOf,
} from "../disk/group-reading.ts"
import { makeDirectories } from "../disk/make-directories.ts"
import { giving, invalid, type ReaderGroup } from "./reader-group.ts"

/** Its name in the data directory. */
export const OPENED_FOLDER = "opened"
const PRIVATE_FOLDER = 0o700
const OWNER_BITS = 0o700
const NOT_OWNERS_BITS = 0o077
/** Releases lie so deep: NAMESPACE/NAME/N; those of rollouts less deep. */
const RELEASE_DEPTH = 3
/** What a system says to who may not change permissions, or where they cannot be changed. */
const NOT_CLOSED: readonly string[] = ["EPERM", "EROFS", "ENOTSUP", "ENOSYS"]

/**
 * Makes the way for a group. Everything else in the data directory is its owner's alone first, since from
 * then on only its own permissions guard it; where everybody could go through already, nothing is gained
 * by it, and all is left as its operator made it.
 * @param data - the data directory, which no other process uses
 * @returns what somebody else has put there and left open to the group
 * @throws {@link ReleaseError} `OPENED_GROUP_INVALID`
 */
export async function openRootTo(data: string, group: ReaderGroup): Promise<readonly string[]> {
  const root = await realpath(data)
  const opened = join(root, OPENED_FOLDER)
  await makeDirectories(opened, PRIVATE_FOLDER)
  await giving(group, opened, async () => giveFolder(await realpath(opened), group.gid))
  const found = await lstat(root)
  if (passesAll(found)) return []
  if (!passes(found, group.gid)) await closeOlder(opened, group, RELEASE_DEPTH)
  const left: string[] = []
  for (const name of await readdir(root)) {
    const path = join(root, name)
    if (name !== OPENED_FOLDER && (await close(path, group)) === "left") left.push(path)
  }
  await giving(group, root, () => letThrough(root, group.gid))
  return left
}

/**
 * Takes from others what was opened while the data directory kept them all out. It may have its publisher's
 * permissions, of an older node, and nobody has read it by them.
 */
async function closeOlder(folder: string, group: ReaderGroup, depth: number): Promise<void> {
  for (const name of await readdir(folder)) {
    const path = join(folder, name)
    const found = await lstat(path)
    if (!isGivenFolder(found, group.gid)) await close(path, group)
    if (depth > 1 && found.isDirectory() && isOurs(found)) {
      await closeOlder(path, group, depth - 1)
    }
  }
}

/**
 * Takes from others what they may do with a file or a folder of this user.
 * @returns `left`: somebody else has put it here, as a configuration of root's, and the group may use it
 */
async function close(path: string, group: ReaderGroup): Promise<"closed" | "left"> {
  const found = await lstat(path)
  if (!isOurs(found)) {
    return isGuarded(found) && permissionsOf(found, group.gid) !== 0 ? "left" : "closed"
  }
  if (isGuarded(found) && (found.mode & NOT_OWNERS_BITS) !== 0) {
    await closing(group, path, () => chmod(path, found.mode & OWNER_BITS))
  }
  return "closed"
}

const isOurs = (found: Stats) => found.uid === getuid?.()
const isGuarded = (found: Stats) => found.isFile() || found.isDirectory()

/**
 * Takes permissions away, and words it when that is refused: what is mounted read-only keeps its own.
 * @throws {@link ReleaseError} `OPENED_GROUP_INVALID`
 */
export async function closing(
  group: ReaderGroup,
  path: string,
  close: () => Promise<void>,
): Promise<void> {
  try {
    await close()
  } catch (error) {
    if (!NOT_CLOSED.includes(codeOf(error) ?? "")) throw error
    const what = `the group ${group.said} could read ${path}, which cannot be closed`
    const cure = "take it from all but its owner where it comes from, or keep it elsewhere"
    // No cause: a disk that is read-only at one file is not a read-only store.
    throw invalid(group.said, `${what} (${messageOf(error)}): ${cure}`)
  }
}
