/**
 * Decides what a sweep removes: the least recently used of what nobody holds.
 * @module
 */
import type { Digest } from "../core/digest.ts"
import { StoreError } from "./errors.ts"

/** A blob that could go: neither pinned, leased nor on its way in. */
export interface Candidate {
  readonly digest: Digest
  readonly sizeBytes: number
  readonly lastUsedMs: number
}

/** Tells which blobs go only when all others that could go are gone. */
export type GoesLast = (digest: Digest) => boolean

/**
 * Gives the least recently used candidates that together free at least `bytes`; fewer when all of
 * them are not enough. Blobs of no bytes free nothing and stay.
 */
export function leastRecentlyUsed<T extends Candidate>(
  candidates: Iterable<T>,
  bytes: number,
  goesLast: GoesLast = () => false,
): readonly T[] {
  if (bytes <= 0) return []
  const all = [...candidates].filter((candidate) => candidate.sizeBytes > 0)
  const last = new Set(all.filter(({ digest }) => goesLast(digest)))
  const ordered = all.sort(
    (a, b) =>
      Number(last.has(a)) - Number(last.has(b)) ||
      a.lastUsedMs - b.lastUsedMs ||
      (a.digest < b.digest ? -1 : 1),
  )
  let freed = 0
  const chosen: T[] = []
  for (const candidate of ordered) {
    if (freed >= bytes) break
    chosen.push(candidate)
    freed += candidate.sizeBytes
  }
  return chosen
}

/**
 * Chooses what must go so that `wantedBytes` more fit under the quota.
 * @throws StoreError `QUOTA_EXCEEDED` when that cannot be; then nothing should go
 */
export function makeRoom<T extends Candidate>(
  candidates: Iterable<T>,
  amounts: { usedBytes: number; quotaBytes: number; wantedBytes: number },
  goesLast?: GoesLast,
): readonly T[] {
  const { usedBytes, quotaBytes, wantedBytes } = amounts
  const missing = usedBytes + wantedBytes - quotaBytes
  if (missing <= 0) return []
  const chosen = leastRecentlyUsed(candidates, missing, goesLast)
  const freed = chosen.reduce((sum, candidate) => sum + candidate.sizeBytes, 0)
  if (freed < missing) {
    throw new StoreError(
      "QUOTA_EXCEEDED",
      `${wantedBytes} more bytes do not fit: ${usedBytes} of ${quotaBytes} are used and only ` +
        `${freed} could be swept`,
      { details: { wantedBytes, usedBytes, quotaBytes, sweepableBytes: freed } },
    )
  }
  return chosen
}
