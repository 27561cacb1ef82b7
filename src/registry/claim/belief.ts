/**
 * Which claims are believed: a pure decision over what peers said (protocol/tag-claim.md §6).
 * @module
 */
import type { PeerSource } from "../../net/net.ts"
import { compareClaims, type TagClaim } from "./claim.ts"

/** A claim by a connected peer, whose signature was found right. */
export interface Vouch {
  readonly claim: TagClaim
  /** How this node came to know the peer. */
  readonly sources: ReadonlySet<PeerSource>
}

/** What decides. */
export interface BeliefRules {
  /** Believes peers found by mDNS like configured ones. */
  readonly trustLanTags: boolean
  /** The newest claim on this tag that this node believed so far. */
  readonly newest: TagClaim | undefined
  /**
   * In a fleet only peers have a voice to whom the access list gives it: then nobody counts alone for an
   * upstream's tag, and each of them for a pushed one, however this node came to know it.
   */
  readonly isFleet?: boolean
}

/** So many peers must agree on an upstream's tag unless one is trusted by itself. */
const VOUCHES_MIN = 2

/** Tells whether a peer is believed alone: it was named by `--peer`, or found by mDNS when allowed. */
export function isTrusted(sources: ReadonlySet<PeerSource>, trustLanTags: boolean): boolean {
  return sources.has("configured") || (trustLanTags && sources.has("mdns"))
}

/**
 * Decides on a tag of an upstream: the digest on which a trusted peer, or two peers, agree and that was
 * seen last; never one seen before the newest believed.
 */
export function believeMirrored(
  vouches: readonly Vouch[],
  { trustLanTags, newest, isFleet = false }: BeliefRules,
): TagClaim | undefined {
  const isAlone = ({ sources }: Vouch) => !isFleet && isTrusted(sources, trustLanTags)
  const groups = Map.groupBy(vouches, ({ claim }) => claim.digest)
  let best: TagClaim | undefined
  for (const [digest, group] of groups) {
    const seen = digest === undefined ? undefined : groupClaim(group, isAlone)
    if (seen === undefined || !isNotOlder(seen, newest)) continue
    if (best === undefined || compareClaims(seen, best) > 0) best = seen
  }
  return best
}

/**
 * Gives the claim of peers that agree, with the time that they prove together: of two needed peers the
 * older one's, so that one liar cannot make an old digest look new.
 */
function groupClaim(
  group: readonly Vouch[],
  isTrustedAlone: (vouch: Vouch) => boolean,
): TagClaim | undefined {
  const byTime = group
    .map((vouch) => ({ claim: vouch.claim, isAlone: isTrustedAlone(vouch) }))
    .sort((left, right) => right.claim.observedAt - left.claim.observedAt)
  const alone = byTime.find(({ isAlone }) => isAlone)?.claim
  const agreed = byTime[VOUCHES_MIN - 1]?.claim
  if (alone === undefined || agreed === undefined) return alone ?? agreed
  return alone.observedAt >= agreed.observedAt ? alone : agreed
}

/** Decides on a pushed tag: the newest claim of a trusted peer, unless an older one than is known. */
export function believePushed(
  vouches: readonly Vouch[],
  { trustLanTags, newest, isFleet = false }: BeliefRules,
): TagClaim | undefined {
  let best = newest
  for (const { claim, sources } of vouches) {
    if (!isFleet && !isTrusted(sources, trustLanTags)) continue
    if (best === undefined || compareClaims(claim, best) > 0) best = claim
  }
  return best
}

/** protocol/tag-claim.md §6: never older than the newest believed, unless it says the same. */
function isNotOlder(claim: TagClaim, newest: TagClaim | undefined): boolean {
  if (newest === undefined || claim.digest === newest.digest) return true
  return compareClaims(claim, newest) >= 0
}
