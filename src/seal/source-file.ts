/**
 * The file that is sealed or opened: a path, or a descriptor that its owner keeps open.
 * @module
 */
import { closeSync, fstatSync, openSync } from "node:fs"

/** A path, or a descriptor that stays open until the call is over. */
export type SourceFile = string | number

/** What tells that a file is as it was. */
export interface FileState {
  readonly sizeBytes: number
  readonly changedNs: bigint
}

/** Lends the descriptor of a file for the time of some work. */
export async function withSource<T>(
  source: SourceFile,
  work: (fd: number) => Promise<T>,
): Promise<T> {
  if (typeof source === "number") return work(source)
  const fd = openSync(source, "r")
  try {
    return await work(fd)
  } finally {
    closeSync(fd)
  }
}

export function stateOf(fd: number): FileState {
  const { size, mtimeNs } = fstatSync(fd, { bigint: true })
  return { sizeBytes: Number(size), changedNs: mtimeNs }
}
