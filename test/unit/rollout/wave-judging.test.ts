/** Judging waves: every threshold and action, and what is never promoted. */
import fc from "fast-check"
import { describe, expect, it } from "vitest"
import type { ErrorAction, Plan } from "../../../src/rollout/plan.ts"
import type { HealthReport, Outcome } from "../../../src/rollout/report.ts"
import type { RolloutView } from "../../../src/rollout/rollout-view.ts"
import {
  countWave,
  type Findings,
  judge,
  type ReceivedReport,
} from "../../../src/rollout/wave-judging.ts"
import { NOW } from "../release/world.ts"
import { OPEN_PLAN, peerOf, reportOf, viewOf } from "./rollout-scene.ts"

const NODES = Array.from({ length: 10 }, (_, index) => peerOf(index + 10))
const [CANARY] = NODES
const REST = NODES.slice(1)
const SOAK_MS = 5_000
const DEADLINE_MS = 60_000
const PAUSE = { kind: "pause" } as const

type Said = Outcome | readonly [Outcome, Partial<HealthReport>] | undefined

/** Reports of nodes by their order, all received a second after the first release. */
function reportsOf(
  nodes: readonly string[],
  said: readonly Said[],
): ReadonlyMap<string, ReceivedReport> {
  return new Map(
    said.flatMap((one, index) => {
      if (one === undefined) return []
      const [outcome, change = {}] = typeof one === "string" ? [one] : one
      const node = nodes[index]!
      return [[node, { said: reportOf({ node, outcome, ...change }), receivedAtMs: NOW + 1_000 }]]
    }),
  )
}

/** Ten nodes, one of them in the first of two waves. */
function findingsOf(
  change: Partial<Findings> & {
    readonly rules?: Partial<Plan>
    readonly knows?: Partial<RolloutView>
  } = {},
): Findings {
  const { rules, knows, ...rest } = change
  return {
    plan: { ...OPEN_PLAN, reportDeadlineMs: DEADLINE_MS, ...rules },
    view: viewOf(1, knows),
    waves: [[CANARY!], REST],
    reports: new Map(),
    nowMs: NOW + 1_000,
    ...rest,
  }
}

/** The nine nodes of the second wave, which is the last and is released. */
const restOf = (said: readonly Said[], change: Parameters<typeof findingsOf>[0] = {}): Findings => {
  const { knows, ...others } = change
  const reports = new Map([...reportsOf([CANARY!], ["healthy"]), ...reportsOf(REST, said)])
  return findingsOf({ ...others, view: viewOf(2, knows), reports })
}

const many = (count: number, said: Said): readonly Said[] =>
  Array.from({ length: count }, () => said)

describe("a rollout", () => {
  it("begins with its first wave", () => {
    expect(judge(findingsOf({ view: viewOf(0) })).act).toEqual({ kind: "release", wave: 0 })
  })

  it.each(["created", "paused", "aborted", "completed"] as const)(
    "that is %s is left alone",
    (phase) => {
      for (const outcome of ["healthy", "failed"] as const) {
        const findings = findingsOf({
          ...{ knows: { phase }, reports: reportsOf(NODES, many(10, outcome)) },
          nowMs: NOW + 10 * DEADLINE_MS,
        })
        expect(judge(findings)).toEqual({ act: undefined, reason: "", lookAtMs: undefined })
      }
    },
  )

  it("is complete once its last wave is good", () => {
    expect(judge(restOf(many(9, "healthy"))).act).toEqual({ kind: "complete" })
  })

  it("steps over a wave that has no nodes", () => {
    const findings = findingsOf({ waves: [[], REST] })
    expect(judge(findings).act).toEqual({ kind: "release", wave: 1 })
    const last = findingsOf({ waves: [[CANARY!], []], view: viewOf(2) })
    expect(judge(last).act).toEqual({ kind: "complete" })
  })
})

