/**
 * The log of a node: `pino` behind the `Logger` port, as JSON lines or, on a terminal, as short ones.
 * @module
 */
import pino from "pino"
import { codeOf, messageOf } from "../core/errors.ts"
import type { Logger } from "../core/log.ts"
import type { NodeConfig } from "./config-schema.ts"

/** Where lines go; `process.stderr` fits. */
export interface LogSink {
  write(text: string): unknown
  readonly isTTY?: boolean | undefined
}

const LEVEL_NAMES: Readonly<Record<number, string>> = {
  20: "debug",
  30: "info",
  40: "WARN",
  50: "ERROR",
}
const LEVEL_WIDTH = 5
const VALUE_CHARS_MAX = 200

/** Makes the log. Stack traces are written only when `isDebug` is set. */
export function createLog(
  sink: LogSink,
  options: NodeConfig["log"] & { isDebug: boolean },
): Logger {
  const isPretty = options.format === "pretty" || (options.format === "auto" && sink.isTTY === true)
  const write = (line: string) => sink.write(isPretty ? prettyLine(line) : line)
  const describe = (error: unknown) => describeError(error, options.isDebug)
  return pino(
    {
      level: options.level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      serializers: { error: describe, err: describe },
    },
    { write },
  )
}

function describeError(error: unknown, hasStack: boolean): unknown {
  if (!(error instanceof Error)) return error
  const cause = error.cause === undefined ? {} : { cause: messageOf(error.cause) }
  const stack = hasStack ? { stack: error.stack } : {}
  return { code: codeOf(error), message: error.message, ...cause, ...stack }
}

/** Shortens a JSON line: time, level, message, then the fields as `key=value`. */
export function prettyLine(line: string): string {
  const { level, time, msg, ...fields } = JSON.parse(line) as Record<string, unknown>
  const name = (LEVEL_NAMES[Number(level)] ?? String(level)).padEnd(LEVEL_WIDTH)
  const pairs = Object.entries(fields).map(([key, value]) => `${key}=${shown(value)}`)
  return `${[String(time).slice(11, 23), name, oneLine(String(msg)), ...pairs].join(" ")}\n`
}

function shown(value: unknown): string {
  const isError = typeof value === "object" && value !== null && "message" in value
  const text = isError ? String(value.message) : typeof value === "string" ? value : undefined
  return oneLine(text ?? JSON.stringify(value)).slice(0, VALUE_CHARS_MAX)
}

/** What peers and upstreams say may hold control characters; a terminal must not obey them. */
function oneLine(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}]+/gu, " ")
}
