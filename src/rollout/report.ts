/**
 * Health reports: what a node says of a plan's releases on it (protocol/rollout.md §4, the report).
 * @module
 */
import type { JsonObject } from "../core/json.ts"
import {
  choiceField,
  countField,
  invalidField,
  optionalCountField,
  type Section,
  sectionListField,
  textField,
  verifyAbsent,
} from "../core/section.ts"
import { type Labels, labelsField, peerField } from "../fleet/access-field.ts"
import { publicKeyOfPeer } from "../fleet/peer-signer.ts"
import type { PeerId } from "../net/net.ts"
import {
  encodeNamedRelease,
  type NamedRelease,
  namedReleaseField,
  readSaid,
  type Signed,
} from "../release/signed.ts"
import type { Statement, StatementDraft } from "../trust/statement.ts"
import { DECISIONS_MAX, reasonField } from "./decision.ts"
import { refusal } from "./errors.ts"
import { PLAN_RELEASES_MAX, WAVES_MAX } from "./plan.ts"
import { type NamedPlan, namedPlan, subjectOfPlan } from "./plan-subject.ts"

/** The predicate type of a health report. */
export const REPORT_KIND = "sealift:health-report/v1"
const FIELDS: readonly string[] = [
  ...["node", "wave", "attempt", "counter", "boot", "at", "outcome", "running", "slots"],
  ...["opensAt", "reason"],
]
const BOOT_ID = /^[0-9a-f]{32}$/

/** How it went. */
export type Outcome =
  /** Its wave was released, and its window is closed until `opensAtMs`. */
  | "waiting"
  /** What the plan names runs, and its probe finds it well. */
  | "healthy"
  /** It does not; or this node's own rules refuse it. */
  | "failed"
  /** What ran before runs again. */
  | "rolled-back"
  /** Everything is here, and this node's own configuration says that it opens nothing by a plan. */
  | "staged"

const OUTCOMES: readonly Outcome[] = ["waiting", "healthy", "failed", "rolled-back", "staged"]

export interface HealthReport {
  readonly fleet: string
  readonly plan: NamedPlan
  readonly node: PeerId
  /** Its place; the number of waves: it came late. */
  readonly wave: number
  /** How often the rollout was resumed before this try. */
  readonly attempt: number
  /** Rises with every report of this node, of whatever plan. */
  readonly counter: number
  /** 32 hex digits, new at each start of the node. */
  readonly boot: string
  readonly atMs: number
  readonly outcome: Outcome
  /** What runs now on the plan's channel, in the plan's order. */
  readonly running: readonly NamedRelease[]
  /** The node's labels, by which variants were chosen. */
  readonly slots: Labels
  /** Only of those that wait. */
  readonly opensAtMs: number | undefined
  /** For people: one line of at most 512 bytes. */
  readonly reason: string
}

/**
 * Makes the statement of a report; what it gives can be read.
 * @throws {@link RolloutError} `REPORT_INVALID`
 */
export function encodeReport(report: HealthReport): StatementDraft<typeof REPORT_KIND> {
  const { fleet, plan, node, wave, attempt, counter, boot, atMs, outcome } = report
  const predicate: JsonObject = {
    ...{ node, wave, attempt, counter, boot, at: atMs, outcome },
    running: report.running.map(encodeNamedRelease),
    slots: report.slots,
    ...(report.opensAtMs === undefined ? {} : { opensAt: report.opensAtMs }),
    reason: report.reason,
  }
  const subject = [subjectOfPlan(plan)]
  parseReport({ subject, predicate }, fleet)
  return { kind: REPORT_KIND, fleet, subject, predicate }
}

/**
 * Reads a report that the node which it is of has signed.
 * @throws {@link TrustError} as `readStatement`; {@link RolloutError} `REPORT_INVALID`
 * @see protocol/rollout.md §5, reading a report
 */
export function readReport(
  file: Uint8Array,
  { node, fleet }: { readonly node: PeerId; readonly fleet: string },
): Signed<HealthReport> {
  const keys = new Set([publicKeyOfPeer(node)])
  const saying = { kind: REPORT_KIND, fields: FIELDS, parse: parseReport }
  const report = readSaid(file, { keys, fleet }, saying)
  if (report.said.node === node) return report
  throw refusal("REPORT_INVALID")(`a report of another node than ${node}`)
}

function parseReport(
  { subject, predicate }: Pick<Statement, "subject" | "predicate">,
  fleet: string,
): HealthReport {
  const refuse = refusal("REPORT_INVALID")
  const section: Section = { fields: predicate, place: "", refuse }
  const boot = textField(section, "boot")
  if (!BOOT_ID.test(boot)) throw invalidField(section, "boot", { reason: "no 32 hex digits" })
  const outcome = choiceField(section, "outcome", OUTCOMES)
  if (outcome !== "waiting") verifyAbsent(section, ["opensAt"])
  return {
    fleet,
    plan: namedPlan({ subject }, refuse),
    node: peerField(section, "node"),
    wave: countField(section, "wave", { max: WAVES_MAX }),
    attempt: countField(section, "attempt", { max: DECISIONS_MAX }),
    counter: countField(section, "counter", { min: 1 }),
    boot,
    atMs: countField(section, "at", { min: 1 }),
    outcome,
    running: sectionListField(section, "running", { max: PLAN_RELEASES_MAX }).map(
      namedReleaseField,
    ),
    slots: labelsField(section, "slots"),
    opensAtMs: optionalCountField(section, "opensAt", { min: 1 }),
    reason: reasonField(section),
  }
}
