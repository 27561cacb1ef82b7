/** Digests in the OCI form. */
import { expect, test } from "vitest"
import {
  digestOf,
  digestOfRaw,
  hexOf,
  isDigest,
  parseDigest,
  rawOf,
} from "../../../src/core/digest.ts"
import { codeOf } from "../../../src/core/errors.ts"

// FIPS 180-4, example "abc".
const ABC = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

test("gives the digest that FIPS 180-4 prints for abc", () => {
  expect(digestOf(new TextEncoder().encode("abc"))).toBe(`sha256:${ABC}`)
})

test("goes to raw bytes and back", () => {
  const digest = parseDigest(`sha256:${ABC}`)
  expect(digestOfRaw(rawOf(digest))).toBe(digest)
  expect(hexOf(digest)).toBe(ABC)
})

test.each([
  ["upper-case digits", `sha256:${ABC.toUpperCase()}`],
  ["another algorithm", `sha512:${ABC}`],
  ["no algorithm", ABC],
  ["a digit too few", `sha256:${ABC.slice(1)}`],
  ["a line end after it", `sha256:${ABC}\n`],
  ["a path", `sha256:../../${ABC.slice(6)}`],
  ["nothing", ""],
])("refuses %s", (_name, text) => {
  expect(isDigest(text)).toBe(false)
  expect(() => parseDigest(text)).toThrow(expect.objectContaining({ code: "DIGEST_INVALID" }))
})

test("finds the code of anything that was thrown", () => {
  expect(codeOf(Object.assign(new Error("x"), { code: "ENOENT" }))).toBe("ENOENT")
  expect(codeOf("text")).toBeUndefined()
  expect(codeOf(null)).toBeUndefined()
})
