/** Bytes as texts: each value has one form. */
import fc from "fast-check"
import { expect, test } from "vitest"
import { encodeBase64, encodeHex, parseBase64, parseHex } from "../../../src/core/byte-text.ts"

test("what was written is read, and is the only text that gives these bytes", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
      expect(parseHex(encodeHex(bytes))).toEqual(bytes)
      expect(parseBase64(encodeBase64(bytes))).toEqual(bytes)
    }),
    { seed: 1 },
  )
})

test("a part of a larger buffer is written alone", () => {
  const part = Uint8Array.of(1, 2, 3, 4).subarray(1, 3)
  expect([encodeHex(part), encodeBase64(part)]).toEqual(["0203", "AgM="])
})

test.each(["0", "0G", "AB", " 00", "00 ", "0x00"])("%j is no hex", (text) => {
  expect(parseHex(text)).toBeUndefined()
})

test.each(["AgM", "AgM= ", "AgN=", "Ag M=", "_-8=", "AgM=="])("%j is no padded base64", (text) => {
  expect(parseBase64(text)).toBeUndefined()
})
