/** Fields of an object from outside: what is read, and where a fault is said to be. */
import { describe, expect, test } from "vitest"
import { encodeJson, type JsonObject } from "../../../src/core/json.ts"
import {
  bytesField,
  bytesListField,
  choiceField,
  countField,
  countListField,
  digestField,
  flagField,
  hashListField,
  optionalBytesListField,
  optionalCountField,
  parseSection,
  type Section,
  sectionField,
  sectionListField,
  textField,
  textListField,
  textSetField,
  verifyAbsent,
} from "../../../src/core/section.ts"

const HASH = "ab".repeat(32)
const refuse = (reason: string, cause?: unknown) => new Error(`refused: ${reason}`, { cause })
const sectionOf = (fields: JsonObject): Section =>
  parseSection(encodeJson(fields), { bytesMax: 10_000, refuse })

test("what is no strict JSON object is refused, with the reason behind it", () => {
  for (const text of ["[]", "1", '{"a":1,"a":2}', '{"a":9007199254740993}', "{", " "]) {
    const parse = () => parseSection(Buffer.from(text), { bytesMax: 100, refuse })
    expect(parse).toThrow(/^refused: /)
  }
  const long = Buffer.from(`{"a":"${"x".repeat(100)}"}`)
  expect(() => parseSection(long, { bytesMax: 50, refuse })).toThrow("at most 50")
})

test("a fault is said with its place, however deep", () => {
  const section = sectionOf({ parties: [{ device: { key: "x" } }, { device: {} }] })
  const parties = sectionListField(section, "parties", { max: 2 })
  const keys = () => parties.map((party) => textField(sectionField(party, "device"), "key"))
  expect(keys).toThrow("refused: parties[1].device.key: no text")
})

test("no field is what an object has by birth", () => {
  expect(() => textField(sectionOf({}), "constructor")).toThrow("constructor: no text")
})

describe("a field", () => {
  const section = sectionOf({
    text: "t",
    flag: false,
    count: 3,
    digest: HASH,
    hashes: [HASH],
    bytes: "AgM=",
    texts: ["a", "a"],
    counts: [1, 2],
    files: ["AgM=", null],
  })
  const files = { count: { max: 2 }, bytes: { max: 2 } }

  test("is read as what it is", () => {
    expect([
      textField(section, "text"),
      choiceField(section, "text", ["s", "t"]),
      flagField(section, "flag"),
      countField(section, "count", { min: 3, max: 3 }),
      optionalCountField(section, "none"),
      digestField(section, "digest"),
      hashListField(section, "hashes", { max: 1 }).length,
      [...bytesField(section, "bytes", { max: 2 })],
      textListField(section, "texts", { max: 2 }),
      countListField(section, "counts", { count: { max: 2 }, value: { max: 2 } }),
    ]).toEqual(["t", "t", false, 3, undefined, `sha256:${HASH}`, 1, [2, 3], ["a", "a"], [1, 2]])
    const bytes = Uint8Array.of(2, 3)
    expect(optionalBytesListField(section, "files", files)).toEqual([bytes, undefined])
    expect(bytesListField(sectionOf({ files: ["AgM="] }), "files", files)).toEqual([bytes])
  })

  test.each([
    ["a text that is none", () => textField(section, "count")],
    ["another choice", () => choiceField(section, "text", ["s"])],
    ["a flag that is none", () => flagField(section, "text")],
    ["bytes in whose place null stands", () => bytesListField(section, "files", files)],
    [
      "bytes of a list above their bound",
      () => optionalBytesListField(section, "files", { ...files, bytes: { max: 1 } }),
    ],
    ["a count below its bound", () => countField(section, "count", { min: 4 })],
    ["a count above its bound", () => countField(section, "count", { max: 2 })],
    ["a digest that is none", () => digestField(section, "text")],
    ["more hashes than there may be", () => hashListField(section, "hashes", { max: 0 })],
    ["more bytes than there may be", () => bytesField(section, "bytes", { max: 1 })],
    ["one text twice in a set", () => textSetField(section, "texts", { max: 2 })],
    ["fewer than there must be", () => textListField(section, "texts", { min: 3, max: 4 })],
    [
      "one of a list above its bound",
      () => countListField(section, "counts", { count: { max: 2 }, value: { max: 1 } }),
    ],
    ["one that does not belong here", () => verifyAbsent(section, ["none", "flag"])],
  ])("is refused: %s", (_, read) => {
    expect(read).toThrow(/^refused: [a-z]+: /)
  })
})
