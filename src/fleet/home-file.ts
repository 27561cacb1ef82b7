/**
 * Files of `DATA/fleet` that are replaced as a node lives: whole or as they were, for its owner alone.
 * @module
 */
import { rm } from "node:fs/promises"
import { dirname } from "node:path"
import { codeOf } from "../core/errors.ts"
import { replaceFile, syncFolder } from "../disk/durable-file.ts"
import { readSmallFile } from "../disk/small-file.ts"
import { FleetError } from "./errors.ts"
import { makeSecretFolder, SECRET_MODE } from "./secret-file.ts"

/**
 * Reads a file.
 * @returns undefined when there is none
 * @throws {@link FleetError} `FLEET_HOME_INVALID` when it is too large
 */
export async function readHomeFile(
  path: string,
  bytesMax: number,
): Promise<Uint8Array | undefined> {
  const bytes = await readSmallFile(path, {
    bytesMax,
    tooLarge: (size) => {
      const message = `${path} has ${size} bytes, at most ${bytesMax}`
      return new FleetError("FLEET_HOME_INVALID", message, { details: { path } })
    },
  })
  return bytes && new Uint8Array(bytes)
}

/** Writes a file in place of what has its name; its folder is made when it is not there. */
export async function writeHomeFile(path: string, bytes: Uint8Array): Promise<void> {
  await makeSecretFolder(dirname(path))
  await replaceFile(path, bytes, SECRET_MODE)
}

/** Removes a file, durably, if it is there. */
export async function removeHomeFile(path: string): Promise<void> {
  try {
    await rm(path)
  } catch (error) {
    if (codeOf(error) === "ENOENT") return
    throw error
  }
  await syncFolder(dirname(path))
}
