/** Limits by time of day: hours, weekdays, zones, and the two days a year on which clocks are set. */
import fc from "fast-check"
import { describe, expect, test } from "vitest"
import { silentLogger } from "../../../src/core/log.ts"
import { VirtualClock } from "../../../src/core/virtual-clock.ts"
import { WEEKDAYS } from "../../../src/core/wall-clock.ts"
import { createMemoryHub } from "../../../src/net/memory-network.ts"
import { LimitKeeper } from "../../../src/swarm/limit-keeper.ts"
import { type LimitRule, nextChangeMs, stateAt } from "../../../src/swarm/limit-schedule.ts"
import { PeerClasses } from "../../../src/swarm/peer-class.ts"
import { Shaping } from "../../../src/swarm/shaping.ts"

const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS
const BERLIN = "Europe/Berlin"

const at = (text: string) => Date.parse(text)
const minutes = (text: string) => {
  const [hour, minute] = text.split(":")
  return Number(hour) * 60 + Number(minute)
}

function rule(from: string, to: string, more: Partial<LimitRule> = {}): LimitRule {
  return { fromMinute: minutes(from), toMinute: minutes(to), zone: BERLIN, up: 1, ...more }
}

const isOn = (one: LimitRule, instant: string) => stateAt({ up: 2 }, [one], at(instant)).up === 1

describe("a rule", () => {
  test("holds from its first minute to the one before its last, on the clock of its zone", () => {
    const one = rule("08:00", "18:00")
    expect(isOn(one, "2026-01-15T06:59:59.999Z")).toBe(false)
    expect(isOn(one, "2026-01-15T07:00:00Z")).toBe(true)
    expect(isOn(one, "2026-01-15T16:59:59.999Z")).toBe(true)
    expect(isOn(one, "2026-01-15T17:00:00Z")).toBe(false)
    // In summer the same hours are an hour earlier for the rest of the world.
    expect(isOn(one, "2026-07-15T06:00:00Z")).toBe(true)
    expect(isOn(one, "2026-07-15T16:00:00Z")).toBe(false)
  })

  test("over midnight belongs to the day on which it begins", () => {
    const one = rule("22:00", "06:00", { days: ["fri"] })
    expect(isOn(one, "2026-01-16T20:59:00Z")).toBe(false)
    expect(isOn(one, "2026-01-16T21:00:00Z")).toBe(true)
    expect(isOn(one, "2026-01-17T04:59:00Z")).toBe(true)
    expect(isOn(one, "2026-01-17T05:00:00Z")).toBe(false)
    expect(isOn(one, "2026-01-17T21:00:00Z")).toBe(false)
    expect(isOn(one, "2026-01-16T04:00:00Z")).toBe(false)
  })

  test("of one day follows that day of its zone, not of the world", () => {
    const one = rule("00:00", "24:00", { days: ["mon"], zone: "Pacific/Auckland" })
    expect(isOn(one, "2026-01-18T10:59:00Z")).toBe(false)
    expect(isOn(one, "2026-01-18T11:00:00Z")).toBe(true)
    expect(isOn(one, "2026-01-19T10:59:00Z")).toBe(true)
    expect(isOn(one, "2026-01-19T11:00:00Z")).toBe(false)
  })

  test("whose begin and end are equal is a whole day from then", () => {
    const one = rule("09:00", "09:00", { days: ["tue"] })
    expect(isOn(one, "2026-01-13T07:59:00Z")).toBe(false)
    expect(isOn(one, "2026-01-13T08:00:00Z")).toBe(true)
    expect(isOn(one, "2026-01-14T07:59:00Z")).toBe(true)
    expect(isOn(one, "2026-01-14T08:00:00Z")).toBe(false)
  })

  test("whose begin a clock skips holds from the first minute after it", () => {
    // Berlin, 29 March 2026: 01:59 is followed by 03:00.
    const one = rule("02:30", "04:00")
    expect(isOn(one, "2026-03-29T00:59:00Z")).toBe(false)
    expect(isOn(one, "2026-03-29T01:00:00Z")).toBe(true)
    expect(isOn(one, "2026-03-29T02:00:00Z")).toBe(false)
    const skipped = rule("02:10", "02:50")
    const day = Array.from(
      { length: 24 * 60 },
      (_, minute) => at("2026-03-28T23:00:00Z") + minute * MINUTE_MS,
    )
    expect(day.some((instant) => stateAt({ up: 2 }, [skipped], instant).up === 1)).toBe(false)
  })

  test("of an hour that a clock shows twice holds twice", () => {
    // Berlin, 25 October 2026: 02:59 is followed by 02:00.
    const one = rule("02:00", "03:00")
    expect(isOn(one, "2026-10-24T23:59:00Z")).toBe(false)
    expect(isOn(one, "2026-10-25T00:00:00Z")).toBe(true)
    expect(isOn(one, "2026-10-25T01:59:00Z")).toBe(true)
    expect(isOn(one, "2026-10-25T02:00:00Z")).toBe(false)
    expect(nextChangeMs([one], at("2026-10-25T00:30:00Z"))).toBe(at("2026-10-25T01:00:00Z"))
  })

  test("says nothing of what it leaves out, and the last one that speaks wins", () => {
    const base = { up: 100, down: 200, wan: { up: 50 } }
    const rules = [
      rule("00:00", "24:00", { up: 10, wan: { down: 5 } }),
      rule("00:00", "24:00", { up: 7, metered: true }),
    ]
    expect(stateAt(base, rules, at("2026-01-15T12:00:00Z"))).toEqual({
      up: 7,
      down: 200,
      lan: undefined,
      wan: { up: 50, down: 5 },
      metered: true,
    })
  })
})

