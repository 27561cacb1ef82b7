import fc from "fast-check"
import { describe, expect, test } from "vitest"
import { codeOf } from "../../../src/core/errors.ts"
import {
  canonicalName,
  encodeImageReference,
  isRepository,
  isTag,
  parseImageReference,
  parseReference,
  parseRegistryHost,
} from "../../../src/core/reference.ts"

const DIGEST = `sha256:${"ab".repeat(32)}`

const component = fc
  .tuple(
    fc.stringMatching(/^[a-z0-9]{1,6}$/),
    fc.array(
      fc.tuple(fc.constantFrom(".", "_", "__", "-", "---"), fc.stringMatching(/^[a-z0-9]{1,4}$/)),
      { maxLength: 2 },
    ),
  )
  .map(([head, rest]) => head + rest.map(([mark, text]) => mark + text).join(""))
const repository = fc.array(component, { minLength: 2, maxLength: 4 }).map((all) => all.join("/"))
const tag = fc.stringMatching(/^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,20}$/)
const registry = fc.constantFrom("quay.io", "localhost:5000", "10.0.0.1:80", "[::1]:5000")

function codeOfReference(text: string): string | undefined {
  try {
    parseReference(text)
    return undefined
  } catch (error) {
    return codeOf(error) ?? `not coded: ${String(error)}`
  }
}

describe("isRepository", () => {
  test("takes what the OCI grammar makes", () => {
    fc.assert(
      fc.property(repository, (name) => {
        expect(isRepository(name)).toBe(true)
      }),
      { numRuns: 100 },
    )
  })

  test.each(["", "/a", "a/", "a//b", "A", "a_-b", "a___b", "-a", "a.", "a..b", "a b", "a/../b"])(
    "refuses %j",
    (name) => {
      expect(isRepository(name)).toBe(false)
    },
  )

  test("refuses a name over 255 characters, and answers fast on a nasty one", () => {
    expect(isRepository("a".repeat(256))).toBe(false)
    expect(isRepository(`${"a-".repeat(127)}!`)).toBe(false)
  })
})

test.each([
  ["latest", true],
  ["_x", true],
  ["v1.2-3", true],
  ["a".repeat(128), true],
  ["a".repeat(129), false],
  [".x", false],
  ["-x", false],
  ["", false],
  ["a/b", false],
  ["ä", false],
])("the tag %s is a tag: %s", (text, expected) => {
  expect(isTag(text)).toBe(expected)
})

test.each([
  ["docker.io", { host: "docker.io", port: undefined, isAddress: false }],
  ["localhost:5000", { host: "localhost", port: 5000, isAddress: false }],
  ["10.0.0.1", { host: "10.0.0.1", port: undefined, isAddress: true }],
  ["[fe80::1]:443", { host: "[fe80::1]", port: 443, isAddress: true }],
  ["256.1.1.1", undefined],
  ["a:0", undefined],
  ["a:65536", undefined],
  ["a..b", undefined],
  ["-a.io", undefined],
  ["a/b", undefined],
  ["user@host", undefined],
  ["", undefined],
])("reads the registry host %s", (text, expected) => {
  expect(parseRegistryHost(text)).toEqual(expected)
})

test.each([
  ["docker.io", "alpine", "docker.io", "library/alpine"],
  ["index.docker.io", "alpine", "docker.io", "library/alpine"],
  ["docker.io", "team/app", "docker.io", "team/app"],
  ["quay.io", "alpine", "quay.io", "alpine"],
])("%s/%s is canonically %s/%s", (from, name, to, canonical) => {
  expect(canonicalName(from, name)).toEqual({ registry: to, repository: canonical })
})

describe("parseImageReference", () => {
  test("reads back what it writes", () => {
    fc.assert(
      fc.property(
        fc.option(registry, { nil: undefined }),
        repository,
        fc.option(tag, { nil: undefined }),
        fc.boolean(),
        (host, name, label, hasDigest) => {
          // Without a registry, a first component with a dot would be one.
          fc.pre(host !== undefined || !name.split("/")[0]!.includes("."))
          const digest = hasDigest ? (DIGEST as `sha256:${string}`) : undefined
          const reference = { registry: host, repository: name, tag: label, digest }
          expect(parseImageReference(encodeImageReference(reference))).toEqual(reference)
        },
      ),
      { numRuns: 200 },
    )
  })

  test("takes a key of upstreams as a registry", () => {
    const parsed = parseImageReference("local/team/app:1", (name) => name === "local")
    expect(parsed).toMatchObject({ registry: "local", repository: "team/app", tag: "1" })
    expect(parseImageReference("local/team/app:1")).toMatchObject({ registry: undefined })
  })

  test("never throws anything but REFERENCE_INVALID", () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 40 }), (text) => {
        expect([undefined, "REFERENCE_INVALID"]).toContain(codeOfReference(text))
      }),
      { numRuns: 300 },
    )
  })
})

describe("parseReference", () => {
  test.each([
    ["acme/model@3", { kind: "release", name: "acme/model", sequence: 3 }],
    ["a/b@9007199254740991", { kind: "release", sequence: Number.MAX_SAFE_INTEGER }],
    ["release:acme/model", { kind: "release", name: "acme/model", sequence: undefined }],
    ["team/app:1", { kind: "image", registry: undefined, repository: "team/app", tag: "1" }],
    [`docker.io/alpine@${DIGEST}`, { kind: "image", repository: "library/alpine", digest: DIGEST }],
    ["oci:team/app", { kind: "image", repository: "team/app", tag: "latest" }],
    ["quay.io/a/b:x", { kind: "image", registry: "quay.io", repository: "a/b", tag: "x" }],
    ["localhost:5000/a:x", { kind: "image", registry: "localhost:5000", repository: "a" }],
    ["acme/model", { kind: "name", name: "acme/model", image: { tag: "latest" } }],
  ])("reads %s", (text, expected) => {
    expect(parseReference(text)).toMatchObject(expected)
  })

  test.each([
    "",
    "UPPER",
    "a@",
    "a@0",
    "a@01",
    "a@9007199254740992",
    "a@-1",
    "a@sha256:abc",
    "a:",
    "a:b:c",
    "release:",
    "release:A@1",
    "release:a@x",
    "oci:",
    "a/../b",
    "bad..host/a",
    "host.io:99999/a",
    `a/${"b".repeat(300)}`,
  ])("refuses %j", (text) => {
    expect(codeOfReference(text)).toBe("REFERENCE_INVALID")
  })
})
