/**
 * Whether a window is open, by the clock on the wall of the node (protocol/rollout.md §4, windows).
 *
 * What the clock shows decides, and nothing else. So on the day on which it skips an hour a window whose
 * begin is in that hour opens at the first minute after it, and one that lies in it whole does not open;
 * an hour that is shown twice counts twice: a window from 01:30 to 02:30 is then open from 01:30 to
 * 02:30, and again from 02:00 to 02:30. A window means "while nobody works", and people go by the clock.
 * @module
 */
import { DAY_MINUTES, nextClockTurnMs, wallTime } from "../core/wall-clock.ts"
import type { Window } from "./plan.ts"

/** Longest look ahead: a week, another one if the clock skips the window, and a bit. */
const SEARCH_MS_MAX: number = 16 * 86_400_000

/**
 * Tells whether a node may activate. A window that ends at the minute at which it begins is a whole day.
 * @param atMs - milliseconds since 1970
 * @param timeZone - IANA name of the node's time zone (`isTimeZone`)
 */
export function isOpen(window: Window, atMs: number, timeZone: string): boolean {
  const { fromMinute, toMinute, days } = window
  const { minute, day } = wallTime(timeZone, atMs)
  // The clock's Sunday is 0, and a window's is 7.
  const today = day === 0 ? 7 : day
  const yesterday = today === 1 ? 7 : today - 1
  const hasBegun = days.includes(today) && minute >= fromMinute
  if (fromMinute < toMinute) return hasBegun && minute < toMinute
  return hasBegun || (days.includes(yesterday) && minute < toMinute)
}

/**
 * Gives the first moment from `atMs` on at which the window is open: `atMs` itself while it is.
 * @returns milliseconds since 1970; undefined when it does not open within sixteen days
 */
export function nextOpening(window: Window, atMs: number, timeZone: string): number | undefined {
  return nextMoment(window, { atMs, timeZone }, true)
}

/**
 * Gives the first moment from `atMs` on at which the window is not open: `atMs` itself while it is not.
 * No node waits for it; vectors say by it where a window ends.
 * @returns milliseconds since 1970; undefined when it does not close within sixteen days
 */
export function closesAt(window: Window, atMs: number, timeZone: string): number | undefined {
  return nextMoment(window, { atMs, timeZone }, false)
}

function nextMoment(
  window: Window,
  { atMs, timeZone }: { readonly atMs: number; readonly timeZone: string },
  shallBeOpen: boolean,
): number | undefined {
  const turns = [window.fromMinute, window.toMinute, DAY_MINUTES]
  for (let ms = atMs; ms <= atMs + SEARCH_MS_MAX; ms = nextClockTurnMs(timeZone, ms, turns)) {
    if (isOpen(window, ms, timeZone) === shallBeOpen) return ms
  }
  return undefined
}
