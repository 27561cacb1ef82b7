import fc from "fast-check"
import { expect, test } from "vitest"
import { encodeBase64 } from "../../../src/core/byte-text.ts"
import { parseBase64 } from "../../../src/trust/base64.ts"

/** The four ways in which bytes may be written. */
function formsOf(bytes: Uint8Array): readonly string[] {
  const padded = Buffer.from(bytes).toString("base64")
  const urlSafe = padded.replaceAll("+", "-").replaceAll("/", "_")
  return [padded, urlSafe].flatMap((form) => [form, form.replaceAll("=", "")])
}

test("reads each of the four forms", () => {
  fc.assert(
    fc.property(fc.uint8Array(), (bytes) => {
      for (const form of formsOf(bytes)) expect(parseBase64(form)).toEqual(bytes)
      expect(parseBase64(encodeBase64(bytes))).toEqual(bytes)
    }),
  )
})

test("reads nothing else", () => {
  const text = fc.string({ unit: fc.constantFrom(..."AQgwZ019+/-_= \n!é"), maxLength: 9 })
  fc.assert(
    fc.property(text, (given) => {
      const bytes = parseBase64(given)
      if (bytes !== undefined) expect(formsOf(bytes)).toContain(given)
    }),
    { numRuns: 3_000 },
  )
})

test.each([
  "A",
  "AB",
  "AB=",
  "AA=",
  "AA===",
  "=AA=",
  "AAAA=",
  "AA==AA==",
  "-+-+",
  "AA AA",
  "AAAA\n",
])("refuses %j", (text) => {
  expect(parseBase64(text)).toBeUndefined()
})

test("writes the bytes of a view, not of the memory around it", () => {
  expect(encodeBase64(Uint8Array.of(1, 2, 3, 4).subarray(1, 3))).toBe("AgM=")
})
