/**
 * The roles of a fleet, and which files each of them may sign (protocol/tuf-profile.md §4).
 * @module
 */

/** The delegated role of the access list. */
export const ACCESS_ROLE = "access"
/** The delegated role of rollout plans. */
export const PLAN_ROLE = "plan"
const RELEASES_PREFIX = "releases."

const NAME = /^[a-z0-9]+(?:[._-][a-z0-9]+)*$/
const NAME_LENGTH_MAX = 64
/** The name of an asset has parts with slashes between (protocol/release.md §4). */
const ASSET_NAME_LENGTH_MAX = 128
const ASSET_NAME_PARTS_MAX = 8
/** Whole numbers from 1 to 2^53 − 1, written in one way only. */
const COUNT = /^[1-9][0-9]{0,15}$/

/** Gives the delegated role that signs the releases of a namespace. */
export function releasesRole(namespace: string): string {
  return `${RELEASES_PREFIX}${namespace}`
}

/**
 * Gives the only paths that a delegated role may be given, as TUF patterns.
 * @returns undefined when a fleet has no such role
 */
export function pathsOfRole(role: string): readonly string[] | undefined {
  if (role === ACCESS_ROLE) return ["access.json"]
  if (role === PLAN_ROLE) return ["plans/*/*"]
  const namespace = role.startsWith(RELEASES_PREFIX) ? role.slice(RELEASES_PREFIX.length) : ""
  if (!isName(namespace)) return undefined
  // A TUF pattern's asterisk stops at a slash, so there is one pattern for each number of parts.
  const parts = Array.from({ length: ASSET_NAME_PARTS_MAX }, (_, index) => "/*".repeat(index + 1))
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
  const asset = rest.slice(0, -1)
  const isAsset =
    asset.length > 0 &&
    asset.length <= ASSET_NAME_PARTS_MAX &&
    asset.join("/").length <= ASSET_NAME_LENGTH_MAX &&
    asset.every((part) => NAME.test(part))
  return isName(namespace) && isAsset && isCount(rest.at(-1) ?? "")
}

function isName(text: string): boolean {
  return text.length <= NAME_LENGTH_MAX && NAME.test(text)
}

function isCount(text: string): boolean {
  return COUNT.test(text) && Number.isSafeInteger(Number(text))
}
