/** Sealed payloads in memory: protocol/sealed-payload.md. */
import { readFileSync } from "node:fs"
import fc from "fast-check"
import { describe, expect, test } from "vitest"
import { digestOf, hexOf } from "../../../src/core/digest.ts"
import { SealError } from "../../../src/seal/errors.ts"
import { newFileKey, openPayload, sealPayload } from "../../../src/seal/payload.ts"
import {
  CHUNK_BYTES,
  cipherBytesOf,
  PLAIN_BYTES_MAX,
  plainBytesOf,
  SEALED_CHUNK_BYTES,
} from "../../../src/seal/payload-layout.ts"
import {
  assemble,
  BROKEN_VECTORS,
  LENGTH_VECTORS,
  plaintextOf,
  SOUND_VECTORS,
} from "./payload-vectors.ts"

const RUNS = process.env.SLOW === "1" ? 1000 : 60
const coded = (code: string) => expect.objectContaining({ code })
const hex = (bytes: Uint8Array) => hexOf(digestOf(bytes))
const keysOf = ({ fileKey, nonce }: { readonly fileKey: string; readonly nonce: string }) => ({
  fileKey: Buffer.from(fileKey, "base64"),
  nonce: Buffer.from(nonce, "base64"),
})

/** Lengths at and around the ends of chunks, up to three of them. */
const lengths = fc
  .record({ chunks: fc.nat(3), off: fc.integer({ min: -20, max: 20 }) })
  .map(({ chunks, off }) => Math.max(0, chunks * CHUNK_BYTES + off))

describe("protocol/sealed-payload.md vectors", () => {
  test("there are sound ones, broken ones and lengths", () => {
    const counts = [SOUND_VECTORS, BROKEN_VECTORS, LENGTH_VECTORS].map(({ length }) => length)
    expect(Math.min(...counts)).toBeGreaterThan(9)
  })

  test("the example of the page is the vector of that name", () => {
    const { output } = SOUND_VECTORS.find((vector) => vector.case === "empty-zero-keys")!
    const [nonce, tag] = /^([0-9a-f]{32}) ([0-9a-f]{32})$/m
      .exec(readFileSync("protocol/sealed-payload.md", "utf8"))!
      .slice(1)
    expect(Buffer.from(output.ciphertext!, "base64").toString("hex")).toBe(`${nonce}${tag}`)
  })

  test.each(SOUND_VECTORS)("$case: $comment", ({ input, output }) => {
    const plain = plaintextOf(input.plainBytes)
    expect(hex(plain)).toBe(output.plainSha256)
    const cipher = sealPayload(plain, keysOf(input))
    expect(cipher.length).toBe(output.cipherBytes)
    expect(hex(cipher)).toBe(output.cipherSha256)
    const shown = output.ciphertext ?? Buffer.from(cipher).toString("base64")
    expect(Buffer.from(cipher).toString("base64")).toBe(shown)
    expect(Buffer.compare(openPayload(cipher, keysOf(input)), plain)).toBe(0)
  })

  test.each(BROKEN_VECTORS)("$case: $comment", (vector) => {
    const keys = keysOf(vector.input)
    const cipher = assemble(vector, sealPayload(plaintextOf(vector.input.plainBytes), keys))
    expect(cipher.length).toBe(vector.input.cipherBytes)
    expect(hex(cipher)).toBe(vector.input.cipherSha256)
    expect(() => openPayload(cipher, keys)).toThrow(coded(vector.expect))
  })

  test.each(LENGTH_VECTORS)("$case: $comment", ({ input, output, expect: expected }) => {
    if (output === undefined) {
      expect(() => plainBytesOf(input.cipherBytes)).toThrow(coded(expected))
      return
    }
    expect(plainBytesOf(input.cipherBytes)).toBe(output.plainBytes)
    expect(cipherBytesOf(output.plainBytes)).toBe(input.cipherBytes)
  })
})

describe("any payload", () => {
  test("opens to what was sealed", () => {
    fc.assert(
      fc.property(lengths, fc.nat(255), (length, fill) => {
        const plain = new Uint8Array(length).fill(fill)
        const fileKey = newFileKey()
        const cipher = sealPayload(plain, { fileKey })
        expect(cipher.length).toBe(cipherBytesOf(length))
        expect(Buffer.compare(openPayload(cipher, { fileKey }), plain)).toBe(0)
      }),
      { numRuns: RUNS },
    )
  })

  test("is refused when one bit of it is turned", () => {
    fc.assert(
      fc.property(lengths, fc.nat(), fc.nat(7), (length, place, bit) => {
        const fileKey = newFileKey()
        const cipher = sealPayload(plaintextOf(length), { fileKey })
        cipher[place % cipher.length]! ^= 1 << bit
        expect(() => openPayload(cipher, { fileKey })).toThrow(coded("PAYLOAD_CORRUPT"))
      }),
      { numRuns: RUNS },
    )
  })

  test("is refused when it ends anywhere else", () => {
    fc.assert(
      fc.property(lengths, fc.nat(2 * SEALED_CHUNK_BYTES), (length, cut) => {
        const fileKey = newFileKey()
        const cipher = sealPayload(plaintextOf(length), { fileKey })
        const shorter = cipher.subarray(0, Math.max(0, cipher.length - 1 - cut))
        expect(() => openPayload(shorter, { fileKey })).toThrow(SealError)
        const longer = Buffer.concat([cipher, new Uint8Array(cut + 1)])
        expect(() => openPayload(longer, { fileKey })).toThrow(SealError)
      }),
      { numRuns: RUNS },
    )
  })

  test("has another ciphertext each time, since its nonce is fresh", () => {
    const fileKey = newFileKey()
    const [first, second] = [1, 2].map(() => sealPayload(plaintextOf(10), { fileKey }))
    expect(first).not.toEqual(second)
  })
})

test("a short payload is refused whichever of its bytes is turned or cut", () => {
  const fileKey = newFileKey()
  const cipher = sealPayload(plaintextOf(40), { fileKey })
  for (let at = 0; at < cipher.length; at++) {
    const turned = cipher.slice()
    turned[at]! ^= 0x80
    expect(() => openPayload(turned, { fileKey })).toThrow(coded("PAYLOAD_CORRUPT"))
    expect(() => openPayload(cipher.subarray(0, at), { fileKey })).toThrow(SealError)
  }
})

test("each length of a plaintext has one of the ciphertext, and back", () => {
  const whole = fc.oneof(lengths, fc.integer({ min: 0, max: PLAIN_BYTES_MAX }))
  fc.assert(
    fc.property(whole, (plainBytes) => {
      expect(plainBytesOf(cipherBytesOf(plainBytes))).toBe(plainBytes)
    }),
  )
})

test("refuses a plaintext whose ciphertext would be no blob", () => {
  expect(() => cipherBytesOf(PLAIN_BYTES_MAX + 1)).toThrow(coded("PAYLOAD_LENGTH_INVALID"))
})