const ZONES = [
  ...[BERLIN, "America/New_York", "UTC", "Asia/Kolkata", "Australia/Lord_Howe"],
  ...["Asia/Kathmandu", "America/St_Johns", "Pacific/Apia", "Africa/Cairo", "Pacific/Chatham"],
]
/** Days around which some of these zones set their clocks. */
const TURNS = [
  ...["2026-03-08", "2026-03-29", "2026-04-05", "2026-04-24", "2026-10-04", "2026-10-25"],
  ...["2026-10-29", "2026-11-01", "2026-09-27", "2026-01-15", "2026-07-15"],
]

const anyRule = fc.record({
  fromMinute: fc.integer({ min: 0, max: 1439 }),
  toMinute: fc.integer({ min: 0, max: 1440 }),
  days: fc.option(fc.subarray([...WEEKDAYS], { minLength: 1 }), { nil: undefined }),
  zone: fc.constantFrom(...ZONES),
  up: fc.constant(1),
})
const anyInstant = fc
  .tuple(
    fc.constantFrom(...TURNS),
    fc.integer({ min: -36 * 60, max: 36 * 60 }),
    fc.integer({ min: 0, max: 59_999 }),
  )
  .map(([day, minute, rest]) => at(`${day}T00:00:00Z`) + minute * MINUTE_MS + rest)
const RUNS = { numRuns: process.env.SLOW === "1" ? 2_000 : 100 }

test("until the next change, minute by minute, nothing changes; and it is ahead, within a day", () => {
  fc.assert(
    fc.property(fc.array(anyRule, { minLength: 1, maxLength: 3 }), anyInstant, (rules, nowMs) => {
      const nextMs = nextChangeMs(rules, nowMs)!
      expect(nextMs).toBeGreaterThan(nowMs)
      expect(nextMs - nowMs).toBeLessThanOrEqual(25 * HOUR_MS)
      const now = stateAt({ up: 2 }, rules, nowMs)
      for (let ms = nowMs; ms < nextMs; ms += MINUTE_MS) {
        expect(stateAt({ up: 2 }, rules, ms)).toEqual(now)
      }
    }),
    RUNS,
  )
})

test("on a day whose clock is not set a rule holds exactly as long as it says", () => {
  fc.assert(
    fc.property(anyRule, fc.constantFrom("2026-01-12", "2026-07-13"), (one, monday) => {
      const startMs = at(`${monday}T00:00:00Z`)
      let held = 0
      for (let minute = 0; minute < 7 * 24 * 60; minute++) {
        if (stateAt({ up: 2 }, [one], startMs + minute * MINUTE_MS).up === 1) held++
      }
      const length = one.toMinute - one.fromMinute
      const lasts = length > 0 ? length : length + 24 * 60
      expect(held).toBe(lasts * (one.days?.length ?? 7))
    }),
    { numRuns: process.env.SLOW === "1" ? 100 : 10 },
  )
})

describe("the keeper", () => {
  function keeperAt(instant: string, rules: readonly LimitRule[]) {
    const clock = new VirtualClock(at(instant))
    const classes = new PeerClasses({ net: createMemoryHub().join(), isSameZone: () => false })
    const shaping = new Shaping({ clock, classes })
    const plan = { base: { up: 5e6 }, rules }
    return { clock, shaping, keeper: new LimitKeeper({ clock, log: silentLogger, shaping }, plan) }
  }

  test("puts a rule in force at its minute, and takes it back at its end", async () => {
    const { clock, shaping, keeper } = keeperAt("2026-01-15T06:30:00Z", [
      rule("08:00", "18:00", { up: 1e6, metered: true }),
    ])
    expect([shaping.limits.up, shaping.classes.isMetered]).toEqual([5e6, false])
    expect(keeper.report().nextChangeMs).toBe(at("2026-01-15T07:00:00Z"))
    await clock.advance(30 * MINUTE_MS - 1)
    expect(shaping.limits.up).toBe(5e6)
    await clock.advance(1)
    expect([shaping.limits.up, shaping.classes.isMetered]).toEqual([1e6, true])
    await clock.advance(10 * HOUR_MS)
    expect([shaping.limits.up, shaping.classes.isMetered]).toEqual([5e6, false])
    keeper.stop()
  })

  test("lets what is set by hand win until it is taken back, piece by piece", async () => {
    const { clock, shaping, keeper } = keeperAt("2026-01-15T06:30:00Z", [
      rule("08:00", "18:00", { up: 1e6 }),
    ])
    keeper.override({ up: 3e6 })
    keeper.override({ wan: { down: 2e6 }, metered: true })
    expect(shaping.limits).toMatchObject({ up: 3e6, wan: { down: 2e6 } })
    await clock.advance(HOUR_MS)
    expect([shaping.limits.up, shaping.classes.isMetered]).toEqual([3e6, true])
    keeper.override({ up: Number.POSITIVE_INFINITY })
    expect(shaping.up.isLimited).toBe(false)
    keeper.reset()
    expect([shaping.limits.up, shaping.classes.isMetered]).toEqual([1e6, false])
    expect(keeper.report().override).toBeUndefined()
    keeper.stop()
  })
})
