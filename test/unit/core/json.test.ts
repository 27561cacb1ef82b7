import fc from "fast-check"
import { describe, expect, test } from "vitest"
import { codeOf } from "../../../src/core/errors.ts"
import {
  encodeJson,
  field,
  type JsonValue,
  parseJson,
  parseStrictJson,
} from "../../../src/core/json.ts"

const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text)

function codeOfParse(text: string, limits?: Parameters<typeof parseJson>[1]): string | undefined {
  try {
    parseJson(bytesOf(text), limits)
    return undefined
  } catch (error) {
    return codeOf(error) ?? `not coded: ${String(error)}`
  }
}

describe("parseJson", () => {
  test("reads whatever JSON.stringify writes", () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const written = JSON.stringify(value)
        expect(parseJson(bytesOf(written))).toEqual(JSON.parse(written))
      }),
      { numRuns: 200 },
    )
  })

  test("says the same as JSON.parse about every mutation of a document", () => {
    const text = '{"a":[1,-2.5e3,"x\\"y\\\\",true,null],"b":{"c":{}}}'
    fc.assert(
      fc.property(fc.nat(text.length - 1), fc.constantFrom(...'{}[]",:\\0a e-'), (at, mark) => {
        const changed = text.slice(0, at) + mark + text.slice(at + 1)
        let isJson = true
        try {
          JSON.parse(changed)
        } catch {
          isJson = false
        }
        const code = codeOfParse(changed)
        if (isJson) expect([undefined, "JSON_INVALID"]).toContain(code)
        else expect(code).toBe("JSON_INVALID")
      }),
      { numRuns: 300 },
    )
  })

  test("refuses a document cut at any byte", () => {
    const text = '{"a":[1,{"b":"c"}],"d":"e"}'
    for (let length = 0; length < text.length; length++) {
      expect(codeOfParse(text.slice(0, length))).toBe("JSON_INVALID")
    }
  })

  test.each([
    ["a key that stands twice", '{"a":1,"a":2}'],
    ["a key that stands twice, once escaped", '{"a":1,"\\u0061":2}'],
    ["a key that stands twice deep inside", '[{"x":{"k":[],"k":{}}}]'],
    ["a byte order mark", "\ufeff{}"],
    ["two documents", "{} {}"],
    ["a text without an end", '{"a":"'],
    ["a colon outside of an object", "[1:2]"],
  ])("refuses %s", (_name, text) => {
    expect(codeOfParse(text)).toBe("JSON_INVALID")
  })

  test("takes the same key in two objects", () => {
    expect(codeOfParse('[{"a":1},{"a":{"a":2}}]')).toBeUndefined()
  })

  test("refuses bytes that are not UTF-8", () => {
    expect(() => parseJson(Uint8Array.of(0x22, 0xff, 0x22))).toThrow(/UTF-8/)
  })

  test("keeps to the depth it is given", () => {
    const nested = (depth: number): string => "[".repeat(depth) + "]".repeat(depth)
    expect(codeOfParse(nested(64))).toBeUndefined()
    expect(codeOfParse(nested(65))).toBe("JSON_INVALID")
    expect(codeOfParse(nested(3), { depthMax: 2 })).toBe("JSON_INVALID")
  })

  test("keeps to the size it is given", () => {
    expect(codeOfParse('"abc"', { bytesMax: 5 })).toBeUndefined()
    expect(codeOfParse('"abcd"', { bytesMax: 5 })).toBe("JSON_INVALID")
  })

  test.each([
    ...["9007199254740992", "-9007199254740992", "1e30", "1e400", "[123456789012345678]"],
    // What one reader takes for a whole number, and another does not.
    ...["1.0", "1.5", "2e3", "1e-400", "9007199254740990.6", "-0", '"\\ud800"', '"\\udc00\\ud800"'],
  ])("refuses %s when asked to be strict", (text) => {
    expect(codeOfParse(text, { isStrict: true })).toBe("JSON_INVALID")
    expect(codeOfParse(text)).toBeUndefined()
  })

  test("takes exact whole numbers and whole characters when asked to be strict", () => {
    const text = '[9007199254740991,-9007199254740991,-1,0,"\\ud83d\\ude00","\\\\ud800"]'
    expect(codeOfParse(text, { isStrict: true })).toBeUndefined()
  })

  test("refuses strict JSON of many small values before it holds them", () => {
    const many = (count: number): Uint8Array => bytesOf(`[${"[],".repeat(count)}0]`)
    expect(parseStrictJson(many(262_143), 1e6)).toHaveLength(262_144)
    expect(() => parseStrictJson(many(262_144), 1e6)).toThrow("more than 524288")
  })

  test("takes a text of megabytes and a million escapes in bounded time", () => {
    const long = JSON.stringify({ a: "x".repeat(1_500_000), b: '\\"'.repeat(500_000) })
    expect(codeOfParse(long)).toBeUndefined()
  })

  test("keeps __proto__ as an ordinary key, and field() sees own keys only", () => {
    const value = parseJson(bytesOf('{"__proto__":{"x":1}}')) as { [key: string]: JsonValue }
    expect(field(value, "__proto__")).toEqual({ x: 1 })
    expect(field(value, "constructor")).toBeUndefined()
    expect(({} as { x?: number }).x).toBeUndefined()
  })

  test("encodes what it parses back", () => {
    expect(parseJson(encodeJson({ a: [1, "ü"] }))).toEqual({ a: [1, "ü"] })
  })
})
