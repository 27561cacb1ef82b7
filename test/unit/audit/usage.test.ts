/** Records of use: what they say, what they come to, and what counts for nothing. */
import fc from "fast-check"
import { describe, expect, test } from "vitest"
import { type Event, encodeEvent, type LoggedEvent, parseEvent } from "../../../src/audit/event.ts"
import {
  eventsOfUsage,
  mapClasses,
  USAGE_CLASSES,
  type UsageRecord,
  UsageSum,
} from "../../../src/audit/usage.ts"

const AT_MS = Date.UTC(2026, 10, 30, 23, 59)
const bytes = fc.nat({ max: 2 ** 40 })
const exchanged = fc.record({ upBytes: bytes, downBytes: bytes })
const peers = fc.array(
  fc.record({
    peer: fc.option(fc.stringMatching(/^[a-z]{1,8}$/), { nil: undefined }),
    upBytes: bytes,
    downBytes: bytes,
  }),
  { maxLength: 60 },
)
const records: fc.Arbitrary<UsageRecord> = fc.record({
  fromMs: fc.constant(AT_MS - 900_000),
  classes: fc.record({ lan: exchanged, wan: exchanged, metered: exchanged }),
  peers,
})

/** As the log gives them back. */
const logged = (events: readonly Event[], atMs = AT_MS): readonly LoggedEvent[] =>
  events.map((event, index) => parseEvent(encodeEvent(event, atMs), index))

const summed = (events: readonly LoggedEvent[]) => {
  const sum = new UsageSum()
  for (const event of events) sum.add(event)
  return sum.totals
}
const total = (rows: readonly { upBytes: number; downBytes: number }[]) =>
  rows.reduce((sum, { upBytes, downBytes }) => sum + upBytes + downBytes, 0)

describe("a record", () => {
  test("comes to what passed, by class, by day and by peer, whatever it was", () => {
    fc.assert(
      fc.property(records, (record) => {
        const events = eventsOfUsage(record)
        const { classes, days, peers: told } = summed(logged(events))
        const passed = total(Object.values(record.classes))
        if (passed === 0) {
          expect(events).toEqual([])
          return
        }
        expect(classes).toEqual(record.classes)
        expect(total(days)).toBe(passed)
        expect(days.map(({ day }) => day)).toEqual(["2026-11-30"])
        expect(total(told)).toBe(total(record.peers))
      }),
    )
  })

  test("names the 32 peers with the most, and the others in one sum", () => {
    const many = Array.from({ length: 50 }, (_, place) => {
      return { peer: `peer${place}`, upBytes: 1000 - place, downBytes: 0 }
    })
    const classes = mapClasses(() => ({ upBytes: 100_000, downBytes: 0 }))
    const events = eventsOfUsage({ fromMs: AT_MS, classes, peers: many })
    expect(events.map(({ event }) => event).filter((one) => one === "usage.metered").length).toBe(1)
    const exchanges = events.filter(({ event }) => event === "usage.exchanged")
    expect(exchanges.slice(0, 32).map(({ facts }) => facts.peer)).toEqual(
      many.slice(0, 32).map(({ peer }) => peer),
    )
    expect(exchanges.length).toBe(33)
    expect(exchanges[32]!.facts).toEqual({ from: AT_MS, up: total(many.slice(32)), down: 0 })
  })
})

describe("a sum", () => {
  test("has the releases that were opened, in the order of the log", () => {
    const opened = (release: string): Event => {
      return { event: "release.opened", facts: { release, digest: "sha256:00", path: "/x" } }
    }
    const events = logged([opened("a/b@1"), opened("a/b@2")])
    expect(summed(events.toReversed()).opened).toEqual([
      { release: "a/b@1", digest: "sha256:00", atMs: AT_MS, index: 0 },
      { release: "a/b@2", digest: "sha256:00", atMs: AT_MS, index: 1 },
    ])
  })

  test("counts nothing of what is no count, and of other events", () => {
    const facts = { from: "yesterday", lanUp: -5, lanDown: "", wanUp: "7", wanDown: true }
    const events: Event[] = [
      { event: "usage.metered", facts },
      { event: "usage.exchanged", facts: { peer: 7, up: -1, down: false } },
      { event: "node.stopped", facts: { lanUp: 9 } },
    ]
    const totals = summed(logged(events))
    expect(totals).toMatchObject({ records: 1, days: [] })
    expect(total(USAGE_CLASSES.map((name) => totals.classes[name]))).toBe(0)
    expect(total(totals.peers)).toBe(0)
  })

  test("takes in what is in no record yet, which is no record", () => {
    const classes = mapClasses(() => ({ upBytes: 1, downBytes: 2 }))
    const sum = new UsageSum()
    const open = [{ peer: "a", upBytes: 3, downBytes: 6 }]
    sum.addRecord({ fromMs: AT_MS, classes, peers: open }, AT_MS)
    expect(sum.totals).toMatchObject({ records: 0, peers: open, classes })
  })
})
