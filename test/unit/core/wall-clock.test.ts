/** Clocks of time zones; rules by them are tested in `swarm/limit-schedule.test.ts`. */
import { describe, expect, test } from "vitest"
import {
  DAY_MINUTES,
  isTimeZone,
  nextClockTurnMs,
  WEEKDAYS,
  wallTime,
} from "../../../src/core/wall-clock.ts"

const at = (text: string) => Date.parse(text)

test.each([
  ["Europe/Berlin", true],
  ["UTC", true],
  ["America/Argentina/Buenos_Aires", true],
  ["Europe/Nowhere", false],
  ["+02:00", false],
  ["", false],
  [`A${"a".repeat(64)}`, false],
])("%s is a time zone: %s", (text, isOne) => {
  expect(isTimeZone(text)).toBe(isOne)
})

describe("the clock of a zone", () => {
  const shown = (zone: string, instant: string) => {
    const { minute, day } = wallTime(zone, at(instant))
    const [hours, minutes] = [Math.floor(minute / 60), minute % 60]
    return `${WEEKDAYS[day]} ${hours}:${String(minutes).padStart(2, "0")}`
  }

  test.each([
    ["UTC", "1970-01-01T00:00:00Z", "thu 0:00"],
    ["UTC", "1969-12-31T23:59:59Z", "wed 23:59"],
    ["Asia/Kathmandu", "2026-01-15T00:00:00Z", "thu 5:45"],
    // Half an hour of summer time.
    ["Australia/Lord_Howe", "2026-04-04T14:59:00Z", "sun 1:59"],
    ["Australia/Lord_Howe", "2026-04-04T15:00:00Z", "sun 1:30"],
    // There was no 30 December 2011.
    ["Pacific/Apia", "2011-12-30T09:59:00Z", "thu 23:59"],
    ["Pacific/Apia", "2011-12-30T10:00:00Z", "sat 0:00"],
  ])("in %s at %s shows %s", (zone, instant, expected) => {
    expect(shown(zone, instant)).toBe(expected)
  })

  test("turns at the next of some minutes, or when it is set", () => {
    const turn = (instant: string, ...minutes: readonly number[]) =>
      new Date(nextClockTurnMs("Europe/Berlin", at(instant), [...minutes, DAY_MINUTES]))
    expect(turn("2026-01-15T06:30:20Z", 8 * 60)).toEqual(new Date("2026-01-15T07:00:00Z"))
    expect(turn("2026-01-15T07:00:00Z", 8 * 60)).toEqual(new Date("2026-01-15T23:00:00Z"))
    expect(turn("2026-03-28T23:30:00Z", 2 * 60 + 30)).toEqual(new Date("2026-03-29T01:00:00Z"))
  })
})
