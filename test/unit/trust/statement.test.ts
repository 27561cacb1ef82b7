/** Statements: the steps of reading, by vectors and by files that somebody has tampered with. */
import fc from "fast-check"
import { beforeAll, describe, expect, test } from "vitest"
import { type Digest, digestOf } from "../../../src/core/digest.ts"
import { field, type JsonObject } from "../../../src/core/json.ts"
import { addSignature, encodeEnvelope, envelopeOf } from "../../../src/trust/envelope.ts"
import { parsePublicKey } from "../../../src/trust/public-key.ts"
import { createSigningKey } from "../../../src/trust/signing-key.ts"
import {
  encodeStatement,
  readStatement,
  type StatementDraft,
} from "../../../src/trust/statement.ts"
import { fromBase64, outcomeOf, vectorsOf } from "./vectors.ts"

const KIND = "sealift:withdrawal/v1"
const FLEET = "b5".repeat(32)
const alice = createSigningKey()
const EXPECTED = {
  keys: new Set([alice.publicKey]),
  fleet: FLEET,
  kinds: { [KIND]: ["reason"], "sealift:approval/v1": [] },
} as const

const DRAFT = {
  kind: KIND,
  fleet: FLEET,
  subject: [{ name: "acme/model@1", digest: digestOf(new Uint8Array()) }],
  predicate: { reason: "wrong weights" },
} as const

async function fileOf(payload: Uint8Array): Promise<Uint8Array> {
  return encodeEnvelope(await addSignature(envelopeOf(payload), alice))
}

describe("protocol/envelope.md vectors", () => {
  interface Input {
    readonly file: string
    readonly insert?: { readonly at: number; readonly text: string; readonly count: number }
    readonly keys: readonly string[]
    readonly fleet: string
    readonly kinds: Record<string, readonly string[]>
  }
  type Output = { kind: string; digest: string; signers: readonly string[] }
  const vectors = vectorsOf<Input, Output>("envelope", "read-")

  function fileOfVector({ file, insert }: Input): Uint8Array {
    const bytes = fromBase64(file)
    if (insert === undefined) return bytes
    const inserted = Buffer.from(insert.text.repeat(insert.count))
    return Buffer.concat([bytes.subarray(0, insert.at), inserted, bytes.subarray(insert.at)])
  }

  test.each(vectors)("$case: $comment", ({ input, expect: code, output }) => {
    const keys = new Set(input.keys.map(parsePublicKey))
    const expected = { keys, fleet: input.fleet, kinds: input.kinds }
    const outcome = outcomeOf(() => readStatement(fileOfVector(input), expected))
    expect(outcome.code).toBe(code)
    if (outcome.value === undefined) return
    const { kind, digest, signers } = outcome.value
    expect({ kind, digest, signers: [...signers].sort() }).toEqual(output)
  })

  test("there are some for each outcome", () => {
    expect([...new Set(vectors.map((vector) => vector.expect))].sort()).toEqual([
      "CRITICAL_UNKNOWN",
      "ENVELOPE_MALFORMED",
      "ENVELOPE_TOO_LARGE",
      "FLEET_WRONG",
      "KIND_WRONG",
      "PAYLOAD_TYPE_WRONG",
      "SIGNATURE_MISSING",
      "STATEMENT_MALFORMED",
      "ok",
    ])
  })
})

