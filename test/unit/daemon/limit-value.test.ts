/** Rates as people write them. */
import fc from "fast-check"
import { expect, test } from "vitest"
import { formatRate, parseRate } from "../../../src/daemon/limit-value.ts"

test.each([
  ["10MiB/s", 10 * 1024 ** 2],
  ["64KiB/s", 65_536],
  ["1.5MB/s", 1_500_000],
  ["unlimited", Number.POSITIVE_INFINITY],
  ["63KiB/s", undefined],
  ["0B/s", undefined],
  ["10MiB", undefined],
  ["10Mbit/s", undefined],
  ["-1MB/s", undefined],
  ["/s", undefined],
  ["", undefined],
])("%s is %s bytes per second", (text, bytes) => {
  expect(parseRate(text)).toBe(bytes)
})

test("a rate that is written reads as itself", () => {
  expect([5e6, 2 * 1024 ** 2, 65_537].map(formatRate)).toEqual(["5MB/s", "2MiB/s", "65537B/s"])
  fc.assert(
    fc.property(fc.integer({ min: 65_536, max: 2 ** 40 }), (bytes) => {
      expect(parseRate(formatRate(bytes))).toBe(bytes)
    }),
  )
})
