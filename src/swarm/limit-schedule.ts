/**
 * Which limits hold at a moment: rules by time of day and weekday, each on the clock of its time zone.
 * Pure; the wall clock of a zone decides, so that a rule from 08:00 begins at 08:00 in summer too, and
 * an hour that a clock shows twice counts twice.
 * @module
 */
import type { Rate, RateLimits } from "./traffic-class.ts"

/** In the order of `Date.getUTCDay`. */
export const WEEKDAYS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"] as const
export type Weekday = (typeof WEEKDAYS)[number]

const MINUTE_MS = 60_000
export const DAY_MINUTES: number = 24 * 60
/** Time zones whose clocks are kept ready. */
const ZONES_MAX = 64

/** What holds at one moment. */
export interface LimitState extends RateLimits {
  /** Whether the way out is paid by the byte. */
  readonly metered?: boolean | undefined
}

/** A state for some hours of some days. What it leaves out stays as it is without the rule. */
export interface LimitRule extends LimitState {
  /** Minutes after midnight, 0 … 1439. */
  readonly fromMinute: number
  /**
   * Minutes after midnight, 0 … 1440, not included. Not after `fromMinute`: on the day after, so that
   * equal ones are a whole day.
   */
  readonly toMinute: number
  /** Days on which it begins; every day when left out. */
  readonly days?: readonly Weekday[] | undefined
  /** IANA name of a time zone, `Europe/Berlin`. */
  readonly zone: string
}

/** Gives what holds at a moment: of the rules that hold, the last one that speaks of a limit wins. */
export function stateAt(
  base: LimitState,
  rules: readonly LimitRule[],
  instantMs: number,
): LimitState {
  let state = base
  for (const rule of rules) if (isInForce(rule, instantMs)) state = overlay(state, rule)
  return state
}

/** Gives a state in which what `over` says holds, and else what `state` says. */
export function overlay(state: LimitState, over: LimitState): LimitState {
  return {
    up: over.up ?? state.up,
    down: over.down ?? state.down,
    lan: withRate(state.lan, over.lan),
    wan: withRate(state.wan, over.wan),
    metered: over.metered ?? state.metered,
  }
}

/**
 * Gives a moment up to which nothing changes: the next begin or end of a rule, midnight or change of
 * a zone's clock, whichever comes first.
 * @returns milliseconds since 1970, after `instantMs`; undefined without rules
 */
export function nextChangeMs(rules: readonly LimitRule[], instantMs: number): number | undefined {
  const changes = rules.map((rule) => nextOf(rule, instantMs))
  return changes.length === 0 ? undefined : Math.min(...changes)
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

function isInForce(rule: LimitRule, instantMs: number): boolean {
  const { fromMinute, toMinute } = rule
  const { minute, day } = wallTime(rule.zone, instantMs)
  if (fromMinute < toMinute) return minute >= fromMinute && minute < toMinute && isOn(rule, day)
  return (minute >= fromMinute && isOn(rule, day)) || (minute < toMinute && isOn(rule, day + 6))
}

function isOn({ days }: LimitRule, day: number): boolean {
  return days === undefined || days.includes(WEEKDAYS[day % 7]!)
}

function withRate(rate: Rate | undefined, more: Rate | undefined): Rate | undefined {
  if (more === undefined) return rate
  return { up: more.up ?? rate?.up, down: more.down ?? rate?.down }
}

function nextOf({ fromMinute, toMinute, zone }: LimitRule, instantMs: number): number {
  const startMs = Math.floor(instantMs / MINUTE_MS) * MINUTE_MS
  const { minute } = wallTime(zone, startMs)
  const waits = [fromMinute, toMinute, DAY_MINUTES].map((at) => at - minute)
  const wait = Math.min(...waits.filter((minutes) => minutes > 0))
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

/** Minutes after midnight and weekday (0: Sunday) on the clock of a zone. */
function wallTime(zone: string, instantMs: number): { minute: number; day: number } {
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