describe("writing", () => {
  const text = fc.string({ unit: "grapheme" })
  const digest = fc.uint8Array({ minLength: 1 }).map(digestOf)
  const subject = fc.record({ name: fc.string({ minLength: 1, maxLength: 64 }), digest })
  const drafts = fc.record({
    kind: fc.constantFrom(...(Object.keys(EXPECTED.kinds) as (keyof typeof EXPECTED.kinds)[])),
    fleet: fc.constant(FLEET),
    subject: fc.array(subject, { minLength: 1, maxLength: 3 }),
    predicate: fc.dictionary(
      text.filter((name) => name !== "fleet" && name !== "critical"),
      fc.jsonValue({ maxDepth: 3 }) as fc.Arbitrary<JsonObject>,
      { noNullPrototype: true },
    ),
  })

  test("gives what is read back", async () => {
    await fc.assert(
      fc.asyncProperty(drafts, async (draft) => {
        const { code, value: payload } = outcomeOf(() => encodeStatement(draft))
        // fast-check makes numbers that JSON cannot keep exactly, too.
        fc.pre(code !== "STATEMENT_MALFORMED")
        const read = readStatement(await fileOf(payload!), EXPECTED)
        expect(read.kind).toBe(draft.kind)
        expect(read.subject).toEqual(draft.subject)
        expect(read.signers).toEqual(EXPECTED.keys)
        expect(read.payload).toEqual(Uint8Array.from(payload!))
        expect(read.digest).toBe(digestOf(payload!))
        const expected = JSON.parse(JSON.stringify({ fleet: FLEET, ...draft.predicate }))
        expect(read.predicate).toEqual(expected)
      }),
      { numRuns: 50 },
    )
  })

  test("puts the fleet first", () => {
    const body = JSON.parse(new TextDecoder().decode(encodeStatement(DRAFT)))
    expect(Object.entries(body.predicate)[0]).toEqual(["fleet", FLEET])
  })

  const subjects = (count: number) =>
    Array.from({ length: count }, (_, index) => ({ ...DRAFT.subject[0], name: `${index}` }))
  test.each<[string, string, Partial<StatementDraft>]>([
    ["no subject", "STATEMENT_MALFORMED", { subject: [] }],
    ["too many subjects", "STATEMENT_MALFORMED", { subject: subjects(10_001) }],
    [
      "a digest that is none",
      "STATEMENT_MALFORMED",
      {
        subject: [{ name: "a", digest: "sha256:00" as Digest }],
      },
    ],
    ["a fleet that is none", "STATEMENT_MALFORMED", { fleet: "" }],
    ["a number that is not exact", "STATEMENT_MALFORMED", { predicate: { later: 2 ** 53 } }],
    ["too many bytes", "STATEMENT_MALFORMED", { predicate: { later: "x".repeat(3_000_000) } }],
    [
      "a critical field that is not there",
      "CRITICAL_UNKNOWN",
      {
        predicate: { critical: ["later"] },
      },
    ],
  ])("refuses %s", (_, code, fields) => {
    expect(outcomeOf(() => encodeStatement({ ...DRAFT, ...fields })).code).toBe(code)
  })

  test("writes as many subjects as are read", () => {
    expect(encodeStatement({ ...DRAFT, subject: subjects(10_000) }).length).toBeLessThan(3_000_000)
  })
})

describe("reading", () => {
  let file: Uint8Array
  let payload: Uint8Array
  beforeAll(async () => {
    payload = encodeStatement(DRAFT)
    file = await fileOf(payload)
  })

  test("the digest does not change with who has signed", async () => {
    const byBoth = await addSignature(
      await addSignature(envelopeOf(payload), createSigningKey()),
      alice,
    )
    const read = readStatement(encodeEnvelope(byBoth), EXPECTED)
    expect(read.digest).toBe(readStatement(file, EXPECTED).digest)
    expect(read.signers).toEqual(EXPECTED.keys)
  })

  test("a field that objects have by birth is not there", () => {
    const { predicate } = readStatement(file, EXPECTED)
    expect(field(predicate, "constructor")).toBeUndefined()
    expect(field(predicate, "reason")).toBe("wrong weights")
  })

  test("a flipped bit anywhere gives an error of its own kind, or the same payload", () => {
    const codes = new Map<string, number>()
    for (let bit = 0; bit < file.length * 8; bit++) {
      const flipped = Uint8Array.from(file)
      flipped[bit >> 3]! ^= 1 << (bit & 7)
      const { code, value } = outcomeOf(() => readStatement(flipped, EXPECTED))
      codes.set(code, (codes.get(code) ?? 0) + 1)
      if (value !== undefined) expect(Buffer.compare(value.payload, payload)).toBe(0)
    }
    // Not "ok": each bit of a file without unknown fields counts.
    expect([...codes.keys()].sort()).toEqual([
      "ENVELOPE_MALFORMED",
      "PAYLOAD_TYPE_WRONG",
      "SIGNATURE_MISSING",
    ])
  })

  test("never throws anything but a trust error, whatever is signed", async () => {
    const given = fc.oneof(
      fc.uint8Array(),
      fc.json().map((text) => Buffer.from(text)),
      fc.jsonValue().map((predicate) => {
        const body = { ...JSON.parse(new TextDecoder().decode(payload)), predicate }
        return Buffer.from(JSON.stringify(body))
      }),
    )
    await fc.assert(
      fc.asyncProperty(given, async (bytes) => {
        const signed = await fileOf(bytes)
        expect(outcomeOf(() => readStatement(signed, EXPECTED)).code).toBe("STATEMENT_MALFORMED")
      }),
      { numRuns: 50 },
    )
  })
})