describe("success", () => {
  it("has to stand for the soak", () => {
    const reports = reportsOf([CANARY!], ["healthy"])
    const soakedAtMs = NOW + 1_000 + SOAK_MS
    const before = judge(findingsOf({ reports, nowMs: soakedAtMs - 1 }))
    expect(before).toEqual({ act: undefined, reason: "", lookAtMs: soakedAtMs })
    const after = judge(findingsOf({ reports, nowMs: soakedAtMs }))
    expect(after.act).toEqual({ kind: "release", wave: 1 })
  })

  it("said before the wave was released soaks from its release on", () => {
    const reports = reportsOf([CANARY!], ["healthy"])
    const findings = findingsOf({ reports, knows: { releasedAtMs: [NOW + 9_000] } })
    expect(judge({ ...findings, nowMs: NOW + 9_000 })).toMatchObject({
      act: undefined,
      lookAtMs: NOW + 9_000 + SOAK_MS,
    })
  })

  it("soaks from the moment at which enough were healthy", () => {
    const rules = { waves: [{ ...OPEN_PLAN.waves[0]!, soakMs: SOAK_MS }] }
    const reports = new Map(
      NODES.slice(0, 9).map((node, index) => [
        node,
        { said: reportOf({ node }), receivedAtMs: NOW + 1_000 * (9 - index) },
      ]),
    )
    // 90 % of ten: the ninth of them was the last to say so.
    const findings = findingsOf({ rules, waves: [NODES], reports, nowMs: NOW + 9_000 })
    expect(judge(findings).lookAtMs).toBe(NOW + 9_000 + SOAK_MS)
  })

  it("needs its share of the wave, rounded up", () => {
    const rules = { success: { percent: 75, minSample: 1 }, error: neverFails("pause") }
    const said = [...many(6, "healthy"), ...many(3, undefined)]
    expect(judge(restOf(said, { rules })).act).toBeUndefined()
    const more = [...many(7, "healthy"), ...many(2, undefined)]
    expect(judge(restOf(more, { rules })).act).toEqual({ kind: "complete" })
  })

  it("needs the least sample, and all nodes of a wave that is smaller", () => {
    const rules = { success: { percent: 10, minSample: 8 }, error: neverFails("pause") }
    const some = restOf(many(7, "healthy"), { rules })
    expect(judge(some).act).toBeUndefined()
    expect(judge(restOf(many(8, "healthy"), { rules })).act).toEqual({ kind: "complete" })
    const few = { rules: { ...rules, success: { percent: 10, minSample: 100 } } }
    expect(judge(restOf(many(8, "healthy"), few)).act).toBeUndefined()
    expect(judge(restOf(many(9, "healthy"), few)).act).toEqual({ kind: "complete" })
  })
})

/** An error rule that no share and no count below the whole wave reaches. */
function neverFails(action: ErrorAction): Plan["error"] {
  return { percent: 100, count: undefined, action }
}

describe("failure", () => {
  const acts = [
    ["pause", PAUSE],
    ["abort", { kind: "abort" }],
    ["abort+rollback", { kind: "rollback", wave: 1 }],
  ] as const

  it.each(acts)("that reaches the share leads to %s", (action, act) => {
    const error = { percent: 30, count: undefined, action }
    const said = (failed: number) => [...many(failed, "failed"), ...many(9 - failed, undefined)]
    expect(judge(restOf(said(2), { rules: { error } })).act).toBeUndefined()
    expect(judge(restOf(said(3), { rules: { error } })).act).toEqual(act)
  })

  it.each(acts)("that reaches the number leads to %s", (action, act) => {
    const error = { percent: 100, count: 2, action }
    const said = (failed: number) => [...many(failed, "failed"), ...many(9 - failed, undefined)]
    expect(judge(restOf(said(1), { rules: { error } })).act).toBeUndefined()
    expect(judge(restOf(said(2), { rules: { error } })).act).toEqual(act)
  })

  it.each(acts)("wins over success: %s", (action, act) => {
    const error = { percent: 11, count: undefined, action }
    const said: readonly Said[] = [...many(8, "healthy"), "failed"]
    const rules = { error, success: { percent: 50, minSample: 1 } }
    expect(judge(restOf(said, { rules })).act).toEqual(act)
  })

  it("of an earlier wave stops a later one, and goes back to the earlier one", () => {
    const error = { percent: 15, count: undefined, action: "abort+rollback" as const }
    const findings = restOf(many(9, "healthy"), { rules: { error } })
    const reports = new Map([...findings.reports, ...reportsOf([CANARY!], ["failed"])])
    expect(judge({ ...findings, reports }).act).toEqual({ kind: "rollback", wave: 0 })
  })

  it("counts a node that went back by itself", () => {
    const said = [...many(2, "rolled-back"), ...many(7, "healthy")]
    expect(judge(restOf(said)).act).toEqual(PAUSE)
  })

  it("of nodes whose wave is not released counts for nothing", () => {
    const reports = reportsOf(REST, many(9, "failed"))
    expect(judge(findingsOf({ reports })).act).toBeUndefined()
  })
})

describe("silence", () => {
  const late = { nowMs: NOW + DEADLINE_MS }

  it("is failure at the deadline, and not before", () => {
    const before = judge(findingsOf({ nowMs: NOW + DEADLINE_MS - 1 }))
    expect(before).toEqual({ act: undefined, reason: "", lookAtMs: NOW + DEADLINE_MS })
    expect(judge(findingsOf(late)).act).toEqual(PAUSE)
    expect(judge(findingsOf(late)).reason).toContain("1 silent")
  })

  it("does not count where the plan excludes it, but never makes a wave good", () => {
    const rules = { silence: "excluded" as const }
    const alone = judge(findingsOf({ ...late, rules }))
    expect(alone.act).toEqual(PAUSE)
    expect(alone.reason).toContain("inconclusive")
    const said = [...many(8, "healthy"), undefined]
    const after = { rules, nowMs: NOW + 2 * DEADLINE_MS }
    expect(judge(restOf(said, after)).act).toEqual({ kind: "complete" })
    expect(countWave(restOf(said, after), 1)).toMatchObject({
      ...{ size: 9, healthy: 8, failed: 0, silent: 1, excluded: 1, pending: 0 },
    })
  })

  it("of a node that waits for its window counts from the opening on", () => {
    const opensAtMs = NOW + 3_600_000
    const reports = reportsOf([CANARY!], [["waiting", { opensAtMs }]])
    const until = opensAtMs + DEADLINE_MS
    expect(judge(findingsOf({ ...late, reports }))).toMatchObject({
      act: undefined,
      lookAtMs: until,
    })
    expect(judge(findingsOf({ reports, nowMs: until })).act).toEqual(PAUSE)
  })

  it("is looked for at the earliest of all deadlines", () => {
    const reports = reportsOf(REST, [["waiting", { opensAtMs: NOW + 3_600_000 }]])
    const findings = findingsOf({ reports, waves: [REST] })
    expect(judge(findings).lookAtMs).toBe(NOW + DEADLINE_MS)
  })
})

