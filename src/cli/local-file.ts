/**
 * Files that a command reads or writes itself: bounded, and never over what is there.
 * @module
 */
import { open } from "node:fs/promises"
import { codeOf } from "../core/errors.ts"
import { writeNewFile } from "../disk/durable-file.ts"
import { CliError } from "./errors.ts"

const PUBLIC_MODE = 0o644
const UNUSABLE: readonly string[] = ["EACCES", "EPERM", "EROFS", "EISDIR", "ENOTDIR"]

/** Reads a file. @throws CliError `USAGE_INVALID` when there is none, or it is too large */
export async function readLocalFile(path: string, bytesMax: number): Promise<Uint8Array> {
  return await onDisk(path, async () => {
    await using file = await open(path, "r")
    const { size } = await file.stat()
    if (size <= bytesMax) return new Uint8Array(await file.readFile())
    throw new CliError("USAGE_INVALID", `${path} has ${size} bytes; at most ${bytesMax} are read`)
  })
}

/** Writes a file, whole or not at all. @throws CliError `OUTPUT_EXISTS`, `OUTPUT_UNWRITABLE` */
export async function writeLocalFile(path: string, bytes: Uint8Array): Promise<void> {
  if (await onDisk(path, () => writeNewFile(path, bytes, PUBLIC_MODE))) return
  throw outputExists(path)
}

/** The error of a place where something is already. */
export function outputExists(path: string): CliError {
  const message = `${path} exists already: name another, or remove it`
  return new CliError("OUTPUT_EXISTS", message, { details: { path } })
}

/** Says what the file system refused in one line. */
export async function onDisk<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (cause) {
    const code = codeOf(cause) ?? ""
    if (code === "ENOENT") {
      throw new CliError("USAGE_INVALID", `${path}: no such file or folder`, { cause })
    }
    if (UNUSABLE.includes(code)) {
      throw new CliError("OUTPUT_UNWRITABLE", `${path} cannot be used (${code})`, { cause })
    }
    throw cause
  }
}
