/**
 * The file of a plan, or of a release's activation: YAML, read like a configuration file, into what the control API takes.
 * @module
 */
import { messageOf } from "../core/errors.ts"
import { RolloutError } from "../rollout/errors.ts"
import { parseConfigFile } from "./config-file.ts"
import { DaemonError } from "./errors.ts"

/** Largest file of a plan. */
export const PLAN_FILE_BYTES_MAX: number = 256 * 1024

/**
 * Reads the text of such a file.
 * @param what - completes "cannot use the …"
 * @throws {@link RolloutError} `PLAN_INVALID`, with the line
 */
export function parsePlanDocument(
  path: string,
  text: string,
  what = "plan",
): Readonly<Record<string, unknown>> {
  try {
    return parseConfigFile(path, text).values
  } catch (cause) {
    if (!(cause instanceof DaemonError)) throw cause
    const reason = messageOf(cause).replace("cannot use the configuration: ", "")
    throw new RolloutError("PLAN_INVALID", `cannot use the ${what}: ${reason}`, { cause })
  }
}
