/**
 * From an approved release to the keys of its files: the parties' shares, the gate's, the bag
 * (protocol/release.md §5, opening 4 to 6).
 * @module
 */
import { assert } from "../core/errors.ts"
import type { BagFile } from "../seal/bag.ts"
import type { GrantedShare } from "../seal/grant.ts"
import { erase } from "../seal/release-key.ts"
import { openRelease } from "../seal/release-opening.ts"
import type { PublicKey } from "../trust/public-key.ts"
import type { GateAsker } from "./gate-asking.ts"
import { type GatheringDeps, gatherShares } from "./grant-gathering.ts"
import { ownEntries, type Standing, type StandingDeps } from "./opening-standing.ts"
import type { KnownRelease } from "./releases.ts"

export interface UnsealingDeps extends StandingDeps, GatheringDeps {
  readonly gate: GateAsker
}

/** What is unsealed, and what was found out before. */
export interface UnsealingRequest {
  readonly known: KnownRelease
  readonly standing: Standing
  /** Whose approvals count. */
  readonly devices: ReadonlySet<PublicKey>
}

/**
 * Opens the bag of a sealed release. Every share is erased when it returns or throws.
 * @returns the files in the release's order; their keys are for the caller to erase
 * @throws {@link ReleaseError} `NOT_IN_AUDIENCE`, `NOT_GRANTED`, `GATE_MISSING`, `GATE_REFUSED`;
 * {@link SealError} as `openRelease`
 */
export async function unsealRelease(
  deps: UnsealingDeps,
  { known, standing, devices }: UnsealingRequest,
  { signal }: { readonly signal: AbortSignal },
): Promise<readonly BagFile[]> {
  const { release } = known
  const { content } = release.said
  assert(content.visibility === "sealed", "a release that is unsealed is sealed")
  const { sealed } = content
  const entries = ownEntries(deps, release.said, standing)
  const target = { known, release, sealed, ...standing }
  const shares: GrantedShare[] = []
  try {
    shares.push(...(await gatherShares(deps, { ...target, devices, entries }, { signal })))
    shares.push(...(await deps.gate.shares(target, { signal })))
    return await openRelease(sealed, shares)
  } finally {
    erase(shares.map(({ share }) => share))
  }
}
