/**
 * Names what a new release requires by digest: releases that are known here (protocol/release.md §4).
 * @module
 */
import { formatAssetVersion } from "./asset-name.ts"
import { ReleaseError } from "./errors.ts"
import type { Requirement } from "./release.ts"
import { REQUIRES_MAX } from "./release-predicate.ts"
import type { PublishRequest, ReleaseBook } from "./releases.ts"

/**
 * Gives what is required, each by the digest of the release that is known here under its name.
 * @returns in the order of the request; of one that is issued anew, unless told, what the earlier one
 * requires
 * @throws {@link ReleaseError} `RELEASE_UNKNOWN`; `PUBLISH_INVALID` for one twice, or too many
 */
export function requirementsOf(
  request: Pick<PublishRequest, "namespace" | "name" | "requires" | "reissues">,
  book: Pick<ReleaseBook, "find">,
): readonly Requirement[] {
  const { namespace, name, requires, reissues } = request
  if (requires === undefined) {
    if (reissues === undefined) return []
    return book.find({ namespace, name, sequence: reissues })?.release.said.requires ?? []
  }
  const texts = requires.map(formatAssetVersion)
  if (texts.length > REQUIRES_MAX || new Set(texts).size < texts.length) {
    throw new ReleaseError(
      "PUBLISH_INVALID",
      `a release requires up to ${REQUIRES_MAX} others, each once`,
    )
  }
  return requires.map((asset, index) => {
    const known = book.find(asset)
    if (known !== undefined) return { asset, digest: known.release.digest }
    throw new ReleaseError(
      "RELEASE_UNKNOWN",
      `${texts[index]}, which it requires, is not known here`,
    )
  })
}
