/** Cases of health reports, for ../rollout-vectors.ts. */
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
import { PLAN_DIGEST, PLAN_SUBJECT } from "./decision-cases.ts"
import { type Change, type Key, peerOf, StatementCases, set, without } from "./statement-case.ts"

const NODE: Key = keyOf("rollout node")
const OTHER_NODE: Key = keyOf("another rollout node")
const RUNNING: Fields = { release: "acme/model@1", digest: hash("the release") }

/** The report of the page's example. */
const REPORT: Fields = {
  fleet: FLEET,
  node: peerOf(NODE),
  wave: 0,
  attempt: 0,
  counter: NOW,
  boot: "0123456789abcdef".repeat(2),
  at: NOW,
  outcome: "healthy",
  running: [RUNNING],
  slots: { arch: "arm64", zone: "lab" },
  reason: "",
}

const reports = new StatementCases({
  ...{ prefix: "report", kind: "sealift:health-report/v1", invalid: "REPORT_INVALID" },
  subject: PLAN_SUBJECT,
  signer: NODE,
  told: { fleet: FLEET, node: peerOf(NODE) },
  outputOf: (said, subject) => ({ subject, predicate: { reason: "", ...said } }),
})

const RIGHT: readonly Change[] = [
  ["ok", "The page's example.", () => {}],
  ["failed", "It does not run well.", set({ outcome: "failed", running: [], reason: "exit 1" })],
  ["rolled-back", "What ran before runs again.", set({ outcome: "rolled-back", running: [] })],
  ["staged", "The node opens nothing by plans.", set({ outcome: "staged", running: [] })],
  [
    "waiting",
    "Its window opens later.",
    set({ outcome: "waiting", running: [], opensAt: NOW + 60_000 }),
  ],
  ["waiting-no-time", "Its window opens at no time that it knows.", set({ outcome: "waiting" })],
  ["late", "It came late to a plan of 64 waves.", set({ wave: 64 })],
  ["attempt", "After as many resumptions as there may be.", set({ attempt: 1_024 })],
  [
    "running-16",
    "As many releases as a plan may have.",
    set({
      running: Array.from({ length: 16 }, (_, at) => ({ ...RUNNING, release: `a/b@${at + 1}` })),
    }),
  ],
  ["no-labels", "A node without labels.", set({ slots: {} })],
  ["no-reason", "Nothing is said to people.", without("reason")],
  ["unknown-field", "A field that nobody knows is ignored.", set({ note: "x" })],
]

const WRONG: readonly Change[] = [
  [
    "node-other",
    "Another node than the one whose report it is.",
    set({ node: peerOf(OTHER_NODE) }),
  ],
  ["node", "What is no peer id.", set({ node: "12D3KooW" })],
  ["wave-65", "A wave that no plan has.", set({ wave: 65 })],
  ["attempt-1025", "More resumptions than there may be.", set({ attempt: 1_025 })],
  ["counter-0", "Counters begin at 1.", set({ counter: 0 })],
  ["counter-missing", "It has no counter.", without("counter")],
  ["boot-short", "31 digits.", set({ boot: "0".repeat(31) })],
  ["boot-case", "Upper-case digits.", set({ boot: "A".repeat(32) })],
  ["boot-missing", "Of no start of the node.", without("boot")],
  ["at-0", "Before all time.", set({ at: 0 })],
  ["outcome", "An outcome that nobody knows.", set({ outcome: "fine" })],
  ["opens-healthy", "A time that means nothing here.", set({ opensAt: NOW })],
  ["opens-0", "It opens before all time.", set({ outcome: "waiting", opensAt: 0 })],
  [
    "running-17",
    "More releases than a plan may have.",
    set({ running: Array.from({ length: 17 }, () => RUNNING) }),
  ],
  ["running-name", "What is no release.", set({ running: [{ ...RUNNING, release: "acme" }] })],
  ["running-digest", "What is no digest.", set({ running: [{ ...RUNNING, digest: "00" }] })],
  ["running-missing", "It does not say what runs.", without("running")],
  ["slots-text", "Labels that are none.", set({ slots: { arch: "arm 64" } })],
  ["slots-missing", "It does not say its labels.", without("slots")],
  ["reason-lines", "Two lines.", set({ reason: "one\ntwo" })],
]

export function reportCases(): readonly Case[] {
  const subject = [{ name: "model-1", digest: { sha256: PLAN_DIGEST } }]
  return [
    ...reports.right(REPORT, RIGHT),
    ...reports.broken(REPORT, WRONG),
    reports.wrong("subject", "Of a plan without a version.", REPORT, { subject }),
    reports.refused("fleet", "Another fleet.", "FLEET_WRONG", [{ ...REPORT, fleet: OTHER_FLEET }]),
    reports.refused("kind", "Another kind of statement.", "KIND_WRONG", [
      REPORT,
      { kind: "sealift:decision/v1" },
    ]),
    reports.refused("signer", "Signed by somebody else.", "SIGNATURE_MISSING", [
      REPORT,
      { signers: [STRANGER] },
    ]),
    reports.refused("critical", "A critical field that nobody knows.", "CRITICAL_UNKNOWN", [
      { ...REPORT, load: 3, critical: ["load"] },
    ]),
  ]
}
