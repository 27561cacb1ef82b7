/**
 * Turns what the schema found into one line: the key, the value, where it stands, what is allowed.
 * @module
 */
import { DaemonError } from "./errors.ts"

/** An issue of zod, as far as this schema can raise it. */
export interface ConfigIssue {
  readonly code: string
  readonly path: readonly PropertyKey[]
  readonly message: string
  readonly expected?: string
  readonly maximum?: number
  readonly keys?: readonly string[]
  readonly issues?: readonly { readonly message: string }[]
}

const VALUE_CHARS_MAX = 80

/**
 * Makes the error of one issue.
 * @param root - what was checked
 * @param sourceOf - tells where a key was given
 * @param keysAt - tells which keys a table may have
 */
export function configFault(
  issue: ConfigIssue,
  root: unknown,
  lookup: {
    sourceOf: (path: readonly PropertyKey[]) => string
    keysAt: (path: readonly PropertyKey[]) => readonly string[]
  },
): DaemonError {
  if (issue.code === "unrecognized_keys") {
    const path = [...issue.path, issue.keys?.[0] ?? ""]
    const allowed = lookup.keysAt(issue.path).join(", ")
    return fault(`unknown key ${keyText(path)}`, { path, allowed, source: lookup.sourceOf(path) })
  }
  const value = shownValue(issue.path, valueAt(root, issue.path))
  const source = lookup.sourceOf(issue.path)
  const allowed = allowedBy(issue)
  if (issue.code === "invalid_key") {
    return fault(`bad key ${keyText(issue.path)}`, { path: issue.path, allowed, source })
  }
  const what = `${keyText(issue.path)} is ${value}`
  return fault(what, { path: issue.path, value, allowed, source })
}

function fault(
  what: string,
  place: { path: readonly PropertyKey[]; value?: string; allowed: string; source: string },
): DaemonError {
  const { path, ...details } = place
  return new DaemonError(
    "CONFIG_INVALID",
    `cannot use the configuration: ${what} (${place.source}); allowed: ${place.allowed}`,
    { details: { key: keyText(path), ...details } },
  )
}

function allowedBy(issue: ConfigIssue): string {
  switch (issue.code) {
    case "custom":
      return issue.message
    case "invalid_key":
      return issue.issues?.[0]?.message ?? issue.message
    case "too_big":
      return `at most ${issue.maximum} entries`
    case "invalid_type":
      return issue.expected === "array" ? "a list" : "a table of keys"
    default:
      return issue.message
  }
}

/** Writes a key as people do: `upstreams.hub.url`, `peers[1]`; a part with a dot is quoted. */
function keyText(path: readonly PropertyKey[]): string {
  const parts = path.map((part, index) => {
    if (typeof part === "number") return `[${part}]`
    const text = String(part)
    const shown = /^[\w-]+$/.test(text) ? text : JSON.stringify(text.slice(0, VALUE_CHARS_MAX))
    return index === 0 ? shown : `.${shown}`
  })
  return parts.join("")
}

function valueAt(root: unknown, path: readonly PropertyKey[]): unknown {
  let value = root
  for (const part of path) {
    const isTable = typeof value === "object" && value !== null && Object.hasOwn(value, part)
    value = isTable ? (value as Record<PropertyKey, unknown>)[part] : undefined
  }
  return value
}

/** Shows a value, but never a password that somebody wrote into the file after all. */
function shownValue(path: readonly PropertyKey[], value: unknown): string {
  const name = path.at(-1)
  const isSecret =
    name === "password" || name === "token" || (name === "url" && String(value).includes("@"))
  if (isSecret) return "(not shown)"
  const text = JSON.stringify(value) ?? "not given"
  return text.length > VALUE_CHARS_MAX ? `${text.slice(0, VALUE_CHARS_MAX)}…` : text
}
