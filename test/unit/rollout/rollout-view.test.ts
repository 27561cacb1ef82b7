/** What follows from decisions: only what names the one before, and only what its phase allows. */
import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { type Act, type ActKind, DECISIONS_MAX } from "../../../src/rollout/decision.ts"
import {
  follow,
  mayAct,
  type RolloutPhase,
  type RolloutView,
  UNDECIDED,
} from "../../../src/rollout/rollout-view.ts"
import { NOW } from "../release/world.ts"
import { outcomeOf } from "../trust/vectors.ts"
import { decisionOf, digestFor, NAMED, OPEN_PLAN, START, viewOf } from "./rollout-scene.ts"

const CONTEXT = { plan: OPEN_PLAN, named: NAMED }
const CONFLICT = "DECISION_CONFLICT"

/** Follows several acts, each of which names the one before. */
const viewAfter = (view: RolloutView, ...acts: readonly Act[]): RolloutView =>
  acts.reduce((before, act) => follow(before, decisionOf(before, act), CONTEXT), view)
const codeAfter = (view: RolloutView, ...acts: readonly Act[]) =>
  outcomeOf(() => viewAfter(view, ...acts)).code

const release = (wave: number): Act => ({ kind: "release", wave })
const rollback = (wave: number): Act => ({ kind: "rollback", wave })
const [PAUSE, RESUME, ABORT, COMPLETE]: readonly Act[] = [
  ...([{ kind: "pause" }, { kind: "resume" }, { kind: "abort" }, { kind: "complete" }] as const),
]
const ACTS: readonly Act[] = [START, release(0), PAUSE!, RESUME!, ABORT!, rollback(0), COMPLETE!]

describe("the decisions of a rollout", () => {
  it("lead from its start to its end", () => {
    const view = viewAfter(UNDECIDED, START, release(0), release(1), COMPLETE!)
    expect(view).toMatchObject({ phase: "completed", count: 4, attempt: 0, backFrom: undefined })
    expect(view.releasedAtMs).toEqual([NOW, NOW])
  })

  it("count how often it was resumed, and when the last time was", () => {
    const view = viewAfter(UNDECIDED, START, release(0), PAUSE!, RESUME!, PAUSE!)
    const last = follow(view, decisionOf(view, RESUME!, { atMs: NOW + 9 }), CONTEXT)
    expect(last).toMatchObject({ phase: "running", attempt: 2, resumedAtMs: NOW + 9 })
  })

  it("name the first wave that goes back, however often that is decided", () => {
    const view = viewAfter(UNDECIDED, START, release(0), release(1), rollback(1))
    expect(view).toMatchObject({ phase: "aborted", backFrom: 1 })
    expect(viewAfter(view, rollback(0)).backFrom).toBe(0)
    expect(viewAfter(view, rollback(0), rollback(1)).backFrom).toBe(0)
  })
})

describe("a decision", () => {
  const allowed: Readonly<Record<ActKind, readonly RolloutPhase[]>> = {
    start: ["created"],
    release: ["running"],
    pause: ["running"],
    resume: ["paused"],
    abort: ["created", "running", "paused"],
    rollback: ["running", "paused", "aborted", "completed"],
    complete: ["running"],
  }
  const phases = ["created", "running", "paused", "aborted", "completed"] as const

  it.each(phases.flatMap((phase) => ACTS.map((act) => [act.kind, phase, act] as const)))(
    "to %s a rollout that is %s follows only where it may",
    (kind, phase, act) => {
      const wave = kind === "release" ? release(1) : act
      const released = kind === "complete" ? 2 : 1
      const { code } = outcomeOf(() => viewAfter(viewOf(released, { phase }), wave))
      const isAllowed = allowed[kind].includes(phase)
      expect(code).toBe(isAllowed ? "ok" : CONFLICT)
      expect(mayAct(viewOf(released, { phase }), kind)).toBe(isAllowed)
    },
  )

  it("skips no wave, repeats none, and ends only when all are released", () => {
    for (const acts of [
      [release(1)],
      [release(0), release(0)],
      [release(0), COMPLETE!],
      [release(0), release(1), release(2)],
    ]) {
      expect(codeAfter(viewAfter(UNDECIDED, START), ...acts)).toBe(CONFLICT)
    }
  })

  it("sends nobody back whose wave was not released", () => {
    expect(codeAfter(UNDECIDED, START, release(0), rollback(1))).toBe(CONFLICT)
    expect(codeAfter(UNDECIDED, START, rollback(0))).toBe("ok")
  })

  it("follows the one before by number and by digest, and is of this plan", () => {
    const view = viewAfter(UNDECIDED, START)
    for (const change of [
      { index: 0, previous: undefined },
      { index: 2 },
      { previous: digestFor("another one") },
      { plan: { ...NAMED, digest: digestFor("another plan") } },
      { plan: { ...NAMED, version: 2 } },
      { plan: { ...NAMED, name: "other" } },
      { atMs: OPEN_PLAN.expiresAtMs + 1 },
    ]) {
      const wrong = decisionOf(view, release(0), change)
      expect(outcomeOf(() => follow(view, wrong, CONTEXT)).code).toBe(CONFLICT)
    }
    expect(follow(view, decisionOf(view, release(0)), CONTEXT).count).toBe(2)
  })

  it("has an end: so many are enough for any rollout", () => {
    const view = viewOf(1, { count: DECISIONS_MAX })
    expect(codeAfter(view, PAUSE!)).toBe(CONFLICT)
    expect(mayAct(view, "abort")).toBe(false)
  })
})

describe("whatever is decided", () => {
  const anyAct = fc.oneof(
    fc.constantFrom(...ACTS),
    fc.record({ kind: fc.constant("release" as const), wave: fc.nat(3) }),
    fc.record({ kind: fc.constant("rollback" as const), wave: fc.nat(3) }),
  )

  it("what is over stays over, waves are never taken back, and two never follow as one", () => {
    const property = fc.property(fc.array(anyAct, { maxLength: 12 }), (acts) => {
      let view = UNDECIDED
      for (const act of acts) {
        const decision = decisionOf(view, act)
        const { code, value } = outcomeOf(() => follow(view, decision, CONTEXT))
        expect(["ok", CONFLICT]).toContain(code)
        if (value === undefined) continue
        expect(value.count).toBe(view.count + 1)
        expect(value.releasedAtMs.slice(0, view.releasedAtMs.length)).toEqual(view.releasedAtMs)
        if (view.phase === "aborted") expect(value.phase).toBe("aborted")
        if (view.backFrom !== undefined) expect(value.backFrom).toBeLessThanOrEqual(view.backFrom)
        // A second one of the same number follows neither before nor after it.
        const other = decisionOf(view, act, { reason: "another one" })
        expect(outcomeOf(() => follow(value, other, CONTEXT)).code).toBe(CONFLICT)
        expect(outcomeOf(() => follow(value, decision, CONTEXT)).code).toBe(CONFLICT)
        view = value
      }
    })
    fc.assert(property, { numRuns: process.env.SLOW === "1" ? 5_000 : 300 })
  })
})
