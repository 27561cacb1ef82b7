/**
 * What lies in a folder.
 * @module
 */
import { readdir } from "node:fs/promises"
import { sep } from "node:path"
import { codeOf } from "../core/errors.ts"

/**
 * Gives the names in a folder; none where there is no folder.
 * @throws Error a fault of the file system, with its code
 */
export async function namesIn(folder: string): Promise<readonly string[]> {
  try {
    return await readdir(folder)
  } catch (error) {
    if (codeOf(error) === "ENOENT") return []
    throw error
  }
}

/** Tells whether an absolute path is below a folder, by their texts. */
export function isWithin(path: string, folder: string): boolean {
  return path.startsWith(folder.endsWith(sep) ? folder : `${folder}${sep}`)
}
