/**
 * TUF files in a folder of the disk. A crash leaves each file as it was or as it shall be.
 * @module
 */
import { randomUUID } from "node:crypto"
import { mkdir, open, readdir, rename, rm } from "node:fs/promises"
import { dirname, join } from "node:path"
import { assert, codeOf } from "../../core/errors.ts"
import { isFileName, type ReadOptions, type TufFiles, tooLarge } from "./tuf-source.ts"

const FILE_MODE = 0o600
const FOLDER_MODE = 0o700
/** Files that were being written; one that a crash left behind is no file of ours. */
const DRAFT = /\.draft$/

/** Gives the files of a folder. It is made when the first file is written. */
export function diskFiles(folder: string): TufFiles {
  const pathOf = (name: string) => {
    assert(isFileName(name), `${JSON.stringify(name)} is a name inside the folder`)
    return join(folder, name)
  }
  return {
    read: (name, options) => readBounded(pathOf(name), name, options),
    write: (name, bytes) => writeWhole(pathOf(name), bytes),
    remove: (name) => rm(pathOf(name), { force: true }),
    list: (name) => listFiles(pathOf(name), name),
  }
}

async function readBounded(
  path: string,
  name: string,
  { bytesMax, signal }: ReadOptions,
): Promise<Uint8Array | undefined> {
  signal?.throwIfAborted()
  try {
    await using file = await open(path)
    const { size } = await file.stat()
    if (size > bytesMax) throw tooLarge(name, bytesMax)
    return new Uint8Array(await file.readFile({ signal }))
  } catch (error) {
    if (["ENOENT", "ENOTDIR", "ENAMETOOLONG"].includes(codeOf(error) ?? "")) return undefined
    throw error
  }
}

async function writeWhole(path: string, bytes: Uint8Array): Promise<void> {
  const folder = dirname(path)
  await mkdir(folder, { recursive: true, mode: FOLDER_MODE })
  const draft = join(folder, `.${randomUUID()}.draft`)
  try {
    {
      await using file = await open(draft, "wx", FILE_MODE)
      await file.writeFile(bytes)
      await file.sync()
    }
    await rename(draft, path)
    await syncFolder(folder)
  } catch (error) {
    await rm(draft, { force: true })
    throw error
  }
}

/** The new name itself outlives a loss of power only when its folder is written too. */
async function syncFolder(folder: string): Promise<void> {
  await using handle = await open(folder)
  await handle.sync()
}

async function listFiles(path: string, name: string): Promise<readonly string[]> {
  try {
    const entries = await readdir(path, { recursive: true, withFileTypes: true })
    const files = entries.filter((entry) => entry.isFile() && !DRAFT.test(entry.name))
    return files.map((entry) => join(name, join(entry.parentPath, entry.name).slice(path.length)))
  } catch (error) {
    if (codeOf(error) === "ENOENT") return []
    throw error
  }
}
