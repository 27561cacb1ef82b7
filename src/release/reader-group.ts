/**
 * The group that may read what a node opens, when its operator names one (docs/decisions/0033).
 * @module
 */
import { codeOf } from "../core/errors.ts"
import { findGroup } from "../disk/group-book.ts"
import { ReleaseError } from "./errors.ts"

export interface ReaderGroup {
  /** As its operator wrote it: a name or a number. */
  readonly said: string
  readonly gid: number
}

/** What a system says to who may not give a file to a group, or where files have none. */
const NOT_GIVEN: readonly string[] = ["EPERM", "EINVAL", "ENOTSUP", "ENOSYS"]

/**
 * Finds a group.
 * @throws {@link ReleaseError} `OPENED_GROUP_INVALID` when there is none of this name
 */
export async function findReaderGroup(said: string): Promise<ReaderGroup> {
  const gid = await findGroup(said)
  if (gid !== undefined) return { said, gid }
  const cure = "make it, or name one by its number where it comes from a directory server"
  throw invalid(said, `there is no group ${said} in /etc/group: ${cure}`)
}

/**
 * Gives files to a group, and words it when that is refused.
 * @throws {@link ReleaseError} `OPENED_GROUP_INVALID`
 */
export async function giving<Result>(
  group: ReaderGroup,
  path: string,
  give: () => Promise<Result>,
): Promise<Result> {
  try {
    return await give()
  } catch (error) {
    if (!NOT_GIVEN.includes(codeOf(error) ?? "")) throw error
    const cure =
      "its user must own it and be in that group when the node starts, and the disk must know groups"
    throw invalid(
      group.said,
      `this node may not give ${path} to the group ${group.said}: ${cure}`,
      error,
    )
  }
}

/** Makes the error of a group that cannot have what is opened. */
export function invalid(group: string, message: string, cause?: unknown): ReleaseError {
  return new ReleaseError("OPENED_GROUP_INVALID", message, { cause, details: { group } })
}
