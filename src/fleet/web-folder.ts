/**
 * A fleet's files as a folder for a web server. A reader that comes while it is written finds the old
 * state or the new one (protocol/tuf-profile.md §5, publishing).
 * @module
 */
import { access, mkdir } from "node:fs/promises"
import { dirname, join } from "node:path"
import { codeOf } from "../core/errors.ts"
import { replaceFile } from "../disk/durable-file.ts"
import { TIMESTAMP_NAME } from "../trust/tuf/metadata-file.ts"
import type { NamedBytes } from "../trust/tuf/publication.ts"

/** The server may run as another user. */
const FILE_MODE = 0o644
const FOLDER_MODE = 0o755

/**
 * Adds files to a folder. Those whose names have a version or a digest never change, so what is there
 * stays. Then comes the timestamp, which names the others, and last the roots: a new one may have keys
 * that have signed nothing else yet.
 */
export async function writeWebFolder(
  folder: string,
  files: readonly NamedBytes[],
): Promise<{ readonly files: number; readonly newFiles: number }> {
  let newFiles = 0
  const isTimestamp = ({ name }: NamedBytes) => name === TIMESTAMP_NAME
  const isRoot = ({ name }: NamedBytes) => name.endsWith(".root.json")
  const named = files.filter((one) => !isTimestamp(one) && !isRoot(one))
  for (const file of [...named, ...files.filter(isTimestamp), ...files.filter(isRoot)]) {
    const path = join(folder, file.name)
    if (!isTimestamp(file) && (await isThere(path))) continue
    await mkdir(dirname(path), { recursive: true, mode: FOLDER_MODE })
    await replaceFile(path, file.bytes, FILE_MODE)
    newFiles++
  }
  return { files: files.length, newFiles }
}

async function isThere(path: string): Promise<boolean> {
  try {
    await access(path)
    return true
  } catch (error) {
    if (codeOf(error) === "ENOENT") return false
    throw error
  }
}
