/** Cases of health reports, for ../rollout-vectors.ts. */
import { createHash } from "node:crypto"
import {
  bad,
  type Case,
  changed,
  type Fields,
  FLEET,
  good,
  hash,
  NOW,
  OTHER_FLEET,
  payloadOf,
  STRANGER,
  signed,
} from "../release-vectors/scene.ts"
import { keyOf } from "../trust-vectors/keys.ts"
import { PLAN_DIGEST, PLAN_SUBJECT, peerOf } from "./decision-cases.ts"

type Key = ReturnType<typeof keyOf>
/** What a case changes of {@link REPORT}. */
type Change = readonly [name: string, comment: string, change: (copy: Fields) => unknown]

const NODE: Key = keyOf("rollout node")
const OTHER_NODE: Key = keyOf("another rollout node")
const KIND = "sealift:health-report/v1"
const INVALID = "REPORT_INVALID"
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

interface Scene {
  readonly subject?: readonly Fields[]
  readonly kind?: string
  readonly signers?: readonly Key[]
}

const reportPayload = (predicate: Fields, { subject = PLAN_SUBJECT, kind = KIND }: Scene): Buffer =>
  payloadOf(kind, subject, predicate)

function inputOf(predicate: Fields, scene: Scene): Fields {
  const file = signed(reportPayload(predicate, scene), scene.signers ?? [NODE])
  return { file, fleet: FLEET, node: peerOf(NODE) }
}

function ok(name: string, comment: string, predicate: Fields): Case {
  const digest = createHash("sha256").update(reportPayload(predicate, {})).digest("hex")
  const { fleet: _, note: _note, critical: _critical, ...said } = predicate
  const output = { digest, subject: PLAN_SUBJECT, predicate: { reason: "", ...said } }
  return good(`report-${name}`, comment, inputOf(predicate, {}), output)
}

const refused = (name: string, comment: string, code: string, of: [Fields, Scene?]): Case =>
  bad(`report-${name}`, comment, inputOf(of[0], of[1] ?? {}), code)
const wrong = (name: string, comment: string, predicate: Fields, scene: Scene = {}): Case =>
  refused(name, comment, INVALID, [predicate, scene])

const set = (fields: Fields) => (copy: Fields) => Object.assign(copy, fields)
const without = (name: string) => (copy: Fields) => {
  delete copy[name]
}

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
    ...RIGHT.map(([name, comment, change]) => ok(name, comment, changed(REPORT, change))),
    ...WRONG.map(([name, comment, change]) => wrong(name, comment, changed(REPORT, change))),
    wrong("subject", "Of a plan without a version.", REPORT, { subject }),
    refused("fleet", "Another fleet.", "FLEET_WRONG", [{ ...REPORT, fleet: OTHER_FLEET }]),
    refused("kind", "Another kind of statement.", "KIND_WRONG", [
      REPORT,
      { kind: "sealift:decision/v1" },
    ]),
    refused("signer", "Signed by somebody else.", "SIGNATURE_MISSING", [
      REPORT,
      { signers: [STRANGER] },
    ]),
    refused("critical", "A critical field that nobody knows.", "CRITICAL_UNKNOWN", [
      { ...REPORT, load: 3, critical: ["load"] },
    ]),
  ]
}
