/**
 * The roles of a fleet, and which files each of them may sign (protocol/tuf-profile.md §4).
 * @module
 */
import { parseCountText } from "../../core/count-text.ts"
import { isName, isSlashedName, SLASHED_NAME_PARTS_MAX } from "../../core/name.ts"

/** The delegated role of the access list. */
export const ACCESS_ROLE = "access"
/** The delegated role of rollout plans. */
export const PLAN_ROLE = "plan"
/** Roles whose holders the root names; targets names those of the others. */
export const ROOT_ROLES = ["root", "targets", "desk"] as const
const RELEASES_PREFIX = "releases."

/** Gives the delegated role that signs the releases of a namespace. */
export function releasesRole(namespace: string): string {
  return `${RELEASES_PREFIX}${namespace}`
}

/** Whether the root names a role's holders. */
export function isRootRole(role: string): role is (typeof ROOT_ROLES)[number] {
  return (ROOT_ROLES as readonly string[]).includes(role)
}

/** Whether a role signs the releases of a namespace. */
export function isReleasesRole(role: string): boolean {
  return role.startsWith(RELEASES_PREFIX)
}

/**
 * Gives the only paths that a delegated role may be given, as TUF patterns.
 * @returns undefined when a fleet has no such role
 */
export function pathsOfRole(role: string): readonly string[] | undefined {
  if (role === ACCESS_ROLE) return ["access.json"]
  if (role === PLAN_ROLE) return ["plans/*/*"]
  const namespace = isReleasesRole(role) ? role.slice(RELEASES_PREFIX.length) : ""
  if (!isName(namespace)) return undefined
  // A TUF pattern's asterisk stops at a slash, so there is one pattern for each number of parts.
  const parts = Array.from({ length: SLASHED_NAME_PARTS_MAX }, (_, index) => "/*".repeat(index + 1))
  return parts.map((asset) => `releases/${namespace}${asset}/*`)
}

/**
 * Gives the role that signs a target file.
 * @returns undefined when a fleet has no such file
 */
export function roleOfTarget(path: string): string | undefined {
  if (!path.endsWith(".json")) return undefined
  const [folder, ...parts] = path.slice(0, -".json".length).split("/")
  const [first = "", second = ""] = parts
  switch (folder) {
    case "witnesses":
      return parts.length === 0 ? "targets" : undefined
    case "access":
      return parts.length === 0 ? ACCESS_ROLE : undefined
    case "policy":
      return parts.length === 1 && isName(first) ? "targets" : undefined
    case "plans":
      return parts.length === 2 && isName(first) && isCount(second) ? PLAN_ROLE : undefined
    case "releases":
      return isRelease(parts) ? releasesRole(first) : undefined
    default:
      return undefined
  }
}

/** A namespace, the parts of an asset's name, a sequence. */
function isRelease([namespace = "", ...rest]: readonly string[]): boolean {
  const asset = rest.slice(0, -1).join("/")
  return isName(namespace) && isSlashedName(asset) && isCount(rest.at(-1) ?? "")
}

function isCount(text: string): boolean {
  return parseCountText(text) !== undefined
}
