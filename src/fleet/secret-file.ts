/**
 * Files of secrets that a node keeps for itself: readable by its owner alone, durable when they are
 * written, overwritten when they are erased.
 * @module
 */
import { type FileHandle, mkdir, open, rm } from "node:fs/promises"
import { dirname } from "node:path"
import { codeOf } from "../core/errors.ts"
import { placeFile, syncFolder, writeNewFile } from "../disk/durable-file.ts"
import { FleetError } from "./errors.ts"

export const SECRET_MODE = 0o600
const FOLDER_MODE = 0o700
const OTHERS_MODE = 0o077
/** Largest file of a secret. */
export const SECRET_BYTES_MAX: number = 16 * 1024

/** Makes the folder of secrets, durably, where it is missing. */
export async function makeSecretFolder(path: string): Promise<void> {
  const first = await mkdir(path, { recursive: true, mode: FOLDER_MODE })
  if (first === undefined) return
  await syncFolder(dirname(path))
  await syncFolder(dirname(first))
}

/**
 * Writes a secret where none is, in a folder that is made.
 * @param bytes - are erased
 * @returns false when there is one: it stays as it is
 */
export async function writeNewSecret(path: string, bytes: Uint8Array): Promise<boolean> {
  try {
    await makeSecretFolder(dirname(path))
    return await writeNewFile(path, bytes, SECRET_MODE)
  } finally {
    bytes.fill(0)
  }
}

/**
 * Reads a secret for a moment: its bytes are erased once it has been used, or refused.
 * @returns what `use` gives; undefined when there is no secret
 * @throws as {@link readSecret}
 */
export async function useSecret<T>(
  path: string,
  use: (bytes: Uint8Array) => T | Promise<T>,
): Promise<T | undefined> {
  const bytes = await readSecret(path)
  if (bytes === undefined) return undefined
  try {
    return await use(bytes)
  } finally {
    bytes.fill(0)
  }
}

/**
 * Reads a secret.
 * @returns undefined when there is none
 * @throws {@link FleetError} `SECRET_FILE_INVALID` when others may read it, or it is no small file
 * @throws Error a fault of the file system, with its code
 */
export async function readSecret(path: string): Promise<Uint8Array | undefined> {
  try {
    await using file = await open(path, "r")
    const status = await file.stat()
    if (!status.isFile()) throw invalidSecret(path, "it is no file")
    if ((status.mode & OTHERS_MODE) !== 0) {
      throw invalidSecret(path, `others may read it: run chmod 600 ${path}`)
    }
    if (status.size > SECRET_BYTES_MAX) throw invalidSecret(path, "it is too large")
    return await file.readFile()
  } catch (error) {
    if (codeOf(error) === "ENOENT") return undefined
    throw error
  }
}

/**
 * Erases a secret, if it is there: its bytes first, then its name. A file system that never writes in
 * place, or a copy that somebody made, may have it still.
 */
export async function eraseSecret(path: string): Promise<void> {
  try {
    await using file = await open(path, "r+")
    await overwrite(file)
  } catch (error) {
    if (codeOf(error) === "ENOENT") return
    throw error
  }
  await rm(path, { force: true })
  await syncFolder(dirname(path))
}

/**
 * Puts a secret in the place of another, which is erased as far as {@link eraseSecret} can. A crash
 * leaves one of them under the name.
 * @param next - the path of the secret that goes on
 */
export async function replaceSecret(path: string, next: string): Promise<void> {
  await using old = await openIfThere(path)
  await placeFile(next, path)
  if (old !== undefined) await overwrite(old)
}

async function openIfThere(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, "r+")
  } catch (error) {
    if (codeOf(error) === "ENOENT") return undefined
    throw error
  }
}

async function overwrite(file: FileHandle): Promise<void> {
  const { size } = await file.stat()
  await file.write(new Uint8Array(Math.min(size, SECRET_BYTES_MAX)), 0, undefined, 0)
  await file.sync()
}

/** Gives the error of a secret's file. It has no cause, which could quote the secret. */
export function invalidSecret(path: string, reason: string): FleetError {
  return new FleetError("SECRET_FILE_INVALID", `the secret in ${path} is refused: ${reason}`)
}
