/**
 * Makes a directory with its parents, one by one: Node's own recursive `mkdir` never returns on a file
 * system that answers "no such file" to it, as /proc does.
 * @module
 */
import { mkdir, stat } from "node:fs/promises"
import { dirname } from "node:path"
import { codeOf } from "../core/errors.ts"

/**
 * Makes what is missing of a path.
 * @param path - absolute
 * @returns what was made, the deepest last
 * @throws the system's error
 */
export async function makeDirectories(path: string, mode: number): Promise<string[]> {
  const missing: string[] = []
  for (let at = path; !(await isDirectory(at)); at = dirname(at)) missing.unshift(at)
  const made: string[] = []
  for (const directory of missing) {
    if (await makeOne(directory, mode)) made.push(directory)
  }
  return made
}

async function isDirectory(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory() || dirname(path) === path
  } catch (error) {
    // Not a directory on the way: making the deeper one says so.
    if (["ENOENT", "ENOTDIR"].includes(codeOf(error) ?? "")) return dirname(path) === path
    throw error
  }
}

/** @returns false when somebody else made it in the meantime */
async function makeOne(path: string, mode: number): Promise<boolean> {
  try {
    await mkdir(path, { mode })
    return true
  } catch (error) {
    if (codeOf(error) === "EEXIST" && (await isDirectory(path))) return false
    throw error
  }
}