describe("what is inconclusive", () => {
  it("is paused and never promoted", () => {
    const rules = { success: { percent: 90, minSample: 1 }, error: neverFails("abort") }
    const said: readonly Said[] = ["failed", ...many(8, "healthy")]
    const judged = judge(restOf(said, { rules }))
    expect(judged.act).toEqual(PAUSE)
    expect(judged.reason).toContain("inconclusive")
  })

  it("are nodes that only stage: a wave of them alone stands still", () => {
    expect(judge(restOf(many(9, "staged"))).act).toEqual(PAUSE)
    const some = [...many(8, "staged"), "healthy" as const]
    expect(judge(restOf(some)).act).toEqual({ kind: "complete" })
  })
})

describe("a rollout that was resumed", () => {
  const resumedAtMs = NOW + 10 * DEADLINE_MS
  const knows = { attempt: 1, resumedAtMs }

  it("waits anew for what failed before, until a fresh deadline", () => {
    const reports = reportsOf([CANARY!], ["failed"])
    const findings = findingsOf({ reports, knows, nowMs: resumedAtMs })
    expect(judge(findings)).toEqual({
      ...{ act: undefined, reason: "", lookAtMs: resumedAtMs + DEADLINE_MS },
    })
    expect(judge({ ...findings, nowMs: resumedAtMs + DEADLINE_MS }).act).toEqual(PAUSE)
  })

  it("waits anew for the silent ones", () => {
    expect(judge(findingsOf({ knows, nowMs: resumedAtMs })).act).toBeUndefined()
  })

  it("stops at once when the fresh try fails too", () => {
    const reports = reportsOf([CANARY!], [["failed", { attempt: 1 }]])
    expect(judge(findingsOf({ reports, knows, nowMs: resumedAtMs })).act).toEqual(PAUSE)
  })

  it("does not ask of the healthy ones that they begin anew", () => {
    const reports = reportsOf([CANARY!], ["healthy"])
    const findings = findingsOf({ reports, knows, nowMs: resumedAtMs })
    expect(judge(findings).act).toEqual({ kind: "release", wave: 1 })
  })
})

describe("whatever is reported", () => {
  const anyOutcome = fc.constantFrom<Said>(
    ...(["healthy", "failed", "waiting", "staged", "rolled-back", undefined] as const),
  )
  const anyRules = fc.integer({ min: 1, max: 100 }).chain((percent) =>
    fc.record({
      success: fc.record({
        percent: fc.constant(percent),
        minSample: fc.integer({ min: 1, max: 12 }),
      }),
      error: fc.record({
        percent: fc.integer({ min: 101 - percent, max: 100 }),
        count: fc.option(fc.integer({ min: 1, max: 9 }), { nil: undefined }),
        action: fc.constantFrom<ErrorAction>("pause", "abort", "abort+rollback"),
      }),
      silence: fc.constantFrom("failure" as const, "excluded" as const),
    }),
  )

  it("a next wave follows only what is good by its rule, and no reached error rule", () => {
    const property = fc.property(
      ...[anyRules, fc.array(anyOutcome, { minLength: 9, maxLength: 9 })],
      fc.nat(3 * DEADLINE_MS),
      (rules, said, afterMs) => {
        const findings = restOf(said, { rules, nowMs: NOW + 1_000 + afterMs })
        const { act, lookAtMs } = judge(findings)
        const { healthy, failed, excluded, pending } = countWave(findings, 1)
        expect(healthy + failed + excluded + pending).toBe(9)
        const counted = 9 - excluded
        const { error, success } = rules
        const isFault =
          failed > 0 && (failed * 100 >= error.percent * counted || failed >= (error.count ?? 99))
        const isGood =
          healthy * 100 >= success.percent * counted &&
          healthy >= Math.min(success.minSample, 9) &&
          healthy > 0
        const expected = isFault
          ? { pause: "pause", abort: "abort", "abort+rollback": "rollback" }[error.action]
          : isGood
            ? "complete"
            : pending > 0
              ? undefined
              : "pause"
        expect(act?.kind).toBe(expected)
        // It never waits for nothing.
        if (act === undefined) expect(lookAtMs).toBeGreaterThan(findings.nowMs)
      },
    )
    fc.assert(property, { numRuns: process.env.SLOW === "1" ? 20_000 : 500 })
  })
})
