/**
 * Who may fetch now. Members of a fleet owe each other nothing, so turns go round; slots exist so that
 * those who are served are served well.
 * @module
 */

/** Somebody who wants to fetch. */
export interface Candidate {
  readonly isChoked: boolean
  /** Monotonic time of the last change of {@link isChoked}, milliseconds. */
  readonly sinceMs: number
  /** Bytes it took since the last decision. */
  readonly takenBytes: number
}

/** A turn lasts at least this long when others wait. */
const TURN_MS_MIN = 10_000

/**
 * Chooses who is served: all, when there are slots for all. Otherwise those whose turn is not over and
 * who take what they are given, then those who wait longest.
 */
export function chooseUnchoked<C extends Candidate>(
  candidates: readonly C[],
  options: { slots: number; nowMs: number },
): ReadonlySet<C> {
  const { slots, nowMs } = options
  if (candidates.length <= slots) return new Set(candidates)
  const isInTurn = (one: C) =>
    !one.isChoked && one.takenBytes > 0 && nowMs - one.sinceMs < TURN_MS_MIN
  const rank = (one: C) => (isInTurn(one) ? 0 : one.isChoked ? 1 : 2)
  const sorted = [...candidates].sort((a, b) => rank(a) - rank(b) || a.sinceMs - b.sinceMs)
  return new Set(sorted.slice(0, slots))
}
