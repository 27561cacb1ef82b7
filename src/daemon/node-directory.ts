/**
 * The data directory of a node: where it is when nobody says, and making it. Light to load, since every
 * command asks.
 * @module
 */
import { homedir } from "node:os"
import { isAbsolute, join, resolve } from "node:path"
import { codeOf, messageOf } from "../core/errors.ts"
import { makeDirectories } from "../disk/make-directories.ts"
import { StoreError } from "../store/errors.ts"

const DIRECTORY_MODE = 0o700

/** What was given where. */
export interface ConfigInput {
  /** By key (`http`, `log.level`); a repeated flag is a list; `config` is the file's path. */
  readonly flags: Readonly<Record<string, unknown>>
  readonly env: Readonly<Record<string, string | undefined>>
}

/** Gives the data directory by flag, variable or default; absolute. */
export function dataDirectoryOf(input: ConfigInput): string {
  return givenDirectory(input) ?? defaultDirectory(input.env)
}

function givenDirectory(input: ConfigInput): string | undefined {
  const given = input.flags.data ?? (input.env.SEALIFT_DATA || undefined)
  return given === undefined ? undefined : resolve(String(given))
}

/** Gives `$XDG_DATA_HOME/sealift`, absolute. */
export function defaultDirectory(env: ConfigInput["env"]): string {
  // XDG base directory specification: a relative path there is invalid and ignored.
  const home = env.XDG_DATA_HOME ?? ""
  return join(isAbsolute(home) ? home : join(homedir(), ".local", "share"), "sealift")
}

/**
 * Makes the directory, readable by its owner alone, unless it is there.
 * @throws StoreError `DISK_FULL`, `STORE_READ_ONLY`
 */
export async function openDirectory(path: string): Promise<void> {
  try {
    await makeDirectories(path, DIRECTORY_MODE)
  } catch (error) {
    const isFull = ["ENOSPC", "EDQUOT"].includes(codeOf(error) ?? "")
    const what = `cannot make the data directory ${path}: ${messageOf(error)}`
    throw new StoreError(isFull ? "DISK_FULL" : "STORE_READ_ONLY", what, { cause: error })
  }
}
