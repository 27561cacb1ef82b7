/** The header parsers of the registry: what they read, and that nothing makes them throw. */
import fc from "fast-check"
import { describe, expect, test } from "vitest"
import { VirtualClock } from "../../../src/core/virtual-clock.ts"
import { parseChunkRange, parseRange, resolveRange } from "../../../src/registry/range-header.ts"
import { parseChallenges } from "../../../src/registry/upstream/challenge.ts"
import { parseContentRange } from "../../../src/registry/upstream/content-range.ts"
import { parseRetryAfter } from "../../../src/registry/upstream/fault.ts"
import { parseNextLink } from "../../../src/registry/upstream/link.ts"

const token = fc.stringMatching(/^[a-zA-Z][a-zA-Z0-9-]{0,8}$/)

describe("parseRange", () => {
  test("reads back every part and suffix", () => {
    fc.assert(
      fc.property(fc.nat(1e9), fc.nat(1e9), (start, more) => {
        const end = start + more + 1
        expect(parseRange(`bytes=${start}-${end - 1}`)).toEqual({ kind: "part", start, end })
        expect(parseRange(`bytes=${start}-`)).toEqual({ kind: "part", start, end: undefined })
        expect(parseRange(`bytes=-${start}`)).toEqual({ kind: "suffix", sizeBytes: start })
      }),
      { numRuns: 100 },
    )
  })

  test("ignores anything else", () => {
    for (const header of [
      undefined,
      "",
      "bytes=",
      "bytes=-",
      "bytes=2-1",
      "bytes=0-1,3-4",
      "x=0-1",
    ]) {
      expect(parseRange(header)).toBeUndefined()
    }
    fc.assert(
      fc.property(fc.string(), (header) => {
        parseRange(header)
      }),
      { numRuns: 200 },
    )
  })

  test("resolves only to bytes that are there", () => {
    const wish = fc.oneof(
      fc.record({
        kind: fc.constant("part" as const),
        start: fc.nat(200),
        end: fc.option(fc.integer({ min: 201, max: 400 }), { nil: undefined }),
      }),
      fc.record({ kind: fc.constant("suffix" as const), sizeBytes: fc.nat(200) }),
    )
    fc.assert(
      fc.property(wish, fc.nat(300), (asked, sizeBytes) => {
        const range = resolveRange(asked, sizeBytes)
        if (range === undefined) return
        expect(range.start).toBeGreaterThanOrEqual(0)
        expect(range.end).toBeGreaterThan(range.start)
        expect(range.end).toBeLessThanOrEqual(sizeBytes)
      }),
      { numRuns: 200 },
    )
  })
})

test.each([
  [undefined, undefined],
  ["", undefined],
  ["0-99", { first: 0, last: 99 }],
  ["bytes 5-9/*", { first: 5, last: 9 }],
  ["bytes 5-9/10", { first: 5, last: 9 }],
  ["9-5", "malformed"],
  ["-5", "malformed"],
  ["0-", "malformed"],
  ["0-99999999999999999999", "malformed"],
])("reads the pushed Content-Range %j", (header, expected) => {
  expect(parseChunkRange(header)).toEqual(expected)
})

test.each([
  ["bytes 0-99/100", { range: { start: 0, end: 100 }, sizeBytes: 100 }],
  ["bytes 5-5/*", { range: { start: 5, end: 6 }, sizeBytes: undefined }],
  ["bytes 5-4/10", undefined],
  ["bytes 0-10/10", undefined],
  ["bytes */10", undefined],
  ["0-9/10", undefined],
  [undefined, undefined],
])("reads the answered Content-Range %j", (header, expected) => {
  expect(parseContentRange(header)).toEqual(expected)
})

describe("parseChallenges", () => {
  const plain = (header: string) =>
    parseChallenges(header).map(({ scheme, parameters }) => [
      scheme,
      Object.fromEntries(parameters),
    ])

  test.each([
    [
      'Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull,push"',
      [
        [
          "bearer",
          {
            realm: "https://auth.docker.io/token",
            service: "registry.docker.io",
            scope: "repository:a/b:pull,push",
          },
        ],
      ],
    ],
    ["Basic", [["basic", {}]]],
    ['Basic realm="a, b", charset=UTF-8', [["basic", { realm: "a, b", charset: "UTF-8" }]]],
    [
      "Negotiate YWJjZA==, Basic realm=x",
      [
        ["negotiate", { "": "YWJjZA==" }],
        ["basic", { realm: "x" }],
      ],
    ],
    [
      'Basic realm="x",Bearer realm="y"',
      [
        ["basic", { realm: "x" }],
        ["bearer", { realm: "y" }],
      ],
    ],
    ['Digest realm="a \\"b\\""', [["digest", { realm: 'a "b"' }]]],
    ['Basic realm="first", realm="second"', [["basic", { realm: "first" }]]],
    ["", []],
    ["@@@", []],
    ['Basic realm="open', []],
  ])("reads %s", (header, expected) => {
    expect(plain(header)).toEqual(expected)
  })

  test("reads back what it is made of", () => {
    const parameters = fc.uniqueArray(fc.tuple(token, fc.string({ maxLength: 12 })), {
      maxLength: 3,
      minLength: 1,
      selector: ([name]) => name.toLowerCase(),
    })
    fc.assert(
      fc.property(fc.array(fc.tuple(token, parameters), { maxLength: 3 }), (made) => {
        const header = made
          .map(([scheme, pairs]) => {
            const texts = pairs.map(
              ([name, value]) => `${name}="${value.replace(/["\\]/g, "\\$&")}"`,
            )
            return `${scheme} ${texts.join(", ")}`
          })
          .join(", ")
        expect(plain(header)).toEqual(
          made.map(([scheme, pairs]) => [
            scheme.toLowerCase(),
            Object.fromEntries(pairs.map(([name, value]) => [name.toLowerCase(), value])),
          ]),
        )
      }),
      { numRuns: 100 },
    )
  })

  test("throws at nothing", () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(...'aB="\\, \t;/~') }), (header) => {
        parseChallenges(header)
      }),
      { numRuns: 300 },
    )
  })
})

describe("parseNextLink", () => {
  test.each([
    ['</v2/a/tags/list?n=2&last=b>; rel="next"', "/v2/a/tags/list?n=2&last=b"],
    ['<https://r.io/x>; title="a"; rel=next', "https://r.io/x"],
    ['<a>; rel="prev", <b>; rel="next"', "b"],
    ['<a>; rel="prev next"', "a"],
    ['<a>; rel="prev"; rel="next"', undefined],
    ["<a>", undefined],
    ['a; rel="next"', undefined],
    ['<a; rel="next"', undefined],
    ["", undefined],
  ])("finds in %s the target %s", (header, expected) => {
    expect(parseNextLink(header)).toBe(expected)
  })

  test("throws at nothing and always ends", () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(...'<>;,="rel next') }), (header) => {
        parseNextLink(header)
      }),
      { numRuns: 300 },
    )
  })
})

test.each([
  ["7", 7],
  [" 0 ", 0],
  ["99999", 3_600],
  ["Thu, 01 Jan 1970 00:01:00 GMT", 30],
  ["Thu, 01 Jan 1970 00:00:01 GMT", 0],
  ["soon", undefined],
  ["-5", undefined],
  [undefined, undefined],
])("reads Retry-After %j as %s seconds", (header, expected) => {
  expect(parseRetryAfter(header, new VirtualClock(30_000))).toBe(expected)
})
