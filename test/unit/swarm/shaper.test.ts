/** The shaper of one direction on virtual time: rates in sliding windows, turns, classes, debts. */
import fc from "fast-check"
import { describe, expect, test } from "vitest"
import { VirtualClock } from "../../../src/core/virtual-clock.ts"
import { type DirectionLimits, type Flow, Shaper } from "../../../src/swarm/shaper.ts"
import type { TrafficClass } from "../../../src/swarm/traffic-class.ts"

const BLOCK = 16_397
const KIB = 1024
const WINDOW_MS = 5_000

/** Notes when how many bytes passed. */
class Record {
  readonly passed: { atMs: number; bytes: number }[] = []
  readonly #clock: VirtualClock

  constructor(clock: VirtualClock) {
    this.#clock = clock
  }

  note(bytes: number): void {
    this.passed.push({ atMs: this.#clock.monotonicMs(), bytes })
  }

  get total(): number {
    return this.passed.reduce((sum, { bytes }) => sum + bytes, 0)
  }

  /** Bytes per second in each window that begins with, ends with, or begins after one that passed. */
  rates(fromMs: number, toMs: number): number[] {
    const sums = [0]
    for (const { bytes } of this.passed) sums.push(sums.at(-1)! + bytes)
    const before = (atMs: number) => sums[lowerBound(this.passed, atMs)]!
    const starts = this.passed.flatMap(({ atMs }) => [atMs, atMs - WINDOW_MS + 1, atMs + 1])
    return starts
      .filter((startMs) => startMs >= fromMs && startMs + WINDOW_MS <= toMs)
      .map((startMs) => ((before(startMs + WINDOW_MS) - before(startMs)) * 1000) / WINDOW_MS)
  }
}

/** Gives how many passed before a moment. */
function lowerBound(passed: readonly { atMs: number }[], atMs: number): number {
  let [low, high] = [0, passed.length]
  while (low < high) {
    const middle = (low + high) >> 1
    if (passed[middle]!.atMs < atMs) low = middle + 1
    else high = middle
  }
  return low
}

/** One that sends blocks whenever it may. */
class Sender {
  readonly record: Record
  readonly flow: Flow
  isHungry = true
  /** Blocks that it wants to send in all. */
  left = Number.POSITIVE_INFINITY

  constructor(shaper: Shaper, clock: VirtualClock, classOf: () => TrafficClass, all: Record) {
    this.record = new Record(clock)
    this.flow = shaper.flow({ classOf, wake: () => this.send(all) })
  }

  send(all: Record): void {
    while (this.isHungry && this.left > 0 && this.flow.allowance() > 0) {
      this.left--
      this.flow.spend(BLOCK)
      this.record.note(BLOCK)
      all.note(BLOCK)
    }
  }
}

function world(limits: DirectionLimits, classes: readonly TrafficClass[]) {
  const clock = new VirtualClock()
  const shaper = new Shaper({ clock }, limits)
  const all = new Record(clock)
  const senders = classes.map((name) => new Sender(shaper, clock, () => name, all))
  const start = () => {
    for (const sender of senders) sender.send(all)
  }
  return { clock, shaper, all, senders, start }
}

function expectKept(rates: readonly number[], limit: number): void {
  expect(rates.length).toBeGreaterThan(0)
  expect(Math.max(...rates) / limit).toBeLessThanOrEqual(1.02)
  expect(Math.min(...rates) / limit).toBeGreaterThanOrEqual(0.95)
}

describe("a limit", () => {
  test.each([
    ["256 KiB/s", 256 * KIB],
    ["1 MB/s", 1e6],
    ["100 MB/s", 100e6],
  ])("of %s is kept in any five seconds, by one and by four", async (_name, limit) => {
    for (const count of [1, 4]) {
      const { clock, all, start } = world({ total: limit }, new Array(count).fill("wan"))
      start()
      await clock.advance(limit > 1e7 ? 6_000 : 12_000)
      expectKept(all.rates(0, clock.monotonicMs()), limit)
    }
  })

  test("is kept from the first byte after an idle time", async () => {
    const limit = 256 * KIB
    const { clock, all, senders, start } = world({ total: limit }, ["wan"])
    start()
    await clock.advance(2_000)
    senders[0]!.isHungry = false
    await clock.advance(20_000)
    const idleEndMs = clock.monotonicMs()
    senders[0]!.isHungry = true
    start()
    await clock.advance(10_000)
    expectKept(all.rates(idleEndMs, clock.monotonicMs()), limit)
  })

  test("is shared evenly, and nobody waits longer than a round of turns", async () => {
    const limit = 256 * KIB
    const { clock, senders, start } = world({ total: limit }, ["wan", "lan", "wan", "wan"])
    start()
    await clock.advance(10_000)
    const totals = senders.map(({ record }) => record.total / BLOCK)
    expect(Math.max(...totals) - Math.min(...totals)).toBeLessThanOrEqual(3)
    for (const { record } of senders) {
      const gaps = record.passed.slice(1).map(({ atMs }, at) => atMs - record.passed[at]!.atMs)
      expect(Math.max(...gaps)).toBeLessThan(300)
    }
  })

  test("of a class holds beside that of everything, and does not hold up the others", async () => {
    const { clock, senders, start } = world({ total: 2e6, wan: 5e5 }, ["wan", "lan"])
    start()
    await clock.advance(10_000)
    const [wan, lan] = senders.map(({ record }) => record.total / 10)
    expect(wan! / 5e5).toBeGreaterThan(0.95)
    expect(wan! / 5e5).toBeLessThan(1.02)
    expect((wan! + lan!) / 2e6).toBeGreaterThan(0.95)
    expect((wan! + lan!) / 2e6).toBeLessThan(1.02)
  })

  test("that is taken away lets those go who wait", async () => {
    const { clock, shaper, senders, start } = world({ total: 256 * KIB }, ["wan", "lan"])
    for (const sender of senders) sender.left = 1_000
    start()
    await clock.advance(1_000)
    expect(shaper.waitingCount).toBe(2)
    shaper.setLimits({})
    await clock.advance(2)
    expect(senders.map(({ left }) => left)).toEqual([0, 0])
    expect([shaper.isLimited, shaper.waitingCount]).toEqual([false, 0])
  })

  test("that is lowered or raised holds from then on", async () => {
    const { clock, all, shaper, start } = world({ total: 1e6 }, ["wan"])
    start()
    await clock.advance(1_000)
    shaper.setLimits({ total: 4e5 })
    await clock.advance(10_000)
    expectKept(all.rates(1_100, 11_000), 4e5)
    shaper.setLimits({ total: 2e6 })
    await clock.advance(10_000)
    expectKept(all.rates(11_100, 21_000), 2e6)
  })

  test("counts what passed without asking as a debt", async () => {
    const limit = 1e6
    const { clock, all, shaper, start } = world({ total: limit }, ["wan"])
    start()
    for (let second = 0; second < 10; second++) {
      shaper.spend("wan", limit / 10)
      await clock.advance(1_000)
    }
    expect((all.total + limit) / 10 / limit).toBeGreaterThan(0.95)
    expect((all.total + limit) / 10 / limit).toBeLessThan(1.02)
  })
})

describe("what is reserved", () => {
  test("is given back when it is not coming, and only once", async () => {
    const { shaper } = world({ total: 1e6 }, [])
    const flow = shaper.flow({ classOf: () => "wan", wake: () => {} })
    flow.reserve(500_000)
    expect(shaper.waitMs("wan")).toBeGreaterThan(300)
    flow.release(500_000)
    flow.release(500_000)
    expect(shaper.waitMs("wan")).toBe(0)
    flow.reserve(500_000)
    expect(shaper.waitMs("wan")).toBeGreaterThan(300)
    flow.close()
    expect(shaper.waitMs("wan")).toBe(0)
  })

  test("before there was a limit is not given back under it", () => {
    const { shaper } = world({}, [])
    const flow = shaper.flow({ classOf: () => "wan", wake: () => {} })
    flow.reserve(5_000_000)
    shaper.setLimits({ total: 1e6 })
    shaper.spend("wan", 1_000_000)
    flow.release(5_000_000)
    expect(shaper.waitMs("wan")).toBeGreaterThan(800)
  })
})

test("any limit, any number of flows and any lateness of timers keep to the windows", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 256 * KIB, max: 4e6 }),
      fc.integer({ min: 1, max: 8 }),
      fc.infiniteStream(fc.integer({ min: 0, max: 30 })),
      async (limit, count, lateness) => {
        const clock = new VirtualClock()
        const late = {
          ...{ now: () => clock.now(), monotonicMs: () => clock.monotonicMs() },
          after: (delayMs: number, callback: () => void) =>
            clock.after(delayMs + (lateness.next().value as number), callback),
          sleep: (delayMs: number) => clock.sleep(delayMs),
        }
        const shaper = new Shaper({ clock: late }, { total: limit })
        const all = new Record(clock)
        for (let index = 0; index < count; index++) {
          new Sender(shaper, clock, () => "wan", all).send(all)
        }
        await clock.advance(8_000)
        expectKept(all.rates(0, clock.monotonicMs()), limit)
      },
    ),
    { numRuns: process.env.SLOW === "1" ? 100 : 10 },
  )
})
