/** Windows on the days on which clocks are set; and for any window, against each minute looked at. */
import fc from "fast-check"
import { describe, expect, it } from "vitest"
import type { Window } from "../../../src/rollout/plan.ts"
import { closesAt, isOpen, nextOpening } from "../../../src/rollout/window.ts"

const MINUTE_MS = 60_000
const DAY_MS = 86_400_000
const EVERY_DAY = [1, 2, 3, 4, 5, 6, 7]

const at = (text: string) => Date.parse(text)
const minutes = (text: string) => Number(text.slice(0, 2)) * 60 + Number(text.slice(3))
const window = (from: string, to: string, days: readonly number[] = EVERY_DAY): Window => ({
  fromMinute: minutes(from),
  toMinute: minutes(to),
  days,
})

/** Gives when a window opens and closes between two moments, as texts of UTC. */
function turns(one: Window, zone: string, [start, end]: readonly [string, string]): string[] {
  const found: string[] = []
  for (let ms = at(start); ; ) {
    const opensMs = nextOpening(one, ms, zone)
    if (opensMs === undefined || opensMs >= at(end)) return found
    const closesMs = closesAt(one, opensMs, zone)
    const [opens, closes] = [opensMs, closesMs ?? Number.NaN].map(textOf)
    found.push(`${opens} to ${closes}`)
    if (closesMs === undefined) return found
    ms = closesMs
  }
}

const textOf = (ms: number) =>
  Number.isNaN(ms) ? "never" : new Date(ms).toISOString().slice(0, 16).replace("T", " ")

describe("a window", () => {
  it("is open from its first minute to the one before its last, by the clock of the node", () => {
    const one = window("01:00", "05:00")
    expect(isOpen(one, at("2026-01-14T23:59:59.999Z"), "Europe/Berlin")).toBe(false)
    expect(isOpen(one, at("2026-01-15T00:00:00Z"), "Europe/Berlin")).toBe(true)
    expect(isOpen(one, at("2026-01-15T03:59:59.999Z"), "Europe/Berlin")).toBe(true)
    expect(isOpen(one, at("2026-01-15T04:00:00Z"), "Europe/Berlin")).toBe(false)
  })

  it("gives the moment itself while it is already as asked for", () => {
    const one = window("01:00", "05:00")
    const [open, shut] = [at("2026-01-15T02:34:56.789Z"), at("2026-01-15T12:34:56.789Z")]
    expect(nextOpening(one, open, "UTC")).toBe(open)
    expect(closesAt(one, shut, "UTC")).toBe(shut)
  })

  it("opens on its days only, and belongs to the day on which it begins", () => {
    // 16 January 2026 is a Friday.
    const one = window("22:00", "06:00", [5])
    expect(turns(one, "UTC", ["2026-01-12T00:00Z", "2026-01-26T00:00Z"])).toEqual([
      "2026-01-16 22:00 to 2026-01-17 06:00",
      "2026-01-23 22:00 to 2026-01-24 06:00",
    ])
    // Begun on Sunday it goes on on Monday.
    const sunday = window("23:00", "01:00", [7])
    expect(turns(sunday, "UTC", ["2026-01-12T12:00Z", "2026-01-19T12:00Z"])).toEqual([
      "2026-01-18 23:00 to 2026-01-19 01:00",
    ])
  })

  it("that ends when it begins is a whole day; on every day it never closes", () => {
    const tuesday = window("09:00", "09:00", [2])
    expect(turns(tuesday, "UTC", ["2026-01-12T00:00Z", "2026-01-19T00:00Z"])).toEqual([
      "2026-01-13 09:00 to 2026-01-14 09:00",
    ])
    expect(closesAt(window("09:00", "09:00"), at("2026-01-12T00:00Z"), "UTC")).toBeUndefined()
  })

  it("to midnight closes there", () => {
    const one = window("20:00", "00:00", [3])
    expect(turns(one, "Asia/Kathmandu", ["2026-01-12T00:00Z", "2026-01-19T00:00Z"])).toEqual([
      "2026-01-14 14:15 to 2026-01-14 18:15",
    ])
  })

  it("never opens without a day", () => {
    expect(nextOpening(window("01:00", "05:00", []), at("2026-01-12T00:00Z"), "UTC")).toBe(
      undefined,
    )
  })
})

