/**
 * Names of assets, and of their versions (protocol/release.md §4, names).
 * @module
 */
import { parseCountText } from "../core/count-text.ts"
import { isName, isSlashedName } from "../core/name.ts"
import { ReleaseError } from "./errors.ts"

/** Longest text of a version: each of its parts at its longest. */
const TEXT_CHARACTERS_MAX = 256
/** What files of a release's statement end in: a part of a name is a folder of theirs. */
const FILE_SUFFIX = ".json"

/** One version of an asset. */
export interface AssetVersion {
  readonly namespace: string
  /** 1 … 8 parts with `/` between. */
  readonly name: string
  /** 1 … 2^53−1. */
  readonly sequence: number
}

/** Tells whether a text may name an asset within its namespace. */
export function isAssetName(text: string): boolean {
  return isSlashedName(text) && !text.split("/").some((part) => part.endsWith(FILE_SUFFIX))
}

/** Writes a version as `NAMESPACE/NAME@SEQUENCE`. */
export function formatAssetVersion({ namespace, name, sequence }: AssetVersion): string {
  return `${namespace}/${name}@${sequence}`
}

/**
 * Reads `NAMESPACE/NAME@SEQUENCE`; each version has one text.
 * @throws {@link ReleaseError} `ASSET_VERSION_INVALID`
 */
export function parseAssetVersion(text: string): AssetVersion {
  const [path = "", digits = "", ...rest] = text.split("@")
  const slash = path.indexOf("/")
  const [namespace, name] = [path.slice(0, Math.max(slash, 0)), path.slice(slash + 1)]
  const sequence = parseCountText(digits)
  const isRight =
    text.length <= TEXT_CHARACTERS_MAX &&
    rest.length === 0 &&
    isName(namespace) &&
    isAssetName(name)
  if (isRight && sequence !== undefined) return { namespace, name, sequence }
  const message = `${JSON.stringify(text.slice(0, 80))} is no NAMESPACE/NAME@SEQUENCE`
  throw new ReleaseError("ASSET_VERSION_INVALID", message)
}
