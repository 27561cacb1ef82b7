/**
 * The folder in the data directory in which releases are opened, and the way to it for the group that
 * may read them: through the data directory, and into nothing else there.
 * @module
 */
import { chmod, lstat, readdir, realpath } from "node:fs/promises"
import { join } from "node:path"
import { getuid } from "node:process"
import { giveFolder, letThrough } from "../disk/group-reading.ts"
import { makeDirectories } from "../disk/make-directories.ts"
import { giving, type ReaderGroup } from "./reader-group.ts"

/** Its name in the data directory. */
export const OPENED_FOLDER = "opened"
const PRIVATE_FOLDER = 0o700
const OWNER_BITS = 0o700
const NOT_OWNERS_BITS = 0o077
const OTHERS_PASS = 0o001

/**
 * Makes the way for a group. Everything else in the data directory is its owner's alone first, since from
 * then on only its own permissions guard it; where everybody could go through already, nothing is gained
 * by it, and all is left as its operator made it.
 * @param data - the data directory, which no other process uses
 * @throws {@link ReleaseError} `OPENED_GROUP_INVALID`
 */
export async function openRootTo(data: string, group: ReaderGroup): Promise<void> {
  const root = await realpath(data)
  const opened = join(root, OPENED_FOLDER)
  await makeDirectories(opened, PRIVATE_FOLDER)
  await giving(group, opened, async () => giveFolder(await realpath(opened), group.gid))
  if (((await lstat(root)).mode & OTHERS_PASS) !== 0) return
  for (const name of await readdir(root)) {
    if (name !== OPENED_FOLDER) await close(join(root, name))
  }
  await giving(group, root, () => letThrough(root, group.gid))
}

/** Takes from others what they may do with a file or a folder of this user. */
async function close(path: string): Promise<void> {
  const found = await lstat(path)
  // What somebody else has put here, as a configuration of root's, is that one's to guard.
  const isOurs = (found.isFile() || found.isDirectory()) && found.uid === getuid?.()
  if (isOurs && (found.mode & NOT_OWNERS_BITS) !== 0) await chmod(path, found.mode & OWNER_BITS)
}