describe("on the day on which the clock skips an hour, a window", () => {
  it("opens at the first minute that there is", () => {
    // Berlin, 29 March 2026: 01:59 is followed by 03:00, at 01:00 UTC.
    const night = ["2026-03-28T12:00Z", "2026-03-29T12:00Z"] as const
    expect(turns(window("02:30", "03:30"), "Europe/Berlin", night)).toEqual([
      "2026-03-29 01:00 to 2026-03-29 01:30",
    ])
    expect(turns(window("01:30", "02:30"), "Europe/Berlin", night)).toEqual([
      "2026-03-29 00:30 to 2026-03-29 01:00",
    ])
    // New York, 8 March 2026, at 07:00 UTC.
    const other = ["2026-03-07T18:00Z", "2026-03-08T18:00Z"] as const
    expect(turns(window("02:30", "03:30"), "America/New_York", other)).toEqual([
      "2026-03-08 07:00 to 2026-03-08 07:30",
    ])
  })

  it("that lies in the hour does not open until the next time", () => {
    const one = window("02:10", "02:50", [7])
    expect(nextOpening(one, at("2026-03-23T00:00Z"), "Europe/Berlin")).toBe(
      at("2026-04-05T00:10:00Z"),
    )
  })

  it("opens at the first minute of half an hour that was skipped", () => {
    // Lord Howe, 4 October 2026: 01:59 is followed by 02:30, at 15:30 UTC of the day before.
    const night = ["2026-10-03T12:00Z", "2026-10-03T20:00Z"] as const
    expect(turns(window("02:10", "03:00"), "Australia/Lord_Howe", night)).toEqual([
      "2026-10-03 15:30 to 2026-10-03 16:00",
    ])
  })
})

describe("on the day on which the clock shows an hour twice, a window", () => {
  it("in that hour is open twice", () => {
    // Berlin, 25 October 2026: 02:59 is followed by 02:00, at 01:00 UTC.
    const night = ["2026-10-24T12:00Z", "2026-10-25T12:00Z"] as const
    expect(turns(window("02:00", "02:30"), "Europe/Berlin", night)).toEqual([
      "2026-10-25 00:00 to 2026-10-25 00:30",
      "2026-10-25 01:00 to 2026-10-25 01:30",
    ])
    expect(turns(window("01:30", "02:30"), "Europe/Berlin", night)).toEqual([
      "2026-10-24 23:30 to 2026-10-25 00:30",
      "2026-10-25 01:00 to 2026-10-25 01:30",
    ])
    // New York, 1 November 2026: 01:59 is followed by 01:00, at 06:00 UTC.
    const other = ["2026-10-31T18:00Z", "2026-11-01T18:00Z"] as const
    expect(turns(window("01:15", "01:45"), "America/New_York", other)).toEqual([
      "2026-11-01 05:15 to 2026-11-01 05:45",
      "2026-11-01 06:15 to 2026-11-01 06:45",
    ])
  })

  it("around that hour is an hour longer", () => {
    const night = ["2026-10-24T12:00Z", "2026-10-25T12:00Z"] as const
    expect(turns(window("01:00", "04:00"), "Europe/Berlin", night)).toEqual([
      "2026-10-24 23:00 to 2026-10-25 03:00",
    ])
  })

  it("counts half an hour twice as well", () => {
    // Lord Howe, 5 April 2026: 01:59 is followed by 01:30, at 15:00 UTC of the day before.
    const night = ["2026-04-04T12:00Z", "2026-04-04T20:00Z"] as const
    expect(turns(window("01:30", "01:45"), "Australia/Lord_Howe", night)).toEqual([
      "2026-04-04 14:30 to 2026-04-04 14:45",
      "2026-04-04 15:00 to 2026-04-04 15:15",
    ])
  })
})

