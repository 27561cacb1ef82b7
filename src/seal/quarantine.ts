/**
 * Files that are not finished: they have a random name in a folder of the caller's, and are either
 * finished whole or gone (protocol/sealed-payload.md §5).
 * @module
 */
import { randomUUID } from "node:crypto"
import { type FileHandle, open, unlink } from "node:fs/promises"
import { join } from "node:path"

/** How the names end; what a crash left in the folder can be told by it. */
export const UNFINISHED_SUFFIX = ".unfinished"
/** Plaintext is for its owner alone until the caller says otherwise. */
const FILE_MODE = 0o600

/**
 * Makes a file, lets it be written, and makes it durable; on a fault nothing is left.
 * @param folder - on the file system of the final place
 * @param write - gives the exact length that the file must have by then
 * @returns its path
 */
export async function writeUnfinished(
  folder: string,
  write: (file: FileHandle) => Promise<number>,
): Promise<string> {
  const path = join(folder, `${randomUUID()}${UNFINISHED_SUFFIX}`)
  const file = await open(path, "wx+", FILE_MODE)
  try {
    const sizeBytes = await write(file)
    const found = (await file.stat()).size
    if (found !== sizeBytes) throw new Error(`${path} has ${found} bytes instead of ${sizeBytes}`)
    await file.sync()
  } catch (error) {
    await file.close()
    await unlink(path)
    throw error
  }
  await file.close()
  return path
}
