/**
 * How errors look in JSON, on the control API and on the command line.
 * @module
 */
import { CodedError, codeOf, messageOf } from "../core/errors.ts"
import type { ErrorBody } from "./api.ts"

/** Gives the body of an error. One without a code is a fault of ours: its text stays in the log. */
export function errorBodyOf(error: unknown): ErrorBody {
  if (error instanceof CodedError) {
    const { code, message, details } = error
    return { error: { code, message, ...(details === undefined ? {} : { details }) } }
  }
  const reason = codeOf(error) ?? (error instanceof Error ? error.name : "unknown")
  const message = `something failed inside the node (${reason}): ${firstLine(messageOf(error))}`
  return { error: { code: "INTERNAL", message } }
}

function firstLine(text: string): string {
  return text.split("\n", 1)[0]!.slice(0, 200)
}
