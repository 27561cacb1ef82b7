/**
 * What the routes of releases are made of.
 * @module
 */
import type { Clock } from "../core/clock.ts"
import type { Opener, Publisher, ReleaseBook, ReleaseBundles } from "../release/releases.ts"
import { ApiError } from "./errors.ts"
import { type FleetRouteDeps, membershipOf } from "./fleet-deps.ts"

/** What is kept of releases is read within this time after a join. */
const OPENING_MS_MAX = 10_000
const OPENING_POLL_MS = 50

/** The releases of a node. */
export interface ReleaseDeps {
  readonly book: ReleaseBook
  readonly publisher: Publisher
  readonly opener: Opener
  readonly bundles: ReleaseBundles
}

/** What the routes of releases are made of. */
export interface ReleaseRouteDeps extends FleetRouteDeps {
  /** Undefined: this node has no part that knows of releases. */
  readonly releases?: ReleaseDeps | undefined
  readonly clock: Clock
}

/**
 * Gives the part that knows of releases. It is opened when a node joins, which may have been a moment ago.
 * @throws FleetError `NOT_ENROLLED`
 */
export async function releasesOf(
  deps: ReleaseRouteDeps,
  { signal }: { readonly signal: AbortSignal },
): Promise<ReleaseDeps> {
  membershipOf(deps)
  const untilMs = deps.clock.monotonicMs() + OPENING_MS_MAX
  while (deps.releases === undefined) {
    if (deps.clock.monotonicMs() >= untilMs) throw notOpened()
    await deps.clock.sleep(OPENING_POLL_MS, { signal })
  }
  return deps.releases
}

function notOpened(): ApiError {
  return new ApiError("INTERNAL", "the releases are not opened here; the node's log says why")
}
