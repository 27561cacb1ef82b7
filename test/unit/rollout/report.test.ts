/** Health reports as statements: read as they were written, and nothing else is one. */
import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { encodeReport, type HealthReport, readReport } from "../../../src/rollout/report.ts"
import type { StatementDraft } from "../../../src/trust/statement.ts"
import { FLEET, fileOf, keyOf, NOW } from "../release/world.ts"
import { outcomeOf } from "../trust/vectors.ts"
import { NAMED, peerOf, releaseOf, reportOf } from "./rollout-scene.ts"
import { anyDamage, cutCodes, REFUSED_AS_STATEMENT, verifyFlips } from "./statement-fuzz.ts"

const NODE = peerOf(2)
const TRUST = { node: NODE, fleet: FLEET }
const REPORT = reportOf()
const WAITING = reportOf({
  outcome: "waiting",
  opensAtMs: NOW + 5,
  running: [],
  reason: "at night",
})
const signed = (draft: StatementDraft) => fileOf(draft, keyOf(2))
const read = (file: Uint8Array) => readReport(file, TRUST)

const anyReport: fc.Arbitrary<HealthReport> = fc
  .record({
    wave: fc.nat(64),
    attempt: fc.nat(1_024),
    counter: fc.integer({ min: 1 }),
    outcome: fc.constantFrom<HealthReport["outcome"]>(
      ...(["waiting", "healthy", "failed", "rolled-back", "staged"] as const),
    ),
    running: fc.subarray([releaseOf("model"), releaseOf("tools", 7)]),
    slots: fc.constantFrom({}, { arch: "arm64", constructor: "x" }),
    opensAtMs: fc.option(fc.integer({ min: 1 }), { nil: undefined }),
    reason: fc.constantFrom("", "it does not start", "ü"),
  })
  .map(({ opensAtMs, ...rest }) =>
    reportOf({ ...rest, opensAtMs: rest.outcome === "waiting" ? opensAtMs : undefined }),
  )

describe("a health report as a statement", () => {
  it("is read as it was written", async () => {
    const property = fc.asyncProperty(anyReport, async (report) => {
      const { said, signers } = read(await signed(encodeReport(report)))
      expect(said).toEqual(report)
      expect([...signers]).toEqual([keyOf(2).publicKey])
    })
    await fc.assert(property, { numRuns: 50 })
  })

  it("is signed by the node that it is of", async () => {
    const by = async (report: HealthReport, key: number) => {
      const file = await fileOf(encodeReport(report), keyOf(key))
      return outcomeOf(() => read(file)).code
    }
    expect(await by(REPORT, 3)).toBe("SIGNATURE_MISSING")
    // Signed by the node that is asked for, about another one.
    expect(await by(reportOf({ node: peerOf(3) }), 2)).toBe("REPORT_INVALID")
  })

  it("is refused in another fleet, and where another kind of statement stands", async () => {
    const file = await signed(encodeReport(REPORT))
    const other = { ...TRUST, fleet: "e2".repeat(32) }
    expect(outcomeOf(() => readReport(file, other)).code).toBe("FLEET_WRONG")
    const decision = await signed({ ...encodeReport(REPORT), kind: "sealift:decision/v1" })
    expect(outcomeOf(() => read(decision)).code).toBe("KIND_WRONG")
  })

  it("is refused with one bit of it flipped, and when it is cut off, wherever", async () => {
    for (const report of [REPORT, WAITING]) {
      const file = await signed(encodeReport(report))
      const codes = [...verifyFlips(file, read), ...cutCodes(file, read)]
      expect(codes.filter((code) => !REFUSED_AS_STATEMENT.includes(code))).toEqual([])
    }
  })

  it("is refused with no other code, whatever one of its fields becomes", async () => {
    for (const report of [REPORT, WAITING]) {
      const property = fc.asyncProperty(anyDamage(encodeReport(report)), async (draft) => {
        let file: Uint8Array
        try {
          file = await signed(draft)
        } catch {
          // It cannot even be written: a lone half of a character.
          return
        }
        expect(["ok", "REPORT_INVALID"]).toContain(outcomeOf(() => read(file)).code)
      })
      await fc.assert(property, { numRuns: process.env.SLOW === "1" ? 2_000 : 40 })
    }
  })

  it("is not written when it could not be read", () => {
    const wrong: readonly Partial<HealthReport>[] = [
      { node: "somebody" },
      { wave: 65 },
      { counter: 0 },
      { boot: "0123" },
      { atMs: 0 },
      { opensAtMs: NOW },
      { running: Array.from({ length: 17 }, (_, index) => releaseOf(`model-${index}`)) },
      { slots: { "no label": "x" } },
      { reason: "two\nlines" },
      { plan: { ...NAMED, name: "Model" } },
    ]
    for (const change of wrong) {
      const { code } = outcomeOf(() => encodeReport(reportOf(change)))
      expect(code).toBe("REPORT_INVALID")
    }
  })
})
