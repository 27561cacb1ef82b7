/**
 * A second user of this machine, who is in one group and in no other; needs root.
 * @module
 */
import { missingTools, type Outcome, run } from "./process.ts"

/** What the kernel calls "nobody"; it owns nothing. */
const OTHER_UID = 65_534

/** What is missing to be another user, told on standard error. */
export const missingForOtherUser = (): readonly string[] => missingTools("root", "setpriv")

/** Runs a command as another user. */
export async function asOther(gid: number, ...command: readonly string[]): Promise<Outcome> {
  const identity = ["--reuid", String(OTHER_UID), "--regid", String(gid), "--clear-groups"]
  return await run(["setpriv", ...identity, ...command], { mayFail: true })
}

/** Gives what another user reads in a file; undefined: it may not, or there is none. */
export async function readAsOther(gid: number, path: string): Promise<string | undefined> {
  const { code, stdout } = await asOther(gid, "cat", path)
  return code === 0 ? stdout : undefined
}

/** Gives all that another user can read below a folder that it may go through. */
export async function readableBelow(gid: number, folders: readonly string[]): Promise<string[]> {
  const { stdout } = await asOther(gid, "find", ...folders, "-type", "f", "-readable")
  return stdout.split("\n").filter((line) => line !== "")
}
