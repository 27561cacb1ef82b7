/** Bencoding: canonical values pass both ways; everything else is refused by code. */
import fc from "fast-check"
import { describe, expect, test } from "vitest"
import {
  type BencodeValue,
  dictionaryOf,
  encodeBencode,
  parseBencode,
  parseBencodePrefix,
} from "../../../src/swarm/bencode.ts"

const parseText = (text: string) => parseBencode(Buffer.from(text, "latin1"))
const refused = expect.objectContaining({ code: "BENCODE_INVALID" })

const values = fc.letrec<{ value: BencodeValue }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    fc.maxSafeInteger(),
    fc.uint8Array({ maxLength: 40 }),
    fc.array(tie("value"), { maxLength: 4 }),
    fc
      .array(
        fc.tuple(
          fc.uint8Array({ maxLength: 6 }).map((key) => Buffer.from(key).toString("latin1")),
          tie("value"),
        ),
        { maxLength: 4 },
      )
      .map((pairs) => new Map(pairs)),
  ),
})).value

describe("encodeBencode", () => {
  test("sorts the keys of a dictionary as raw bytes", () => {
    const bytes = encodeBencode(dictionaryOf({ b: 1, a: "x", "a b": [2] }))
    expect(Buffer.from(bytes).toString()).toBe("d1:a1:x3:a bli2ee1:bi1ee")
  })

  test("gives what parseBencode takes back unchanged", () => {
    fc.assert(
      fc.property(values, (value) => {
        const bytes = encodeBencode(value)
        expect(Buffer.compare(encodeBencode(parseBencode(bytes)), bytes)).toBe(0)
      }),
      { numRuns: 200 },
    )
  })
})

describe("parseBencode", () => {
  test("reads the examples of BEP 3", () => {
    expect(parseText("i-3e")).toBe(-3)
    expect(parseText("i0e")).toBe(0)
    expect(parseText("l4:spam4:eggse")).toEqual([Buffer.from("spam"), Buffer.from("eggs")])
    expect(parseText("d3:cow3:moo4:spam4:eggse")).toEqual(
      new Map([
        ["cow", Buffer.from("moo")],
        ["spam", Buffer.from("eggs")],
      ]),
    )
  })

  test.each([
    ["", "nothing"],
    ["i03e", "a leading zero"],
    ["i-0e", "minus zero"],
    ["ie", "no digits"],
    ["i1", "an integer without its end"],
    ["i9007199254740993e", "an integer that a double cannot hold"],
    ["i99999999999999999999999e", "an integer of too many digits"],
    ["5:spam", "a string past the end"],
    ["-1:a", "a negative length"],
    ["01:a", "a length with a leading zero"],
    ["li1e", "a list without its end"],
    ["d1:bi1e1:ai1ee", "keys out of order"],
    ["d1:ai1e1:ai1ee", "a key twice"],
    ["di1ei1ee", "a key that is a number"],
    ["i1ei2e", "bytes after the value"],
    ["x", "an unknown kind"],
  ])("refuses %j: %s", (text) => {
    expect(() => parseText(text)).toThrow(refused)
  })

  test("refuses nesting beyond its bound instead of running out of stack", () => {
    expect(() => parseText("l".repeat(100_000))).toThrow(refused)
  })

  test("refuses more values than its bound", () => {
    expect(() => parseText(`l${"0:".repeat(70_000)}e`)).toThrow(refused)
  })

  test("refuses every truncation of a value", () => {
    const bytes = encodeBencode(dictionaryOf({ m: dictionaryOf({ ut_metadata: 3 }), v: "x" }))
    for (let length = 0; length < bytes.length; length++) {
      expect(() => parseBencode(bytes.subarray(0, length))).toThrow(refused)
    }
  })

  test("survives any bytes: a value or BENCODE_INVALID", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
        try {
          parseBencode(bytes)
        } catch (error) {
          expect(error).toEqual(refused)
        }
      }),
      { numRuns: 300 },
    )
  })
})

test("parseBencodePrefix tells where the value ends", () => {
  expect(parseBencodePrefix(Buffer.from("d1:ai1eerest"))).toEqual({
    value: new Map([["a", 1]]),
    end: 8,
  })
})
