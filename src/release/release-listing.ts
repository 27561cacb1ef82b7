/**
 * Releases as the fleet lists them: paths of target files, and what comes too late
 * (protocol/release.md §5, accepting a release).
 * @module
 */
import { type AssetVersion, formatAssetVersion, parseAssetVersion } from "./asset-name.ts"

const FOLDER = "releases/"
const SUFFIX = ".json"

/** Gives the path of a release's target file. */
export function releasePath({ namespace, name, sequence }: AssetVersion): string {
  return `${FOLDER}${namespace}/${name}/${sequence}${SUFFIX}`
}

/** Gives the asset that a target file is a release of; undefined when it is none. */
export function assetOfPath(path: string): AssetVersion | undefined {
  if (!path.startsWith(FOLDER) || !path.endsWith(SUFFIX)) return undefined
  const text = path.slice(FOLDER.length, -SUFFIX.length)
  const slash = text.lastIndexOf("/")
  if (slash < 0) return undefined
  try {
    return parseAssetVersion(`${text.slice(0, slash)}@${text.slice(slash + 1)}`)
  } catch {
    // A file of another kind: nobody has to say why.
    return undefined
  }
}

/**
 * Tells whether a release comes too late: the targets that a reader had before do not list it, and
 * list one of its name that is not below it.
 * @param before - their paths; undefined: these are the reader's first targets
 */
export function isRollback(asset: AssetVersion, before: ReadonlySet<string> | undefined): boolean {
  if (before === undefined || before.has(releasePath(asset))) return false
  for (const path of before) {
    const other = assetOfPath(path)
    if (other !== undefined && isSameName(other, asset) && other.sequence >= asset.sequence) {
      return true
    }
  }
  return false
}

/** Tells whether two versions are of one asset. */
export function isSameName(
  one: Omit<AssetVersion, "sequence">,
  other: Omit<AssetVersion, "sequence">,
): boolean {
  return one.namespace === other.namespace && one.name === other.name
}

/** Sorts by name, the newest sequence first. */
export function byNameAndAge(one: AssetVersion, other: AssetVersion): number {
  if (isSameName(one, other)) return other.sequence - one.sequence
  return formatAssetVersion(one) < formatAssetVersion(other) ? -1 : 1
}
