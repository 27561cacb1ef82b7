/** Values on the command line: pairs, durations, counts; and times as people read them. */
import fc from "fast-check"
import { describe, expect, test } from "vitest"
import { countOf, durationOf, labelsOf, pairsOf } from "../../../src/cli/option.ts"
import { distanceText, momentText } from "../../../src/cli/time-text.ts"
import { codeOf } from "../../../src/core/errors.ts"

const codeOfWork = (work: () => unknown) => {
  try {
    return work()
  } catch (error) {
    return codeOf(error)
  }
}

describe("pairs", () => {
  test("are split at the first equals sign, whatever comes after", () => {
    const key = fc.stringMatching(/^[^=]{1,8}$/)
    fc.assert(
      fc.property(key, fc.string({ minLength: 1, maxLength: 8 }), (name, value) => {
        expect(pairsOf([`${name}=${value}`], "--x")).toEqual([[name, value]])
      }),
      { numRuns: 100 },
    )
  })

  test.each(["a", "=b", "a=", "", "="])("%j is none", (text) => {
    expect(codeOfWork(() => pairsOf([text], "--x"))).toBe("USAGE_INVALID")
  })

  test("of labels have each key once, and one called __proto__ is a key as any other", () => {
    expect(codeOfWork(() => labelsOf(["a=1", "a=2"], "--x"))).toBe("USAGE_INVALID")
    const labels = labelsOf(["__proto__=1"], "--x")
    expect(JSON.stringify(labels)).toBe('{"__proto__":"1"}')
    expect(labelsOf(undefined, "--x")).toEqual({})
  })
})

test.each([
  ["90d", 7_776_000_000],
  ["1h", 3_600_000],
  [undefined, undefined],
  ["0s", "USAGE_INVALID"],
  ["soon", "USAGE_INVALID"],
])("the duration %j is %j", (text, expected) => {
  expect(codeOfWork(() => durationOf(text, "--x"))).toBe(expected)
})

test.each([
  ["1", 1],
  ["9007199254740991", Number.MAX_SAFE_INTEGER],
  ["0", "USAGE_INVALID"],
  ["01", "USAGE_INVALID"],
  ["1.0", "USAGE_INVALID"],
  [undefined, undefined],
])("the count %j is %j", (text, expected) => {
  expect(codeOfWork(() => countOf(text, "--x"))).toBe(expected)
})

test.each([
  [0, "now"],
  [-999, "now"],
  [1_000, "in 1 second"],
  [-119_999, "2 minutes ago"],
  [7_200_000, "in 2 hours"],
  [-86_400_000 * 40, "40 days ago"],
])("%i ms from now is %s", (differenceMs, text) => {
  expect(distanceText(differenceMs)).toBe(text)
})

test("a moment is told in UTC, and one that no calendar has as it is", () => {
  const atMs = Date.UTC(2026, 11, 1, 9, 30)
  expect(momentText(atMs, atMs - 3_600_000)).toBe("2026-12-01 09:30 UTC (in 1 hour)")
  expect(momentText(Number.MAX_SAFE_INTEGER, 0)).toContain("ms after 1970")
})
