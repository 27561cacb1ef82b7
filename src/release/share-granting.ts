/**
 * A device's share, sealed for each recipient of an audience (protocol/release.md §5, approving 2, 4).
 * @module
 */
import { rawOf } from "../core/digest.ts"
import { codeOf } from "../core/errors.ts"
import type { DeviceKey } from "../fleet/device.ts"
import { makeGrant } from "../seal/grant.ts"
import { erase } from "../seal/release-key.ts"
import { type TakenShare, takeShare } from "../seal/share.ts"
import { rawOfPublicKey } from "../trust/public-key.ts"
import type { EntryRecipient, SkippedEntry } from "./audience-recipients.ts"
import { ReleaseError } from "./errors.ts"
import type { Grant } from "./grant-list.ts"
import type { Release } from "./release.ts"
import type { Signed } from "./signed.ts"

/** What is granted to whom. */
export interface Granting {
  readonly release: Signed<Release>
  readonly recipients: readonly EntryRecipient[]
}

export interface GrantingOptions {
  readonly signal?: AbortSignal | undefined
  /** Told how many grants are sealed, of all. */
  readonly onProgress?: ((doneCount: number, totalCount: number) => void) | undefined
}

/** Grants that were made, in the audience's order. */
export interface MadeGrants {
  readonly grants: readonly Grant[]
  readonly skipped: readonly SkippedEntry[]
}

/**
 * Takes the share of a device and seals it for each recipient; none where a release is not sealed.
 * @throws {@link ReleaseError} `AUDIENCE_EMPTY`; {@link SealError} as `takeShare`
 */
export async function grantShare(
  { release, recipients }: Granting,
  device: DeviceKey,
  options: GrantingOptions,
): Promise<MadeGrants> {
  const { content } = release.said
  if (content.visibility !== "sealed") return { grants: [], skipped: [] }
  const taker = { device: rawOfPublicKey(device.key), secret: device.exportIdentity() }
  const taken = await takeShare(content.sealed, taker)
  try {
    const made = await sealGrants(taken, { release, recipients }, options)
    if (made.grants.length > 0) return made
    throw new ReleaseError("AUDIENCE_EMPTY", "nobody of the audience can be sealed to now")
  } finally {
    erase([taken.share])
  }
}

async function sealGrants(
  taken: TakenShare,
  { release, recipients }: Granting,
  { signal, onProgress }: GrantingOptions,
): Promise<MadeGrants> {
  const terms = { release: rawOf(release.digest), notAfter: release.said.expiresAtMs }
  const grants: Grant[] = []
  const skipped: SkippedEntry[] = []
  for (const [index, { to, recipient }] of recipients.entries()) {
    signal?.throwIfAborted()
    try {
      grants.push({ to, file: await makeGrant(taken, { ...terms, recipient }) })
    } catch (error) {
      // One entry that is broken must not stop an approval for the others: it is named instead.
      if (codeOf(error) !== "RECIPIENT_INVALID") throw error
      skipped.push({ entry: to, reason: "recipient-invalid" })
    }
    onProgress?.(index + 1, recipients.length)
  }
  return { grants, skipped }
}
