/**
 * From where a node opens a release: what is newest, what was decided, and by which entries of the
 * audience it is meant (protocol/release.md §5, opening 1 to 3).
 * @module
 */
import type { Clock } from "../core/clock.ts"
import { codeOf } from "../core/errors.ts"
import type { Logger } from "../core/log.ts"
import type { AccessList } from "../fleet/access-list.ts"
import type { Fleet } from "../fleet/fleet.ts"
import { verifyNotHeldBack } from "../fleet/held-back.ts"
import { verifyClock } from "../fleet/trusted-time.ts"
import { startDeadline } from "../net/deadline.ts"
import type { PeerId } from "../net/net.ts"
import type { Policy } from "../trust/policy.ts"
import type { PublicKey } from "../trust/public-key.ts"
import { formatAssetVersion } from "./asset-name.ts"
import { entriesOf, type OwnEntry } from "./audience-standing.ts"
import { verifyApproved } from "./decision.ts"
import { ReleaseError } from "./errors.ts"
import type { Release } from "./release.ts"
import type { KnownRelease, ReleaseBook } from "./releases.ts"

/** Peers that tell of approvals and withdrawals are waited for no longer than this. */
const GATHER_TIMEOUT_MS = 2_000
/** And no longer than this once a keeper of the gate, who has decided too, has just granted. */
const GRANTED_TIMEOUT_MS = 250

export interface StandingDeps {
  readonly book: ReleaseBook
  readonly fleet: Fleet
  readonly clock: Clock
  readonly log: Logger
}

/** What a node opens from. */
export interface Standing {
  readonly node: PeerId
  readonly list: AccessList
  readonly policy: Policy
  /** Trusted time, milliseconds since 1970. */
  readonly nowMs: number
}

/**
 * Gives what is newest here.
 * @throws {@link ReleaseError} `FLEET_STALE`, `NOT_IN_AUDIENCE` without a fleet, and as `policyOf`;
 * FleetError `CLOCK_BLOCKED`, `FLEET_HELD_BACK`
 */
export async function standingOf(
  { book, fleet }: Pick<StandingDeps, "book" | "fleet">,
  known: KnownRelease,
): Promise<Standing> {
  const { membership } = fleet
  const access = membership?.access()
  if (membership === undefined || access === undefined) {
    throw new ReleaseError("NOT_IN_AUDIENCE", "this node is in no fleet")
  }
  verifyClock(membership)
  verifyNotHeldBack(membership)
  const { policy } = await book.policyOf(known)
  const current = await membership.policy(policy.namespace)
  if (access.isStale || current?.isStale !== false) {
    const what = access.isStale ? "access list" : `policy of ${policy.namespace}`
    throw new ReleaseError("FLEET_STALE", `nothing is opened by a ${what} that has run out`)
  }
  return { node: membership.peer, list: access.list, policy, nowMs: membership.nowMs() }
}

/**
 * Decides by what is here, without a word to anybody.
 * @returns the devices whose approvals count; undefined when it is not approved
 */
export async function approvedHere(
  { book }: Pick<StandingDeps, "book">,
  known: KnownRelease,
): Promise<ReadonlySet<PublicKey> | undefined> {
  const decision = await book.decide(known)
  return decision.kind === "approved" ? decision.devices : undefined
}

/**
 * Decides, after a look at what peers have: one of them may know of a withdrawal.
 * @param options - `granted`: aborted when a keeper of the gate has granted meanwhile
 * @returns the devices whose approvals count
 * @throws {@link ReleaseError} as `verifyApproved`
 */
export async function decideNow(
  { book, clock, log }: Omit<StandingDeps, "fleet">,
  known: KnownRelease,
  { signal, granted }: { readonly signal: AbortSignal; readonly granted?: AbortSignal },
): Promise<ReadonlySet<PublicKey>> {
  const hurry = new AbortController()
  const deadline = startDeadline(clock, GATHER_TIMEOUT_MS, AbortSignal.any([signal, hurry.signal]))
  let clear = () => {}
  const onGranted = () => {
    clear = clock.after(GRANTED_TIMEOUT_MS, () => hurry.abort(new Error("a keeper has granted")))
  }
  granted?.addEventListener("abort", onGranted, { once: true })
  try {
    await book.gather(known, { signal: deadline.signal })
  } catch (error) {
    signal.throwIfAborted()
    log.debug({ code: codeOf(error) }, "peers told nothing of a release")
  } finally {
    granted?.removeEventListener("abort", onGranted)
    clear()
    deadline.clear()
  }
  const decision = await book.decide(known)
  verifyApproved(known.release.said, decision)
  return decision.kind === "approved" ? decision.devices : new Set()
}

/**
 * Gives the entries by which a node may open a release; none where it is not sealed.
 * @throws {@link ReleaseError} `NOT_IN_AUDIENCE`
 */
export function ownEntries(
  { fleet }: Pick<StandingDeps, "fleet">,
  { asset, content }: Release,
  { node, list }: Standing,
): readonly OwnEntry[] {
  if (content.visibility !== "sealed") {
    const isAllowed = content.visibility === "public" || fleet.may(node, "fetch", asset.namespace)
    if (!isAllowed) throw notFor(`this node may not fetch from ${asset.namespace}`)
    return []
  }
  const entries = entriesOf(content.sealed.fields.audience, list, node)
  if (entries.length === 0) throw notFor(`${formatAssetVersion(asset)} is not for this node`)
  if (!fleet.may(node, "open", asset.namespace)) {
    throw notFor(`this node may not open in ${asset.namespace}`)
  }
  return entries
}

function notFor(reason: string): ReleaseError {
  return new ReleaseError("NOT_IN_AUDIENCE", reason)
}