describe("where a day is not there, a window", () => {
  // Samoa had no 30 December 2011, a Friday.
  const APIA = "Pacific/Apia"
  const week = ["2011-12-27T12:00Z", "2012-01-08T12:00Z"] as const

  it("of that day opens a week later", () => {
    expect(turns(window("10:00", "12:00", [5]), APIA, week)).toEqual([
      "2012-01-05 20:00 to 2012-01-05 22:00",
    ])
  })

  it("that would have gone on after it does so from the first minute that there is", () => {
    expect(turns(window("22:00", "06:00", [5]), APIA, week)).toEqual([
      "2011-12-30 10:00 to 2011-12-30 16:00",
      "2012-01-06 08:00 to 2012-01-06 16:00",
    ])
  })

  it("that would have ended on it ends when the day before does", () => {
    expect(turns(window("22:00", "06:00", [4]), APIA, week)[0]).toBe(
      "2011-12-30 08:00 to 2011-12-30 10:00",
    )
  })
})

const ZONES = [
  ...["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "UTC"],
  ...["Pacific/Apia", "America/St_Johns", "Africa/Cairo", "Pacific/Chatham"],
]
const TURNS = [
  ...["2026-03-08", "2026-03-29", "2026-04-05", "2026-10-04", "2026-10-25", "2026-11-01"],
  ...["2026-04-24", "2026-10-29", "2026-09-27", "2026-01-15", "2011-12-30"],
]
const DAY_NAMES = ["", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]

/** Tells whether a window is open by a clock's text, without the code under test. */
function isShownOpen({ fromMinute, toMinute, days }: Window, clock: Intl.DateTimeFormat) {
  return (ms: number) => {
    const [, name, hour, minute] = /^(\w+),? (\d+):(\d+)$/.exec(clock.format(ms))!
    const now = Number(hour) * 60 + Number(minute)
    const today = DAY_NAMES.indexOf(name!)
    return days.some((day) => {
      if (fromMinute < toMinute) return day === today && fromMinute <= now && now < toMinute
      return (
        (day === today && now >= fromMinute) ||
        (day === today - 1 && now < toMinute) ||
        (day === 7 && today === 1 && now < toMinute)
      )
    })
  }
}

const anyWindow = fc.record({
  fromMinute: fc.integer({ min: 0, max: 1_439 }),
  toMinute: fc.integer({ min: 0, max: 1_439 }),
  days: fc.subarray(EVERY_DAY, { minLength: 1 }),
})
const anyMoment = fc
  .tuple(
    fc.constantFrom(...TURNS),
    fc.integer({ min: -36 * 60, max: 36 * 60 }),
    fc.integer({ min: 0, max: 59_999 }),
  )
  .map(([day, minute, rest]) => at(`${day}T00:00:00Z`) + minute * MINUTE_MS + rest)

describe("any window, at any moment", () => {
  it("opens and closes at the first minute at which its clock says so", () => {
    fc.assert(
      fc.property(anyWindow, anyMoment, fc.constantFrom(...ZONES), (one, nowMs, timeZone) => {
        const clock = new Intl.DateTimeFormat("en-GB", {
          timeZone,
          weekday: "short",
          hour: "2-digit",
          minute: "2-digit",
          hourCycle: "h23",
        })
        const isShown = isShownOpen(one, clock)
        expect(isOpen(one, nowMs, timeZone)).toBe(isShown(nowMs))
        const nextMs = isShown(nowMs)
          ? closesAt(one, nowMs, timeZone)
          : nextOpening(one, nowMs, timeZone)
        const startMs = Math.floor(nowMs / MINUTE_MS) * MINUTE_MS
        // Three days are enough to look at one by one; what is further off must not be among them.
        const endMs = startMs + 3 * DAY_MS
        let foundMs: number | undefined
        for (let ms = startMs + MINUTE_MS; ms < endMs && foundMs === undefined; ms += MINUTE_MS) {
          if (isShown(ms) !== isShown(nowMs)) foundMs = ms
        }
        if (foundMs !== undefined) expect(nextMs).toBe(foundMs)
        else expect(nextMs ?? endMs).toBeGreaterThanOrEqual(endMs)
      }),
      { numRuns: process.env.SLOW === "1" ? 200 : 40 },
    )
  })
})
