/**
 * Tells one state of a file from another, without reading it.
 * @module
 */
import type { BigIntStats } from "node:fs"
import { stat } from "node:fs/promises"
import { codeOf } from "../core/errors.ts"

/** Gives the identity of the file at a path; undefined when there is none. */
export async function identityOf(path: string): Promise<string | undefined> {
  try {
    return identityOfStat(await stat(path, { bigint: true }))
  } catch (error) {
    if (codeOf(error) === "ENOENT") return undefined
    throw error
  }
}

/** Gives an identity that changes whenever somebody touches the file. */
export function identityOfStat({ ino, size, mtimeNs, ctimeNs }: BigIntStats): string {
  return `${ino}:${size}:${mtimeNs}:${ctimeNs}`
}
