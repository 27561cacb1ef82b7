/**
 * TUF files in a folder of the disk. A crash leaves each file as it was or as it shall be.
 * @module
 */
import { mkdir, open, readdir, rm } from "node:fs/promises"
import { dirname, join } from "node:path"
import { assert, codeOf } from "../../core/errors.ts"
import { DRAFT_SUFFIX, replaceFile } from "../../disk/durable-file.ts"
import { isFileName, type ReadOptions, type TufFiles, tooLarge } from "./tuf-source.ts"

const FILE_MODE = 0o600
const FOLDER_MODE = 0o700

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
  await mkdir(dirname(path), { recursive: true, mode: FOLDER_MODE })
  await replaceFile(path, bytes, FILE_MODE)
}

async function listFiles(path: string, name: string): Promise<readonly string[]> {
  try {
    const entries = await readdir(path, { recursive: true, withFileTypes: true })
    // A draft that a crash left behind is no file of ours.
    const files = entries.filter((entry) => entry.isFile() && !entry.name.endsWith(DRAFT_SUFFIX))
    return files.map((entry) => join(name, join(entry.parentPath, entry.name).slice(path.length)))
  } catch (error) {
    if (codeOf(error) === "ENOENT") return []
    throw error
  }
}
