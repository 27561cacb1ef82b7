/**
 * Decisions: what the controller of a plan says next, each naming the one before
 * (protocol/rollout.md §4, the decision).
 * @module
 */
import { type Digest, hexOf } from "../core/digest.ts"
import type { JsonObject } from "../core/json.ts"
import {
  choiceField,
  countField,
  digestField,
  hasField,
  invalidField,
  lineField,
  type Section,
  sectionField,
  verifyAbsent,
} from "../core/section.ts"
import { toLine } from "../core/text-line.ts"
import { publicKeyOfPeer } from "../fleet/peer-signer.ts"
import type { PeerId } from "../net/net.ts"
import { readSaid, type Signed } from "../release/signed.ts"
import type { Statement, StatementDraft } from "../trust/statement.ts"
import { refusal } from "./errors.ts"
import { WAVES_MAX } from "./plan.ts"
import { type NamedPlan, namedPlan, subjectOfPlan } from "./plan-subject.ts"

/** The predicate type of a decision. */
export const DECISION_KIND = "sealift:decision/v1"
/** Most decisions of one plan: a rollout that is paused and resumed without end is none. */
export const DECISIONS_MAX = 1_024
const FIELDS: readonly string[] = [
  ...["index", "previous", "at", "act", "wave", "roster", "access", "reason"],
]
const REASON_BYTES_MAX = 512

/** Who stands in which wave, as its tree says. */
export interface RosterRoot {
  /** RFC 6962 root over the lines of the roster, hex. */
  readonly root: Digest
  /** How many nodes: 0 … 10,000. */
  readonly size: number
}

/** What is decided. */
export type Act =
  /** The waves are frozen; `access`: the version of the list by which. */
  | { readonly kind: "start"; readonly roster: RosterRoot; readonly access: number }
  /** The next wave may open and activate. */
  | { readonly kind: "release"; readonly wave: number }
  /** Nothing new is begun. */
  | { readonly kind: "pause" }
  /** What failed may try once more. */
  | { readonly kind: "resume" }
  /** It is over; nodes stay as they are. */
  | { readonly kind: "abort" }
  /** It is over; nodes of this wave and later ones go back to what they ran before. */
  | { readonly kind: "rollback"; readonly wave: number }
  /** Every wave stands; whoever comes late may follow. */
  | { readonly kind: "complete" }

export type ActKind = Act["kind"]
const ACTS: readonly ActKind[] = [
  ...(["start", "release", "pause", "resume", "abort", "rollback", "complete"] as const),
]

export interface Decision {
  readonly fleet: string
  readonly plan: NamedPlan
  /** 0-based. */
  readonly index: number
  /** Of the statement of the decision before; undefined for the first. */
  readonly previous: Digest | undefined
  /** Milliseconds since 1970, by the controller's trusted time. */
  readonly atMs: number
  readonly act: Act
  /** For people: one line of at most 512 bytes. */
  readonly reason: string
}

/**
 * Makes the statement of a decision; what it gives can be read.
 * @throws {@link RolloutError} `DECISION_INVALID`
 */
export function encodeDecision(decision: Decision): StatementDraft<typeof DECISION_KIND> {
  const { fleet, plan, index, previous, atMs, act, reason } = decision
  const predicate = {
    index,
    previous: previous === undefined ? null : hexOf(previous),
    at: atMs,
    ...encodeAct(act),
    reason,
  }
  const subject = [subjectOfPlan(plan)]
  parseDecision({ subject, predicate }, fleet)
  return { kind: DECISION_KIND, fleet, subject, predicate }
}

/**
 * Reads a decision that the controller has signed. Whether it follows is another question
 * (`rollout-view.ts`).
 * @throws {@link TrustError} as `readStatement`; {@link RolloutError} `DECISION_INVALID`
 * @see protocol/rollout.md §5, reading a decision
 */
export function readDecision(
  file: Uint8Array,
  { controller, fleet }: { readonly controller: PeerId; readonly fleet: string },
): Signed<Decision> {
  const keys = new Set([publicKeyOfPeer(controller)])
  const saying = { kind: DECISION_KIND, fields: FIELDS, parse: parseDecision }
  return readSaid(file, { keys, fleet }, saying)
}

function encodeAct(act: Act): JsonObject {
  if (act.kind === "start") {
    const { root, size } = act.roster
    return { act: act.kind, roster: { root: hexOf(root), size }, access: act.access }
  }
  if (act.kind === "release" || act.kind === "rollback") return { act: act.kind, wave: act.wave }
  return { act: act.kind }
}

function parseDecision(
  { subject, predicate }: Pick<Statement, "subject" | "predicate">,
  fleet: string,
): Decision {
  const refuse = refusal("DECISION_INVALID")
  const section: Section = { fields: predicate, place: "", refuse }
  const index = countField(section, "index", { max: DECISIONS_MAX - 1 })
  const isFirst = index === 0
  if (isFirst !== (section.fields.previous === null)) {
    throw invalidField(section, "previous", { reason: "null for the first, and for it alone" })
  }
  return {
    fleet,
    plan: namedPlan({ subject }, refuse),
    index,
    previous: isFirst ? undefined : digestField(section, "previous"),
    atMs: countField(section, "at", { min: 1 }),
    act: parseAct(section),
    reason: reasonField(section),
  }
}

function parseAct(section: Section): Act {
  const kind = choiceField(section, "act", ACTS)
  if (kind !== "start") verifyAbsent(section, ["roster", "access"])
  if (kind !== "release" && kind !== "rollback") verifyAbsent(section, ["wave"])
  if (kind === "release" || kind === "rollback") {
    return { kind, wave: countField(section, "wave", { max: WAVES_MAX - 1 }) }
  }
  if (kind !== "start") return { kind }
  const roster = sectionField(section, "roster")
  const size = countField(roster, "size", { max: 10_000 })
  const access = countField(section, "access", { min: 1 })
  return { kind, roster: { root: digestField(roster, "root"), size }, access }
}

/** A line for people; empty when the field is left out. */
export function reasonField(section: Section): string {
  return hasField(section, "reason") ? lineField(section, "reason", { max: REASON_BYTES_MAX }) : ""
}

/** Makes a line that can stand as a reason of any text; of a long one the end. */
export function shortLine(text: string): string {
  return toLine(text, REASON_BYTES_MAX)
}
