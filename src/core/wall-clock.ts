/**
 * The clocks on the walls of time zones: which minute of which weekday they show, and when they turn to
 * another. An hour that a clock skips is never shown; one that it shows twice is shown twice.
 * @module
 */

/** In the order of `Date.getUTCDay`. */
export const WEEKDAYS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"] as const
export type Weekday = (typeof WEEKDAYS)[number]

const MINUTE_MS = 60_000
export const DAY_MINUTES: number = 24 * 60
/** Time zones whose clocks are kept ready. */
const ZONES_MAX = 64

/** What a clock shows. */
export interface WallTime {
  /** Minutes after midnight, 0 … 1,439. */
  readonly minute: number
  /** 0 (Sunday) … 6. */
  readonly day: number
}

/** Tells whether a text names a time zone. */
export function isTimeZone(text: string): boolean {
  // An offset such as +02:00 is no zone: it knows no summer.
  if (!/^[A-Za-z][A-Za-z0-9_+\-/]{0,63}$/.test(text)) return false
  try {
    clockOf(text)
    return true
  } catch {
    // It throws on a name that it does not know.
    return false
  }
}

/** The zone of this machine. */
export function localTimeZone(): string {
  return new Intl.DateTimeFormat().resolvedOptions().timeZone
}

/**
 * Gives the next moment at which the clock of a zone begins one of some minutes, or is set.
 * @param minutes - minutes after midnight; 1,440, the end of the day, is one of them
 * @returns milliseconds since 1970, after `instantMs` and at most a day after it
 */
export function nextClockTurnMs(
  zone: string,
  instantMs: number,
  minutes: readonly number[],
): number {
  const startMs = Math.floor(instantMs / MINUTE_MS) * MINUTE_MS
  const { minute } = wallTime(zone, startMs)
  const wait = Math.min(...minutes.map((at) => at - minute).filter((rest) => rest > 0))
  const nextMs = startMs + wait * MINUTE_MS
  // Within that time the clock may be set: then everything is looked at anew.
  const offset = offsetMinutes(zone, startMs)
  if (offsetMinutes(zone, nextMs) === offset) return nextMs
  let [same, other] = [startMs / MINUTE_MS, nextMs / MINUTE_MS]
  while (other - same > 1) {
    const middle = Math.floor((same + other) / 2)
    if (offsetMinutes(zone, middle * MINUTE_MS) === offset) same = middle
    else other = middle
  }
  return other * MINUTE_MS
}

/** Gives minutes after midnight and the weekday (0: Sunday) on the clock of a zone. */
export function wallTime(zone: string, instantMs: number): WallTime {
  const wall = wallMinutes(zone, instantMs)
  const days = Math.floor(wall / DAY_MINUTES)
  // 1 January 1970 was a Thursday.
  return { minute: wall - days * DAY_MINUTES, day: (((days + 4) % 7) + 7) % 7 }
}

function offsetMinutes(zone: string, instantMs: number): number {
  return wallMinutes(zone, instantMs) - Math.floor(instantMs / MINUTE_MS)
}

/** Minutes since 1970 as the clock of a zone shows them. */
function wallMinutes(zone: string, instantMs: number): number {
  const parts: Record<string, number> = {}
  for (const { type, value } of clockOf(zone).formatToParts(instantMs)) parts[type] = Number(value)
  const { year, month, day, hour, minute } = parts
  return Date.UTC(year!, month! - 1, day!, hour!, minute!) / MINUTE_MS
}

const clocks = new Map<string, Intl.DateTimeFormat>()

function clockOf(zone: string): Intl.DateTimeFormat {
  const known = clocks.get(zone)
  if (known !== undefined) return known
  const clock = new Intl.DateTimeFormat("en-US", {
    timeZone: zone,
    calendar: "gregory",
    numberingSystem: "latn",
    hourCycle: "h23",
    year: "numeric",
    month: "numeric",
    day: "numeric",
    hour: "numeric",
    minute: "numeric",
  })
  if (clocks.size >= ZONES_MAX) clocks.clear()
  clocks.set(zone, clock)
  return clock
}
