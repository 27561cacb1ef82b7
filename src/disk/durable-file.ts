/**
 * Small files that are there whole or not at all, and outlive a loss of power: written under a draft's
 * name, made durable, then given their own.
 * @module
 */
import { randomUUID } from "node:crypto"
import { link, open, rename, rm } from "node:fs/promises"
import { dirname, join } from "node:path"
import { codeOf } from "../core/errors.ts"

/** How the names of drafts end; one that a crash left behind can be told by it. */
export const DRAFT_SUFFIX = ".draft"

/**
 * Writes a file where none is.
 * @param mode - permission bits
 * @returns false when there is one: it stays as it is
 * @throws Error a fault of the file system, with its code
 */
export async function writeNewFile(
  path: string,
  bytes: Uint8Array | string,
  mode: number,
): Promise<boolean> {
  const draft = await writeDraft(path, bytes, mode)
  try {
    await link(draft, path)
    await syncFolder(dirname(path))
    return true
  } catch (error) {
    if (codeOf(error) === "EEXIST") return false
    throw error
  } finally {
    await rm(draft, { force: true })
  }
}

/**
 * Writes a file in place of what has its name.
 * @param mode - permission bits
 * @throws Error a fault of the file system, with its code; what was there stays
 */
export async function replaceFile(path: string, bytes: Uint8Array, mode: number): Promise<void> {
  const draft = await writeDraft(path, bytes, mode)
  try {
    await placeFile(draft, path)
  } catch (error) {
    await rm(draft, { force: true })
    throw error
  }
}

/** Gives a durable file its name, in place of what has it. */
export async function placeFile(path: string, target: string): Promise<void> {
  await rename(path, target)
  await syncFolder(dirname(target))
}

/** Makes the names in a folder durable: a new one outlives a loss of power only then. */
export async function syncFolder(path: string): Promise<void> {
  await using folder = await open(path, "r")
  await folder.sync()
}

async function writeDraft(path: string, bytes: Uint8Array | string, mode: number): Promise<string> {
  const draft = join(dirname(path), `.${randomUUID()}${DRAFT_SUFFIX}`)
  try {
    await using file = await open(draft, "wx", mode)
    await file.writeFile(bytes)
    await file.sync()
  } catch (error) {
    await rm(draft, { force: true })
    throw error
  }
  return draft
}
