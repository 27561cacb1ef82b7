/**
 * What the texts of a plan may be, in its file and in its statement alike (protocol/rollout.md §4, texts).
 * @module
 */
import { posix } from "node:path"
import { ARGUMENT_BYTES_MAX } from "./plan.ts"

/** What is filled in on the node, in `${…}`. */
export const PLACEHOLDERS: readonly string[] = ["node", "release", "path"]
const PLACEHOLDER = /\$\{([^}]*)(\}?)/g
const PATH_BYTES_MAX = 1_024
const URL_BYTES_MAX = 2_048
/** A server, and what is asked of it; no name, password or fragment, and nothing filled in before the path. */
const WEB_URL = /^https?:\/\/[^\s/?#@\\${}]+(?:[/?][^\s#\\]*)?$/
/** What runtimes and systemd take for a name, and none for an option. */
const CONTAINER = /^[A-Za-z0-9][A-Za-z0-9_.@-]{0,127}$/
const CONTROL = /\p{Cc}/u

/** Gives the first `${…}` of a text that nobody fills in, without its end if it has none. */
export function unknownPlaceholder(text: string): string | undefined {
  for (const [whole, name = "", end] of text.matchAll(PLACEHOLDER)) {
    if (end === "" || !PLACEHOLDERS.includes(name)) return whole
  }
  return undefined
}

/**
 * Tells whether a text may be an argument of a program; it may be empty. A `${…}` that nobody fills in
 * stays as it is: to a program it may mean something.
 */
export function isArgument(text: string): boolean {
  const isShort = Buffer.byteLength(text) <= ARGUMENT_BYTES_MAX
  return isShort && text.isWellFormed() && !text.includes("\0")
}

/** Tells whether a text is the absolute path of a program: which one runs depends on nothing else. */
export function isProgram(text: string): boolean {
  return isAbsolutePath(text) && !text.includes("${")
}

/** Tells whether a text is an absolute path of one form, in which something may be filled in. */
export function isLinkPath(text: string): boolean {
  return isAbsolutePath(text) && isFillable(text)
}

/** Tells whether a text is a URL of a web server whose origin is written out. */
export function isWebUrl(text: string): boolean {
  const isShort = Buffer.byteLength(text) <= URL_BYTES_MAX
  return isShort && WEB_URL.test(text) && isFillable(text) && URL.canParse(text)
}

/** Tells whether a text may name a container or a unit. */
export function isContainerName(text: string): boolean {
  return CONTAINER.test(text)
}

function isAbsolutePath(text: string): boolean {
  if (Buffer.byteLength(text) > PATH_BYTES_MAX || CONTROL.test(text)) return false
  // One folder has one path: no `//`, `.` and `..`, and no slash at the end.
  const isPlain = text === posix.normalize(text) && !text.endsWith("/")
  return isPlain && text.startsWith("/") && text.isWellFormed()
}

function isFillable(text: string): boolean {
  return text.isWellFormed() && unknownPlaceholder(text) === undefined
}
