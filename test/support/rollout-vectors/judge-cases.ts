/** Cases of judging waves, for ../rollout-vectors.ts. Each act and moment is written by hand. */
import { type Case, type Fields, good, NOW } from "../release-vectors/scene.ts"
import { NODES } from "./wave-cases.ts"

const SOAK = 5_000
const DEADLINE = 60_000
/** When reports came, unless a case says otherwise. */
const RECEIVED = NOW + 1_000
const [CANARY, ...REST] = NODES.slice(0, 10) as [string, ...string[]]

const RULES: Fields = {
  waves: [
    { name: "canary", soakMs: SOAK },
    { name: "rest", soakMs: 0 },
  ],
  success: { percent: 90, minSample: 1 },
  error: { percent: 15, action: "pause" },
  reportDeadlineMs: DEADLINE,
  silence: "failure",
}
/** What a node said: its outcome, and what else it says. */
type Said = string | Fields
interface Scene {
  readonly rules?: Fields
  /** How many waves are released, a millisecond after one another. */
  readonly released?: number
  readonly view?: Fields
  readonly waves?: readonly (readonly string[])[]
  readonly canary?: Said | undefined
  readonly rest?: readonly Said[]
  readonly now?: number
}

const reportOf = (node: string, said: Said): Fields => ({
  node,
  attempt: 0,
  receivedAt: RECEIVED,
  ...(typeof said === "string" ? { outcome: said } : said),
})
const many = (count: number, said: Said): readonly Said[] =>
  Array.from({ length: count }, () => said)

function judge(name: string, comment: string, scene: Scene, output: Fields): Case {
  const { rules, released = 1, view, waves = [[CANARY], REST], canary, rest = [] } = scene
  const releasedAt = Array.from({ length: released }, (_, wave) => NOW + wave)
  const reports = [
    ...(canary === undefined ? [] : [reportOf(CANARY, canary)]),
    ...rest.map((said, index) => reportOf(REST[index]!, said)),
  ]
  const input = {
    plan: { ...RULES, ...rules },
    view: { phase: "running", releasedAt, attempt: 0, resumedAt: 0, ...view },
    waves,
    reports,
    now: scene.now ?? RECEIVED,
  }
  return good(`judge-${name}`, comment, input, { act: null, lookAt: null, ...output })
}

const RELEASE = (wave: number): Fields => ({ act: { act: "release", wave } })
const PAUSE: Fields = { act: { act: "pause" } }
const COMPLETE: Fields = { act: { act: "complete" } }
const back = (wave: number): Fields => ({ act: { act: "rollback", wave } })
const at = (lookAt: number): Fields => ({ lookAt })

/** Of the second wave, whose nodes say this; the first is healthy. */
const rest = (name: string, comment: string, said: readonly Said[], of: [Fields, Scene?]): Case =>
  judge(name, comment, { released: 2, canary: "healthy", rest: said, ...of[1] }, of[0])
const one = (name: string, comment: string, canary: Said | undefined, of: [Fields, Scene?]): Case =>
  judge(name, comment, { canary, ...of[1] }, of[0])

const error = (fields: Fields): Scene => ({
  rules: { error: { percent: 100, action: "pause", ...fields } },
})

function successCases(): readonly Case[] {
  const slow = (count: number) =>
    Array.from({ length: count }, (_, index) => ({
      outcome: "healthy",
      receivedAt: RECEIVED + 1_000 * (count - index),
    }))
  const soaking = { rules: { waves: [RULES.waves[0], { name: "rest", soakMs: SOAK }] } }
  const half = {
    rules: { success: { percent: 75, minSample: 1 }, error: { percent: 100, action: "pause" } },
  }
  const sample = (minSample: number) => ({
    rules: { success: { percent: 10, minSample }, error: { percent: 100, action: "pause" } },
  })
  return [
    judge("first", "It was started.", { released: 0 }, RELEASE(0)),
    one("soaking", "The first wave is good, and soaks.", "healthy", [at(RECEIVED + SOAK)]),
    one("soaked", "It has soaked.", "healthy", [RELEASE(1), { now: RECEIVED + SOAK }]),
    one("early-report", "What was said before the release soaks from then on.", "healthy", [
      at(NOW + 9_000 + SOAK),
      { view: { releasedAt: [NOW + 9_000] }, now: NOW + 9_000 },
    ]),
    rest(
      "soak-from",
      "It soaks from the moment at which enough were healthy: nine of nine.",
      slow(9),
      [at(RECEIVED + 9_000 + SOAK), { ...soaking, now: RECEIVED + 9_000 }],
    ),
    rest("complete", "The last wave is good.", many(9, "healthy"), [COMPLETE]),
    rest("share", "Six of nine are no three quarters.", many(6, "healthy"), [
      at(NOW + 1 + DEADLINE),
      half,
    ]),
    rest("share-up", "Three quarters of nine are seven.", many(7, "healthy"), [COMPLETE, half]),
    rest("sample", "Fewer than the sample.", many(7, "healthy"), [
      at(NOW + 1 + DEADLINE),
      sample(8),
    ]),
    rest("sample-met", "As many as the sample.", many(8, "healthy"), [COMPLETE, sample(8)]),
    rest("sample-small", "A wave below the sample needs all of its own.", many(8, "healthy"), [
      at(NOW + 1 + DEADLINE),
      sample(100),
    ]),
    judge("empty", "A wave without nodes.", { waves: [[], REST] }, RELEASE(1)),
    judge(
      "empty-last",
      "The last wave has no nodes.",
      { waves: [[CANARY], []], released: 2, canary: "healthy" },
      COMPLETE,
    ),
  ]
}

