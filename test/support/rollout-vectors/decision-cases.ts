/** Cases of decisions, for ../rollout-vectors.ts. */
import {
  type Case,
  type Fields,
  FLEET,
  hash,
  NOW,
  OTHER_FLEET,
  STRANGER,
} from "../release-vectors/scene.ts"
import { keyOf } from "../trust-vectors/keys.ts"
import { type Change, type Key, peerOf, StatementCases, set, without } from "./statement-case.ts"

export const CONTROLLER: Key = keyOf("controller")
export const PLAN_DIGEST: string = hash("the plan")
export const PLAN_SUBJECT: readonly Fields[] = [
  { name: "model-1@1", digest: { sha256: PLAN_DIGEST } },
]

/** Decisions of the controller, on the plan. */
export const DECISIONS: StatementCases = new StatementCases({
  ...{ prefix: "decision", kind: "sealift:decision/v1", invalid: "DECISION_INVALID" },
  subject: PLAN_SUBJECT,
  signer: CONTROLLER,
  told: { fleet: FLEET, controller: peerOf(CONTROLLER) },
  outputOf: (said, subject) => ({ subject, predicate: { reason: "", ...said } }),
})

/** The first decision of the page's example. */
const START: Fields = {
  fleet: FLEET,
  index: 0,
  previous: null,
  at: NOW,
  act: "start",
  roster: { root: hash("the roster"), size: 3 },
  access: 4,
  reason: "by hand",
}
/** One that follows another. */
const NEXT: Fields = {
  fleet: FLEET,
  index: 3,
  previous: hash("the one before"),
  at: NOW,
  act: "pause",
  reason: "wave canary: 1 of 1 have failed",
}

const RIGHT: readonly Change[] = [
  ["release", "The first wave.", set({ act: "release", wave: 0 })],
  ["release-last", "The last wave that a plan can have.", set({ act: "release", wave: 63 })],
  ["pause", "Nothing new is begun.", set({})],
  ["resume", "It goes on.", set({ act: "resume" })],
  ["abort", "It is over.", set({ act: "abort" })],
  ["rollback", "It is over, and nodes go back.", set({ act: "rollback", wave: 1 })],
  ["complete", "Every wave stands.", set({ act: "complete" })],
  ["last", "The last one that there may be.", set({ index: 1_023 })],
  ["no-reason", "Nothing is said to people.", without("reason")],
  ["reason-512", "A line of 512 bytes.", set({ reason: "ä".repeat(256) })],
  ["unknown-field", "A field that nobody knows is ignored.", set({ note: "x" })],
  ["critical-known", "A critical field that is known.", set({ critical: ["act"] })],
]

const WRONG: readonly Change[] = [
  ["index-1024", "One more than there may be.", set({ index: 1_024 })],
  ["index-text", "A number as text.", set({ index: "3" })],
  ["previous-null", "A later one that follows none.", set({ previous: null })],
  ["previous-missing", "It names none before it.", without("previous")],
  ["previous-short", "What is no digest.", set({ previous: "00" })],
  ["at-0", "Before all time.", set({ at: 0 })],
  ["at-missing", "At no time.", without("at")],
  ["act", "An act that nobody knows.", set({ act: "cancel" })],
  ["act-missing", "Nothing is decided.", without("act")],
  ["release-no-wave", "No wave is named.", set({ act: "release" })],
  ["release-64", "A wave that no plan has.", set({ act: "release", wave: 64 })],
  ["rollback-no-wave", "From no wave on.", set({ act: "rollback" })],
  ["pause-wave", "A wave that means nothing here.", set({ wave: 0 })],
  ["pause-wave-null", "The same, as null.", set({ wave: null })],
  ["pause-access", "A list that means nothing here.", set({ access: 4 })],
  ["reason-513", "A line of more than 512 bytes.", set({ reason: "ä".repeat(257) })],
  ["reason-lines", "Two lines.", set({ reason: "one\ntwo" })],
  ["reason-turned", "A mark that turns the text around.", set({ reason: "one \u202e two" })],
  ["reason-separator", "A separator of lines.", set({ reason: "one\u2028two" })],
  ["reason-number", "A number as its reason.", set({ reason: 1 })],
]

const WRONG_START: readonly Change[] = [
  ["start-previous", "The first one follows another.", set({ previous: hash("before") })],
  ["start-no-previous", "The first one does not say so.", without("previous")],
  ["start-no-roster", "Nobody knows who is in which wave.", without("roster")],
  ["start-root", "What is no root.", set({ roster: { root: "00", size: 3 } })],
  [
    "start-size",
    "More nodes than a fleet can have.",
    set({ roster: { root: hash("the roster"), size: 10_001 } }),
  ],
  ["start-no-access", "By no list.", without("access")],
  ["start-access-0", "A list that never was.", set({ access: 0 })],
  ["start-wave", "A wave that means nothing here.", set({ wave: 0 })],
]

export function decisionCases(): readonly Case[] {
  const subject = (name: string) => ({ subject: [{ name, digest: { sha256: PLAN_DIGEST } }] })
  const [plan] = PLAN_SUBJECT
  return [
    DECISIONS.ok("ok", "The start of the page's example.", START),
    DECISIONS.ok(
      "version",
      "A plan of the highest version.",
      NEXT,
      subject(`model-1@${2 ** 53 - 1}`),
    ),
    ...DECISIONS.right(NEXT, RIGHT),
    ...DECISIONS.broken(START, WRONG_START),
    ...DECISIONS.broken(NEXT, WRONG),
    DECISIONS.wrong("subject-2", "Of two plans.", NEXT, { subject: [plan!, plan!] }),
    DECISIONS.wrong("subject-name", "Of a plan without a version.", NEXT, subject("model-1")),
    DECISIONS.wrong(
      "subject-zero",
      "A version with a zero before it.",
      NEXT,
      subject("model-1@01"),
    ),
    DECISIONS.wrong("subject-version-0", "Versions begin at 1.", NEXT, subject("model-1@0")),
    DECISIONS.wrong("subject-release", "Of a release.", NEXT, subject("acme/model@1")),
    DECISIONS.refused("fleet", "Another fleet.", "FLEET_WRONG", [{ ...NEXT, fleet: OTHER_FLEET }]),
    DECISIONS.refused("kind", "Another kind of statement.", "KIND_WRONG", [
      NEXT,
      { kind: "sealift:health-report/v1" },
    ]),
    DECISIONS.refused(
      "signer",
      "Signed by another node than the controller.",
      "SIGNATURE_MISSING",
      [NEXT, { signers: [STRANGER] }],
    ),
    DECISIONS.refused("critical", "A critical field that nobody knows.", "CRITICAL_UNKNOWN", [
      { ...NEXT, until: NOW, critical: ["until"] },
    ]),
  ]
}
