/**
 * Which limits hold at a moment: rules by time of day and weekday, each on the clock of its time zone.
 * Pure; the wall clock of a zone decides, so that a rule from 08:00 begins at 08:00 in summer too, and
 * an hour that a clock shows twice counts twice.
 * @module
 */
import {
  DAY_MINUTES,
  nextClockTurnMs,
  WEEKDAYS,
  type Weekday,
  wallTime,
} from "../core/wall-clock.ts"
import type { Rate, RateLimits } from "./traffic-class.ts"

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
  return nextClockTurnMs(zone, instantMs, [fromMinute, toMinute, DAY_MINUTES])
}
