/**
 * Which of its logs a node has had, by those that lie aside (protocol/audit-log.md §5, the next
 * incarnation).
 * @module
 */
import { basename, dirname, join } from "node:path"
import { codeOf } from "../core/errors.ts"
import { namesIn } from "../disk/folder.ts"
import type { PublicKey } from "../trust/public-key.ts"
import { logOfOrigin, parseCheckpoint } from "./checkpoint.ts"
import { readCosigned } from "./cosigned-checkpoint.ts"
import { AuditError } from "./errors.ts"
import { LogFiles } from "./log-files.ts"

/** Whose logs they are. */
export interface LogOwner {
  readonly peer: string
  readonly key: PublicKey
}

/**
 * Gives the last incarnation that was put aside: whoever knows of it is not told of that one again. It
 * is no less than the number of logs aside, and than each of them says by a checkpoint of its own.
 * @param folder - of the log; those aside lie beside it, as `log.REASON-TIME`
 * @returns 0 when there is none
 * @throws Error a fault of the file system, with its code
 */
export async function lastIncarnation(folder: string, owner: LogOwner): Promise<number> {
  const beside = dirname(folder)
  const names = (await namesIn(beside)).filter((name) => name.startsWith(`${basename(folder)}.`))
  const said = await Promise.all(names.map((name) => incarnationIn(join(beside, name), owner)))
  return Math.max(0, names.length, ...said)
}

/** @returns 0 when the log has no checkpoint that its node has signed: nothing is believed of it */
async function incarnationIn(folder: string, { peer, key }: LogOwner): Promise<number> {
  try {
    const note = await new LogFiles(folder).readCheckpoint()
    if (note === undefined) return 0
    const { origin } = parseCheckpoint(note)
    const log = logOfOrigin(origin)
    if (log?.peer !== peer) return 0
    readCosigned(note, { origin, key }, { witnesses: [] })
    return log.incarnation
  } catch (error) {
    // What lies there may be anything, also no folder.
    if (error instanceof AuditError || codeOf(error) === "ENOTDIR") return 0
    throw error
  }
}
