/** Plans as statements: any plan is read as it was written, and nothing else is a plan. */
import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { digestOf } from "../../../src/core/digest.ts"
import type { JsonObject, JsonValue } from "../../../src/core/json.ts"
import type { Plan } from "../../../src/rollout/plan.ts"
import { encodePlan, PLAN_KIND, readPlan } from "../../../src/rollout/plan-statement.ts"
import type { StatementDraft } from "../../../src/trust/statement.ts"
import { FLEET, fileOf, keyOf } from "../release/world.ts"
import { outcomeOf } from "../trust/vectors.ts"
import { anyPlan, PLAN } from "./plan-scene.ts"

const SIGNER = keyOf(7)
const RUNS = { numRuns: process.env.SLOW === "1" ? 200 : 50 }
const TRUST = { keys: new Set([SIGNER.publicKey]), fleet: FLEET }

const signed = (draft: StatementDraft) => fileOf(draft, SIGNER)
const read = (file: Uint8Array) => readPlan(file, TRUST)

describe("a plan as a statement", () => {
  it("is read as it was written", async () => {
    await fc.assert(
      fc.asyncProperty(anyPlan, async (plan) => {
        const { said, signers } = read(await signed(encodePlan(plan)))
        expect(said).toEqual(plan)
        expect([...signers]).toEqual([SIGNER.publicKey])
      }),
      RUNS,
    )
  })

  it("names its releases as its subjects, in their order", async () => {
    const other = { namespace: "acme", name: "tools/run", sequence: 7 }
    const releases = [...PLAN.releases, { asset: other, digest: digestOf(Buffer.from("other")) }]
    const draft = encodePlan({ ...PLAN, releases })
    const { kind, subject } = draft
    expect(kind).toBe(PLAN_KIND)
    expect(subject.map(({ name }) => name)).toEqual(["acme/model@1", "acme/tools/run@7"])
    expect(read(await signed(draft)).said.releases).toEqual(releases)
  })

  it("is refused in another fleet, and of another key", async () => {
    const file = await signed(encodePlan(PLAN))
    expect(outcomeOf(() => readPlan(file, { ...TRUST, fleet: "e2".repeat(32) })).code).toBe(
      "FLEET_WRONG",
    )
    const keys = new Set([keyOf(8).publicKey])
    expect(outcomeOf(() => readPlan(file, { ...TRUST, keys })).code).toBe("SIGNATURE_MISSING")
  })

  it("is not written when it could not be read", () => {
    for (const wrong of [
      { name: "Model" },
      { version: 0 },
      { expiresAtMs: PLAN.createdAtMs },
      { waves: [] },
      { releases: [] },
      { success: { percent: 50, minSample: 1 }, error: { ...PLAN.error, percent: 50 } },
    ] satisfies Partial<Plan>[]) {
      expect(outcomeOf(() => encodePlan({ ...PLAN, ...wrong })).code).toBe("PLAN_INVALID")
    }
  })

  it("is refused, with no other code, whatever any of its fields becomes", async () => {
    const draft = encodePlan(PLAN)
    const paths = pathsOf(draft.predicate)
    // Without a fraction: statements have none.
    const anyValue = fc.oneof(
      ...[fc.constant(null), fc.boolean(), fc.integer(), fc.maxSafeInteger(), fc.string()],
      ...[fc.array(fc.string(), { maxLength: 2 }), fc.constant({}), fc.constant([{}])],
    )
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...paths), anyValue, async (path, value) => {
        const predicate = replaced(draft.predicate, path, value) as JsonObject
        const file = await signed({ ...draft, predicate })
        const { code } = outcomeOf(() => read(file))
        expect(["ok", "PLAN_INVALID"]).toContain(code)
      }),
      RUNS,
    )
  })
})

/** Gives the path of each field, at any depth. */
function pathsOf(value: JsonValue, path: readonly string[] = []): readonly string[][] {
  if (typeof value !== "object" || value === null) return []
  return Object.entries(value).flatMap(([key, inner]) => {
    const here = [...path, key]
    return [here, ...pathsOf(inner as JsonValue, here)]
  })
}

function replaced(value: JsonValue, [key, ...rest]: readonly string[], by: JsonValue): JsonValue {
  if (key === undefined) return by
  const copy = structuredClone(value) as Record<string, JsonValue>
  copy[key] = replaced(copy[key]!, rest, by)
  return copy
}
