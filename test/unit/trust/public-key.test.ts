import fc from "fast-check"
import { describe, expect, test } from "vitest"
import { TrustError } from "../../../src/trust/errors.ts"
import { parsePublicKey, publicKeyOfRaw, rawOfPublicKey } from "../../../src/trust/public-key.ts"
import { createSigningKey } from "../../../src/trust/signing-key.ts"
import { fromHex, outcomeOf, vectorsOf } from "./vectors.ts"

describe("protocol/keys.md vectors", () => {
  const vectors = vectorsOf<{ key: string }, never>("keys", "register-")
  test.each(vectors)("$case: $comment", ({ input, expect: code }) => {
    expect(outcomeOf(() => parsePublicKey(input.key)).code).toBe(code)
  })

  test("there are some for each outcome", () => {
    const outcomes = new Set(vectors.map((vector) => vector.expect))
    expect([...outcomes].sort()).toEqual(["KEY_MALFORMED", "KEY_WEAK", "ok"])
  })
})

test("a registered key is its own text and gives its bytes back", () => {
  const { publicKey } = createSigningKey()
  expect(publicKey).toMatch(/^[0-9a-f]{64}$/)
  expect(parsePublicKey(publicKey)).toBe(publicKey)
  expect(publicKeyOfRaw(rawOfPublicKey(publicKey))).toBe(publicKey)
})

test("reads the bytes of a view, not of the memory around it", () => {
  const { publicKey } = createSigningKey()
  const around = Uint8Array.of(7, ...rawOfPublicKey(publicKey), 7)
  expect(publicKeyOfRaw(around.subarray(1, 33))).toBe(publicKey)
})

test.each([0, 31, 33])("refuses a key of %i bytes", (length) => {
  const { code } = outcomeOf(() => publicKeyOfRaw(new Uint8Array(length)))
  expect(code).toBe("KEY_MALFORMED")
})

test("says why a key is weak, with the key", () => {
  const identity = fromHex(`01${"00".repeat(31)}`)
  expect(() => publicKeyOfRaw(identity)).toThrow(TrustError)
  expect(() => publicKeyOfRaw(identity)).toThrow(/key 0100.* small order/)
})

test("never throws anything but a trust error, whatever comes", () => {
  const bytes = fc.uint8Array({ minLength: 32, maxLength: 32 })
  const texts = fc.oneof(
    fc.string(),
    bytes.map((raw) => Buffer.from(raw).toString("hex")),
  )
  fc.assert(
    fc.property(texts, (text) => {
      const { code, value } = outcomeOf(() => parsePublicKey(text))
      expect(["ok", "KEY_MALFORMED", "KEY_WEAK"]).toContain(code)
      if (code === "ok") expect(value).toBe(text)
    }),
    { numRuns: 200 },
  )
})
