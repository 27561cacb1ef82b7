/** Cases of decisions that follow one another, for ../rollout-vectors.ts. */
import { createHash } from "node:crypto"
import { bad, type Case, type Fields, FLEET, good, hash, NOW } from "../release-vectors/scene.ts"
import { CONTROLLER, DECISIONS, PLAN_DIGEST, PLAN_SUBJECT } from "./decision-cases.ts"
import { peerOf } from "./statement-case.ts"

const MINUTE = 60_000
const ENDS = NOW + 1_000 * MINUTE
const CONFLICT = "DECISION_CONFLICT"
const ROSTER = { root: hash("the roster"), size: 3 }

const START: Fields = { act: "start", roster: ROSTER, access: 4 }
const release = (wave: number): Fields => ({ act: "release", wave })
const back = (wave: number): Fields => ({ act: "rollback", wave })
const PAUSE: Fields = { act: "pause" }
const RESUME: Fields = { act: "resume" }
const ABORT: Fields = { act: "abort" }
const COMPLETE: Fields = { act: "complete" }
const WHOLE: readonly Fields[] = [START, release(0), release(1), COMPLETE]

/** A minute after one another, each naming the one before; what an act says itself stands. */
function chained(acts: readonly Fields[]): readonly { file: string; digest: string }[] {
  let previous: string | null = null
  return acts.map(({ subject = PLAN_SUBJECT, ...act }, index) => {
    const predicate = {
      fleet: FLEET,
      index,
      previous,
      at: NOW + index * MINUTE,
      reason: "",
      ...act,
    }
    const payload = DECISIONS.payload(predicate, { subject })
    previous = createHash("sha256").update(payload).digest("hex")
    return { file: DECISIONS.file(predicate, { subject }), digest: previous }
  })
}

function inputOf(acts: readonly Fields[]): Fields {
  const plan = { rollout: "model-1", version: 1, digest: PLAN_DIGEST, waves: 2, expiresAt: ENDS }
  const decisions = chained(acts).map(({ file }) => file)
  return { fleet: FLEET, controller: peerOf(CONTROLLER), plan, decisions }
}

/** @param view - what is not as in a rollout that nobody paused */
function ok(name: string, comment: string, acts: readonly Fields[], view: Fields): Case {
  const started = acts.some(({ act }) => act === "start")
  const output = {
    count: acts.length,
    last: chained(acts).at(-1)?.digest ?? null,
    roster: started ? ROSTER : null,
    releasedAt: acts.flatMap(({ act }, at) => (act === "release" ? [NOW + at * MINUTE] : [])),
    attempt: 0,
    resumedAt: 0,
    backFrom: null,
    ...view,
  }
  return good(`follow-${name}`, comment, inputOf(acts), output)
}

const wrong = (name: string, comment: string, acts: readonly Fields[]): Case =>
  bad(`follow-${name}`, comment, inputOf(acts), CONFLICT)

function rightCases(): readonly Case[] {
  const resumed = { attempt: 1, resumedAt: NOW + 3 * MINUTE }
  return [
    ok("nothing", "Nothing was decided.", [], { phase: "created" }),
    ok("start", "It is started.", [START], { phase: "running" }),
    ok("wave", "Its first wave is released.", WHOLE.slice(0, 2), { phase: "running" }),
    ok("whole", "From its start to its end.", WHOLE, { phase: "completed" }),
    ok("pause", "It is paused.", [START, release(0), PAUSE], { phase: "paused" }),
    ok("resume", "It is resumed.", [START, release(0), PAUSE, RESUME], {
      ...{ phase: "running", ...resumed },
    }),
    ok(
      "resume-end",
      "It is resumed, and ends.",
      [START, release(0), PAUSE, RESUME, release(1), COMPLETE],
      {
        ...{ phase: "completed", ...resumed },
      },
    ),
    ok("abort-created", "It is over before it is started.", [ABORT], { phase: "aborted" }),
    ok("abort-paused", "It is over while it is paused.", [START, PAUSE, ABORT], {
      phase: "aborted",
    }),
    ok("rollback", "The second wave goes back.", [START, release(0), release(1), back(1)], {
      ...{ phase: "aborted", backFrom: 1 },
    }),
    ok("rollback-more", "Then the first one, too.", [...WHOLE.slice(0, 3), back(1), back(0)], {
      ...{ phase: "aborted", backFrom: 0 },
    }),
    ok("rollback-less", "Who goes back goes back.", [...WHOLE.slice(0, 3), back(0), back(1)], {
      ...{ phase: "aborted", backFrom: 0 },
    }),
    ok("rollback-whole", "After its end.", [...WHOLE, back(0)], { phase: "aborted", backFrom: 0 }),
    ok("rollback-aborted", "After it was aborted.", [START, release(0), ABORT, back(0)], {
      ...{ phase: "aborted", backFrom: 0 },
    }),
    ok("rollback-none", "Before any wave is released.", [START, back(0)], {
      ...{ phase: "aborted", backFrom: 0 },
    }),
    ok("last-moment", "In the last moment of the plan.", [START, { ...release(0), at: ENDS }], {
      ...{ phase: "running", releasedAt: [ENDS] },
    }),
  ]
}

export function followCases(): readonly Case[] {
  const other = { subject: [{ name: "model-1@2", digest: { sha256: PLAN_DIGEST } }] }
  const twin = { subject: [{ name: "model-1@1", digest: { sha256: hash("a twin") } }] }
  return [
    ...rightCases(),
    wrong("no-start", "A wave of a rollout that is not started.", [release(0)]),
    wrong("start-twice", "It is started twice.", [START, START]),
    wrong("skipped", "The first wave is skipped.", [START, release(1)]),
    wrong("twice", "A wave twice.", [START, release(0), release(0)]),
    wrong("no-wave", "A wave that the plan has not.", [...WHOLE.slice(0, 3), release(2)]),
    wrong("early-end", "It ends before every wave is released.", [START, release(0), COMPLETE]),
    wrong("paused-wave", "A wave while it is paused.", [START, PAUSE, release(0)]),
    wrong("pause-twice", "It is paused twice.", [START, PAUSE, PAUSE]),
    wrong("resume-running", "It is resumed while it runs.", [START, RESUME]),
    wrong("aborted", "It goes on after it was aborted.", [START, ABORT, RESUME]),
    wrong("abort-whole", "It is aborted after its end.", [...WHOLE, ABORT]),
    wrong("rollback-created", "It goes back before it is started.", [back(0)]),
    wrong("rollback-wave", "A wave goes back that was not released.", [START, release(0), back(1)]),
    wrong("previous", "It names another one before it.", [
      START,
      { ...release(0), previous: hash("another one") },
    ]),
    wrong("index", "One is missing between.", [START, { ...release(0), index: 2 }]),
    wrong("expired", "It was decided after the plan had ended.", [
      START,
      { ...release(0), at: ENDS + 1 },
    ]),
    wrong("version", "It is of the next version of the plan.", [{ ...START, ...other }]),
    wrong("twin", "It is of another plan of this name and version.", [{ ...START, ...twin }]),
  ]
}
