/** Decisions as statements: read as they were written, and nothing else is one. */
import fc from "fast-check"
import { describe, expect, it } from "vitest"
import {
  type Act,
  type Decision,
  encodeDecision,
  readDecision,
  shortLine,
} from "../../../src/rollout/decision.ts"
import type { StatementDraft } from "../../../src/trust/statement.ts"
import { FLEET, fileOf, keyOf, NOW } from "../release/world.ts"
import { outcomeOf } from "../trust/vectors.ts"
import { digestFor, NAMED, peerOf, START } from "./rollout-scene.ts"
import { anyDamage, cutCodes, REFUSED_AS_STATEMENT, verifyFlips } from "./statement-fuzz.ts"

const CONTROLLER = peerOf(1)
const TRUST = { controller: CONTROLLER, fleet: FLEET }
const DECISION: Decision = {
  fleet: FLEET,
  plan: NAMED,
  index: 3,
  previous: digestFor("the one before"),
  atMs: NOW,
  act: { kind: "release", wave: 1 },
  reason: "wave canary: 1 of 1 are healthy",
}
const FIRST: Decision = { ...DECISION, index: 0, previous: undefined, act: START }
const signed = (draft: StatementDraft) => fileOf(draft, keyOf(1))
const read = (file: Uint8Array) => readDecision(file, TRUST)
const codeOf = async (draft: StatementDraft) => {
  const file = await signed(draft)
  return outcomeOf(() => read(file)).code
}

const anyAct: fc.Arbitrary<Act> = fc.oneof(
  fc.constantFrom<Act>(
    ...[START, { kind: "pause" } as const, { kind: "resume" } as const],
    ...[{ kind: "abort" } as const, { kind: "complete" } as const],
  ),
  fc.record({ kind: fc.constantFrom("release" as const, "rollback" as const), wave: fc.nat(63) }),
)

describe("a decision as a statement", () => {
  it("is read as it was written", async () => {
    const property = fc.asyncProperty(
      ...[anyAct, fc.nat(1_023), fc.constantFrom("", "by hand", "ü")],
      async (act, index, reason) => {
        const previous = index === 0 ? undefined : DECISION.previous
        const decision = { ...DECISION, act, index, previous, reason }
        const { said, signers } = read(await signed(encodeDecision(decision)))
        expect(said).toEqual(decision)
        expect([...signers]).toEqual([keyOf(1).publicKey])
      },
    )
    await fc.assert(property, { numRuns: 50 })
  })

  it("has a reason of any text, as one short line", () => {
    const anyText = fc.oneof(
      fc.string({ unit: "binary", maxLength: 1_000 }),
      fc.string({ unit: fc.constantFrom("ü", "\ud800", "😀", "\n", "\u202e"), maxLength: 600 }),
    )
    const property = fc.property(anyText, (text) => {
      const reason = shortLine(text)
      expect(Buffer.byteLength(reason)).toBeLessThanOrEqual(512)
      encodeDecision({ ...DECISION, reason })
    })
    fc.assert(property, { numRuns: 200 })
    expect(shortLine(" a\nb ")).toBe("a b")
    expect(shortLine(`${"a".repeat(600)}ü`)).toBe(`…${"a".repeat(507)}ü`)
  })

  it("is of the controller that the plan names, and of nobody else", async () => {
    const file = await fileOf(encodeDecision(DECISION), keyOf(2))
    expect(outcomeOf(() => read(file)).code).toBe("SIGNATURE_MISSING")
  })

  it("is refused in another fleet, and where another kind of statement stands", async () => {
    const file = await signed(encodeDecision(DECISION))
    const other = { ...TRUST, fleet: "e2".repeat(32) }
    expect(outcomeOf(() => readDecision(file, other)).code).toBe("FLEET_WRONG")
    const report = { ...encodeDecision(DECISION), kind: "sealift:health-report/v1" }
    expect(await codeOf(report)).toBe("KIND_WRONG")
  })

  it("is refused with one bit of it flipped, wherever", async () => {
    for (const decision of [DECISION, FIRST]) {
      const codes = verifyFlips(await signed(encodeDecision(decision)), read)
      expect(codes.filter((code) => !REFUSED_AS_STATEMENT.includes(code))).toEqual([])
    }
  })

  it("is refused when it is cut off, wherever", async () => {
    const codes = cutCodes(await signed(encodeDecision(DECISION)), read)
    expect(codes.filter((code) => !REFUSED_AS_STATEMENT.includes(code))).toEqual([])
  })

  it("is refused with no other code, whatever one of its fields becomes", async () => {
    for (const decision of [DECISION, FIRST]) {
      const property = fc.asyncProperty(anyDamage(encodeDecision(decision)), async (draft) => {
        let file: Uint8Array
        try {
          file = await signed(draft)
        } catch {
          // It cannot even be written: a lone half of a character.
          return
        }
        expect(["ok", "DECISION_INVALID"]).toContain(outcomeOf(() => read(file)).code)
      })
      await fc.assert(property, { numRuns: process.env.SLOW === "1" ? 2_000 : 40 })
    }
  })

  it("is not written when it could not be read", () => {
    const wrong: readonly Partial<Decision>[] = [
      { index: 1_024 },
      { index: 0 },
      { previous: undefined },
      { atMs: 0 },
      { act: { kind: "release", wave: 64 } },
      { act: { ...START, access: 0 } as Act },
      { reason: "ü".repeat(257) },
      { reason: "two\nlines" },
      { reason: "\u202eback" },
      { plan: { ...NAMED, version: 0 } },
      { plan: { ...NAMED, name: "Model" } },
    ]
    for (const change of wrong) {
      const { code } = outcomeOf(() => encodeDecision({ ...DECISION, ...change }))
      expect(code).toBe("DECISION_INVALID")
    }
  })

  it("says nothing that does not belong to its act", async () => {
    const draft = encodeDecision({ ...DECISION, act: { kind: "pause" } })
    for (const more of [{ wave: 1 }, { access: 4 }, { roster: {} }]) {
      const predicate = { ...draft.predicate, ...more }
      expect(await codeOf({ ...draft, predicate })).toBe("DECISION_INVALID")
    }
  })
})
