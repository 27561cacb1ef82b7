/**
 * Names of assets, and of their versions (protocol/release.md §4, names).
 * @module
 */
import { isName } from "../fleet/access-field.ts"
import { ReleaseError } from "./errors.ts"

/** Longest name of an asset in characters. */
const NAME_CHARACTERS_MAX = 128
/** Most parts of a name, with slashes between. */
const NAME_PARTS_MAX = 8
/** Longest text of a version: each of its parts at its longest. */
const TEXT_CHARACTERS_MAX = 256
const SEQUENCE = /^[1-9][0-9]{0,15}$/
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
  const parts = text.split("/")
  if (text.length > NAME_CHARACTERS_MAX || parts.length > NAME_PARTS_MAX) return false
  return parts.every((part) => isNamePart(part) && !part.endsWith(FILE_SUFFIX))
}

/** Tells whether a number may be a sequence. */
export function isSequence(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 1
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
  const sequence = Number(digits)
  const isRight =
    text.length <= TEXT_CHARACTERS_MAX &&
    rest.length === 0 &&
    isName(namespace) &&
    isAssetName(name) &&
    SEQUENCE.test(digits) &&
    isSequence(sequence)
  if (isRight) return { namespace, name, sequence }
  const message = `${JSON.stringify(text.slice(0, 80))} is no NAMESPACE/NAME@SEQUENCE`
  throw new ReleaseError("ASSET_VERSION_INVALID", message)
}

/** A part has a namespace's alphabet, but the bound of the whole name. */
function isNamePart(part: string): boolean {
  return /^[a-z0-9]+(?:[._-][a-z0-9]+)*$/.test(part)
}
