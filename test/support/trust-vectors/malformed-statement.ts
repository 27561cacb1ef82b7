/** Cases of protocol/envelope.md §5, reading 4: what is signed and no statement. */
import type { VectorCase } from "./keys.ts"
import { draft, FLEET, nested, payloadOf, read, SHA256, STATEMENT } from "./scene.ts"

type Fields = Record<string, unknown>

export function malformedStatements(): readonly VectorCase[] {
  const bad = (name: string, comment: string, statement: Fields | string | Buffer) =>
    read(`statement-${name}`, comment, { payload: payloadOf(statement) }, "STATEMENT_MALFORMED")
  const text = JSON.stringify(STATEMENT)
  return [
    bad("empty", "No bytes.", ""),
    bad("cut", "The last byte is missing.", text.slice(0, -1)),
    bad("bytes-after", "A byte after the value.", `${text}{`),
    bad("byte-order-mark", "A byte order mark.", `\ufeff${text}`),
    bad(
      "not-utf8",
      "A byte that is not UTF-8.",
      Buffer.from(text.replace("wrong", "wr\u00f6ng"), "latin1"),
    ),
    bad("array", "An array.", "[]"),
    bad(
      "key-twice",
      "A key stands twice in the predicate.",
      text.replace('"reason"', '"fleet":"","reason"'),
    ),
    bad("number-not-exact", "2^53.", text.replace('"reason"', '"later":9007199254740992,"reason"')),
    bad("too-deep", "Nesting of 17.", draft({ later: nested(15) })),
    bad("type-missing", "No _type.", { ...STATEMENT, _type: undefined }),
    bad("type-other", "An older _type.", {
      ...STATEMENT,
      _type: "https://in-toto.io/Statement/v0.1",
    }),
    bad("predicate-type-missing", "No predicateType.", { ...STATEMENT, predicateType: undefined }),
    bad("predicate-type-number", "A number.", { ...STATEMENT, predicateType: 1 }),
    bad("predicate-missing", "No predicate.", { ...STATEMENT, predicate: undefined }),
    bad("predicate-array", "An array.", { ...STATEMENT, predicate: [] }),
    ...malformedSubjects(bad),
    ...malformedPredicates(bad),
  ]
}

type Bad = (name: string, comment: string, statement: Fields | string) => VectorCase

function malformedSubjects(bad: Bad): VectorCase[] {
  const badSubject = (name: string, comment: string, subject: unknown) =>
    bad(`subject-${name}`, comment, { ...STATEMENT, subject })
  const digest = { sha256: SHA256 }
  const badDigest = (name: string, comment: string, value: unknown) =>
    badSubject(`digest-${name}`, comment, [{ name: "a", digest: value }])
  return [
    badSubject("missing", "No subject.", undefined),
    badSubject("empty", "An empty list.", []),
    badSubject("object", "No list.", { name: "a", digest }),
    badSubject("text", "A text in the list.", ["a"]),
    badSubject("name-missing", "No name.", [{ digest }]),
    badSubject("name-empty", "An empty name.", [{ name: "", digest }]),
    badSubject("name-long", "A name of 513 bytes, 171 characters.", [
      { name: "€".repeat(171), digest },
    ]),
    badSubject("second", "The second one has no name.", [{ name: "a", digest }, { digest }]),
    badDigest("missing", "No digest.", undefined),
    badDigest("text", "A text.", SHA256),
    badDigest("other-only", "Another algorithm only.", { sha512: SHA256.repeat(2) }),
    badDigest("upper-case", "Upper-case digits.", { sha256: SHA256.toUpperCase() }),
    badDigest("short", "63 digits.", { sha256: SHA256.slice(1) }),
    badDigest("prefixed", "The form of OCI.", { sha256: `sha256:${SHA256}` }),
  ]
}

function malformedPredicates(bad: Bad): VectorCase[] {
  const text = JSON.stringify(STATEMENT)
  return [
    bad("fleet-missing", "No fleet.", draft({ fleet: undefined })),
    bad("fleet-number", "A number.", draft({ fleet: 1 })),
    bad("fleet-upper-case", "Upper-case digits.", draft({ fleet: FLEET.toUpperCase() })),
    bad("fleet-empty", "An empty fleet is none.", draft({ fleet: "" })),
    bad(
      "fleet-inherited",
      "A field of a prototype is no field.",
      text.replace(`"fleet":"${FLEET}"`, `"__proto__":{"fleet":"${FLEET}"}`),
    ),
    bad("critical-text", "No list.", draft({ critical: "reason" })),
    bad("critical-null", "null.", draft({ critical: null })),
    bad("critical-number", "A number in the list.", draft({ critical: ["reason", 1] })),
    bad("critical-too-many", "33 names.", draft({ critical: Array(33).fill("reason") })),
  ]
}
