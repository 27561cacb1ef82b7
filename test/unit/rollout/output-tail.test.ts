/** What people are shown of an output: its end, short, on one line, harmless. */
import * as fc from "fast-check"
import { describe, expect, test } from "vitest"
import {
  harmlessLine,
  OutputTail,
  REASON_BYTES_MAX,
  reasonWith,
} from "../../../src/rollout/output-tail.ts"

const tailOf = (...parts: readonly string[]) => {
  const tail = new OutputTail()
  for (const part of parts) tail.push(Buffer.from(part))
  return tail.text()
}

describe("the tail of an output", () => {
  test("is all of it when it is short", () => {
    expect(tailOf()).toBe("")
    expect(tailOf("one", " two\n")).toBe("one two")
  })

  test("is its end, in whatever parts it came", () => {
    const text = Array.from({ length: 3_000 }, (_, index) => `${index};`).join("")
    const parts = text.match(/.{1,7}/g)!
    expect(text.endsWith(tailOf(...parts))).toBe(true)
    expect(tailOf(...parts)).toBe(tailOf(text))
    expect(tailOf(text).length).toBeGreaterThanOrEqual(REASON_BYTES_MAX)
  })

  test("is one line on which nothing acts on a terminal", () => {
    expect(harmlessLine("a\r\n\n  b\u2028c\n")).toBe("a | b | c")
    expect(harmlessLine("\u001b[31mred\u0007\u202eesrever\u0000")).toBe(
      "\ufffd[31mred\ufffd\ufffdesrever\ufffd",
    )
  })
})

describe("a reason", () => {
  test("has what failed in front, and of the output the end", () => {
    expect(reasonWith("it failed", "")).toBe("it failed")
    expect(reasonWith("it failed", "why")).toBe("it failed: why")
    const long = reasonWith("it failed", `${"x".repeat(5_000)}end`)
    expect(long).toMatch(/^it failed: x+end$/)
    expect(Buffer.byteLength(long)).toBe(REASON_BYTES_MAX)
  })

  test("never has more than its bytes, nor half a character", () => {
    const text = fc.string({ unit: "grapheme", maxLength: 3_000 })
    fc.assert(
      fc.property(text, text, (what, tail) => {
        const reason = reasonWith(what, harmlessLine(tail))
        expect(Buffer.byteLength(reason)).toBeLessThanOrEqual(REASON_BYTES_MAX)
        if (what.isWellFormed()) expect(reason).not.toMatch(/\ufffd$/u)
      }),
      { numRuns: 50 },
    )
    expect(reasonWith("é".repeat(2_000), "x")).toBe("é".repeat(1_024))
    expect(reasonWith("a", "é".repeat(2_000))).toBe(`a: ${"é".repeat(1_022)}`)
  })
})
