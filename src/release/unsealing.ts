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
import type { SealedRelease } from "../seal/sealed-release.ts"
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

/** An opening that was begun by what is decided here, while peers are asked what they know. */
export interface BegunOpening extends UnsealingRequest {
  /** The same, once peers have told: it rejects where it is not approved after all. */
  readonly confirmed: Promise<UnsealingRequest>
  /** Called when a keeper of the gate has granted: peers need not be waited for much longer. */
  readonly onGranted: () => void
}

/**
 * Opens the bag of a sealed release; shares are combined only when it is confirmed that it is approved.
 * Every share is erased when it returns or throws.
 * @returns the files in the release's order; their keys are for the caller to erase
 * @throws {@link ReleaseError} `NOT_IN_AUDIENCE`, `NOT_GRANTED`, `GATE_MISSING`, `GATE_REFUSED`;
 * {@link SealError} as `openRelease`
 */
export async function unsealRelease(
  deps: UnsealingDeps,
  begun: BegunOpening,
  { signal }: { readonly signal: AbortSignal },
): Promise<readonly BagFile[]> {
  const shares = await sharesFor(deps, begun, { signal })
  try {
    await begun.confirmed
    return await openRelease(sealedOf(begun), shares)
  } finally {
    erase(shares.map(({ share }) => share))
  }
}

/** Where what is here is not enough, approvals that peers have told of may be. */
async function sharesFor(
  deps: UnsealingDeps,
  begun: BegunOpening,
  options: { readonly signal: AbortSignal },
): Promise<readonly GrantedShare[]> {
  const { onGranted } = begun
  try {
    return await takeShares(deps, begun, { ...options, onGranted })
  } catch (error) {
    // What peers know may be why: it was withdrawn, and the keeper knew.
    const confirmed = await begun.confirmed
    const isNew = [...confirmed.devices].some((device) => !begun.devices.has(device))
    if (!isNew) throw error
    return await takeShares(deps, confirmed, { ...options, onGranted })
  }
}

/** The parties' shares, then the gate's. @returns for the caller to erase */
async function takeShares(
  deps: UnsealingDeps,
  { known, standing, devices }: UnsealingRequest,
  options: { readonly signal: AbortSignal; readonly onGranted: () => void },
): Promise<readonly GrantedShare[]> {
  const { release } = known
  const sealed = sealedOf({ known })
  const entries = ownEntries(deps, release.said, standing)
  const target = { known, release, sealed, ...standing }
  const shares: GrantedShare[] = []
  try {
    shares.push(...(await gatherShares(deps, { ...target, devices, entries }, options)))
    shares.push(...(await deps.gate.shares(target, options)))
    return shares
  } catch (error) {
    erase(shares.map(({ share }) => share))
    throw error
  }
}

function sealedOf({ known }: Pick<UnsealingRequest, "known">): SealedRelease {
  const { content } = known.release.said
  assert(content.visibility === "sealed", "a release that is unsealed is sealed")
  return content.sealed
}