function failureCases(): readonly Case[] {
  const some = (failed: number) => many(failed, "failed")
  return [
    rest("error-below", "Two of nine are no 30 %.", some(2), [
      at(NOW + 1 + DEADLINE),
      error({ percent: 30 }),
    ]),
    rest("error-share", "Three of nine are.", some(3), [PAUSE, error({ percent: 30 })]),
    rest("error-count", "Or two, by their number.", some(2), [PAUSE, error({ count: 2 })]),
    rest("error-abort", "It ends.", some(3), [
      { act: { act: "abort" } },
      error({ percent: 30, action: "abort" }),
    ]),
    rest("error-rollback", "It goes back from the wave that failed.", some(3), [
      back(1),
      error({ percent: 30, action: "abort+rollback" }),
    ]),
    rest(
      "error-wins",
      "Errors win where both thresholds are reached.",
      [...many(8, "healthy"), "failed"],
      [
        PAUSE,
        {
          rules: {
            error: { percent: 11, action: "pause" },
            success: { percent: 50, minSample: 1 },
          },
        },
      ],
    ),
    rest(
      "error-earlier",
      "An earlier wave has failed, though the last one is good.",
      many(9, "healthy"),
      [back(0), { canary: "failed", ...error({ percent: 15, action: "abort+rollback" }) }],
    ),
    rest(
      "rolled-back",
      "Nodes that went back have failed.",
      ["rolled-back", "rolled-back", ...many(7, "healthy")],
      [PAUSE],
    ),
    rest(
      "inconclusive",
      "Neither good nor bad, and nobody is waited for.",
      ["failed", ...many(8, "healthy")],
      [PAUSE, error({})],
    ),
    rest("staged", "Nodes that only stage make no wave good.", many(9, "staged"), [PAUSE]),
    rest("staged-one", "Those beside them do.", [...many(8, "staged"), "healthy"], [COMPLETE]),
    judge(
      "not-released",
      "Failures of a wave that is not released.",
      { rest: some(9) },
      at(NOW + DEADLINE),
    ),
  ]
}

function silenceCases(): readonly Case[] {
  const excluded = { rules: { silence: "excluded" } }
  const opensAt = NOW + 3_600_000
  const waiting = { outcome: "waiting", opensAt }
  const resumedAt = NOW + 10 * DEADLINE
  const resumed = { view: { attempt: 1, resumedAt }, now: resumedAt }
  return [
    one("silent-not-yet", "The last moment before the deadline.", undefined, [
      at(NOW + DEADLINE),
      { now: NOW + DEADLINE - 1 },
    ]),
    one("silent", "Silence is failure.", undefined, [PAUSE, { now: NOW + DEADLINE }]),
    one("silent-excluded", "Who is excluded makes no wave good.", undefined, [
      PAUSE,
      { ...excluded, now: NOW + DEADLINE },
    ]),
    rest("silent-others", "The others do.", many(8, "healthy"), [
      COMPLETE,
      { ...excluded, now: NOW + 2 * DEADLINE },
    ]),
    one("window", "Who waits for its window is waited for.", waiting, [
      at(opensAt + DEADLINE),
      { now: NOW + DEADLINE },
    ]),
    one("window-over", "Until the deadline after it.", waiting, [
      PAUSE,
      { now: opensAt + DEADLINE },
    ]),
    rest("earliest", "The earliest of all deadlines.", [waiting], [at(NOW + 1 + DEADLINE)]),
    one("resumed", "What failed before is waited for anew.", "failed", [
      at(resumedAt + DEADLINE),
      resumed,
    ]),
    one("resumed-silent", "And is silent after a fresh deadline.", "failed", [
      PAUSE,
      { ...resumed, now: resumedAt + DEADLINE },
    ]),
    one("resumed-failed", "The fresh try fails.", { outcome: "failed", attempt: 1 }, [
      PAUSE,
      resumed,
    ]),
    one("resumed-healthy", "Who is healthy stays so.", "healthy", [RELEASE(1), resumed]),
    ...["created", "paused", "aborted", "completed"].map((phase) =>
      one(phase, "Only what runs is judged.", "failed", [{}, { view: { phase } }]),
    ),
  ]
}

export function judgeCases(): readonly Case[] {
  return [...successCases(), ...failureCases(), ...silenceCases()]
}
