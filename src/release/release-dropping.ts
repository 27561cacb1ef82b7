/**
 * Which releases of a namespace need not be listed any more, so that there is room for new ones
 * (protocol/tuf-profile.md §5, publishing 3; §7).
 * @module
 */
import type { Membership } from "../fleet/fleet.ts"
import type { AssetVersion } from "./asset-name.ts"
import { assetOfPath, isSameName, releasePath } from "./release-listing.ts"
import type { KnownRelease, ReleaseBook } from "./releases.ts"

/** A namespace lists at most 512; what is left is for releases that live. */
export const LISTED_MAX = 384

export interface DroppingDeps {
  readonly membership: Pick<Membership, "targets" | "nowMs">
  readonly book: Pick<ReleaseBook, "list" | "decide">
}

/**
 * Gives the paths of releases that may go when one more is listed: only what has ended or was
 * withdrawn, the oldest first. The newest of a name stays, so that no sequence is used twice.
 */
export async function surplusReleases(
  { membership, book }: DroppingDeps,
  namespace: string,
  { listedMax }: { readonly listedMax: number },
): Promise<readonly string[]> {
  const all = membership.targets().flatMap(({ path }) => assetOfPath(path) ?? [])
  const listed = all.filter((asset) => asset.namespace === namespace)
  const surplus = listed.length + 1 - listedMax
  if (surplus <= 0) return []
  const earlier = new Set(listed.filter((asset) => !isNewest(asset, listed)).map(releasePath))
  const dropped: string[] = []
  for (const known of oldestFirst(book.list())) {
    const path = releasePath(known.release.said.asset)
    if (!earlier.has(path)) continue
    if (await isOver({ membership, book }, known)) dropped.push(path)
    if (dropped.length === surplus) break
  }
  return dropped
}

function isNewest(asset: AssetVersion, listed: readonly AssetVersion[]): boolean {
  return !listed.some((other) => isSameName(other, asset) && other.sequence > asset.sequence)
}

function oldestFirst(releases: readonly KnownRelease[]): readonly KnownRelease[] {
  return releases.toSorted(
    (one, other) => one.release.said.createdAtMs - other.release.said.createdAtMs,
  )
}

async function isOver({ membership, book }: DroppingDeps, known: KnownRelease): Promise<boolean> {
  if (known.release.said.expiresAtMs < membership.nowMs()) return true
  try {
    return (await book.decide(known)).kind === "withdrawn"
  } catch {
    // A release that cannot be decided is not over, and keeps no new one from being listed.
    return false
  }
}
