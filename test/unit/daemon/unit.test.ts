/** Sizes and durations: a table of texts, and round trips over random values. */
import fc from "fast-check"
import { describe, expect, test } from "vitest"
import {
  formatDuration,
  formatSize,
  humanSize,
  parseDuration,
  parseSize,
} from "../../../src/daemon/unit.ts"

const RUNS = 200

describe("parseSize", () => {
  test.each([
    ["0B", 0],
    ["1B", 1],
    ["10KB", 10_000],
    ["10KiB", 10_240],
    ["50GiB", 53_687_091_200],
    ["1.5MiB", 1_572_864],
    ["2 TiB", 2_199_023_255_552],
  ])("reads %s", (text, bytes) => {
    expect(parseSize(text)).toBe(bytes)
  })

  test.each([
    "",
    "50",
    "GiB",
    "-1GiB",
    "1,5GiB",
    "1e3B",
    "50gib",
    "50GiBs",
    "1.5B",
    "9999999999TiB",
  ])("refuses %j", (text) => {
    expect(parseSize(text)).toBeUndefined()
  })

  test("refuses names that every object has", () => {
    expect(parseSize("1toString")).toBeUndefined()
    expect(parseDuration("1at")).toBeUndefined()
  })

  test("gives back every size that formatSize wrote", () => {
    const sizes = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER })
    fc.assert(
      fc.property(sizes, (bytes) => parseSize(formatSize(bytes)) === bytes),
      { numRuns: RUNS },
    )
  })

  test("never throws, whatever the text", () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        const bytes = parseSize(text)
        return bytes === undefined || Number.isSafeInteger(bytes)
      }),
      { numRuns: RUNS },
    )
  })
})

describe("parseDuration", () => {
  test.each([
    ["0ms", 0],
    ["250ms", 250],
    ["1.5s", 1500],
    ["10m", 600_000],
    ["2h", 7_200_000],
    ["1d", 86_400_000],
  ])("reads %s", (text, ms) => {
    expect(parseDuration(text)).toBe(ms)
  })

  test.each(["", "10", "s", "-1s", "1h30m", "10 seconds", "0.5ms"])("refuses %j", (text) => {
    expect(parseDuration(text)).toBeUndefined()
  })

  test("gives back every duration that formatDuration wrote", () => {
    const durations = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER })
    fc.assert(
      fc.property(durations, (ms) => parseDuration(formatDuration(ms)) === ms),
      { numRuns: RUNS },
    )
  })
})

test("humanSize rounds for people", () => {
  expect([0, 1023, 1536, 150 * 1024 ** 2, 1.4 * 1024 ** 3].map(humanSize)).toEqual([
    "0 B",
    "1023 B",
    "1.5 KiB",
    "150 MiB",
    "1.4 GiB",
  ])
})
