/** Names, paths and variants beyond their vectors: properties that hold for whatever text comes. */
import fc from "fast-check"
import { describe, expect, test } from "vitest"
import { faultOfPaths, isSafePath } from "../../../src/core/asset-path.ts"
import { formatAssetVersion, parseAssetVersion } from "../../../src/release/asset-name.ts"
import { chooseVariant, type Variant } from "../../../src/release/variant.ts"
import { outcomeOf } from "../trust/vectors.ts"

describe("a version's text", () => {
  test("is read in one way only, whatever it is", () => {
    const alphabet = fc.constantFrom(..."ab0-._/@1 \n")
    const property = fc.property(fc.string({ unit: alphabet, maxLength: 20 }), (text) => {
      const { code, value } = outcomeOf(() => parseAssetVersion(text))
      if (value === undefined) return code === "ASSET_VERSION_INVALID"
      return formatAssetVersion(value) === text
    })
    fc.assert(property, { numRuns: 3_000, seed: 1 })
  })

  test("does not get longer than a subject's name may be", () => {
    const version = {
      namespace: "n".repeat(64),
      name: "m".repeat(128),
      sequence: Number.MAX_SAFE_INTEGER,
    }
    expect(parseAssetVersion(formatAssetVersion(version))).toEqual(version)
    expect(`${formatAssetVersion(version)}#4999`.length).toBeLessThan(512)
  })

  test("never names a file and a folder in one place", () => {
    const file = ({ namespace, name, sequence }: ReturnType<typeof parseAssetVersion>) =>
      `releases/${namespace}/${name}/${sequence}.json`
    const text = fc.string({ unit: fc.constantFrom(..."ab/.json1@"), maxLength: 24 })
    const property = fc.property(text, text, (one, other) => {
      const [first, second] = [one, other].map(
        (it) => outcomeOf(() => parseAssetVersion(`a/${it}@1`)).value,
      )
      if (first === undefined || second === undefined) return true
      return !file(second).startsWith(`${file(first)}/`)
    })
    fc.assert(property, { numRuns: 3_000, seed: 1 })
    expect(outcomeOf(() => parseAssetVersion("a/b/1.json@2")).code).toBe("ASSET_VERSION_INVALID")
  })
})

describe("a path", () => {
  test("that is safe stays below its folder and is the same in every form", () => {
    const unit = fc.constantFrom(..."aZ./\\: ~\0\n", "\u00e9", "e\u0301", "\ud800", "con", "..")
    const property = fc.property(fc.string({ unit, maxLength: 12 }), (path) => {
      if (!isSafePath(path)) return true
      const parts = path.split("/")
      return (
        !/[\\:\0\n\ud800]/.test(path) &&
        path.normalize("NFC") === path &&
        parts.every((part) => !["", ".", "..", "con"].includes(part) && !/[. ]$/.test(part))
      )
    })
    fc.assert(property, { numRuns: 5_000, seed: 1 })
  })

  test("clashes with itself in every other case of every letter", () => {
    let pairCount = 0
    for (let code = 0x41; code < 0x11000; code++) {
      const letter = String.fromCodePoint(code)
      if (!isSafePath(letter)) continue
      for (const other of [letter.toLowerCase(), letter.toUpperCase()]) {
        if (other === letter || !isSafePath(other)) continue
        pairCount++
        expect([letter, other, faultOfPaths([letter, other]) === undefined]).toEqual([
          letter,
          other,
          false,
        ])
      }
    }
    // As many letters have another case in the Unicode version of this runtime, or more.
    expect(pairCount).toBeGreaterThan(2_000)
  })

  test("of a set of 5,000 is checked in a moment", () => {
    const paths = Array.from({ length: 5_000 }, (_, index) => `a/b/c/d/e/f/${index}`)
    expect(faultOfPaths(paths)).toBeUndefined()
    expect(faultOfPaths([...paths, "a/b"])).toBeDefined()
  })
})

describe("a variant", () => {
  test("is chosen as a count of all that fit says, whatever the labels", () => {
    const label = fc.constantFrom("x", "y", "z")
    const slots = fc.dictionary(label, label, { maxKeys: 3 })
    const variants = fc.array(slots, { minLength: 1, maxLength: 8 })
    const property = fc.property(variants, slots, (list, labels) => {
      const all: Variant[] = list.map((one) => ({ slots: one, files: [0] }))
      const fitting = all.filter(
        (one) => JSON.stringify({ ...labels, ...one.slots }) === JSON.stringify(labels),
      )
      const [best] = [...fitting].sort(
        (a, b) => Object.keys(b.slots).length - Object.keys(a.slots).length,
      )
      const { code, value } = outcomeOf(() => chooseVariant(all, labels))
      expect(value).toBe(best)
      expect(code).toBe(best === undefined ? "NO_VARIANT" : "ok")
    })
    fc.assert(property, { numRuns: 1_000, seed: 1 })
  })
})
