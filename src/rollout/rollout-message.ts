/**
 * The messages by which nodes carry decisions, rosters and reports (protocol/rollout.md §4, exchanges).
 * @module
 */
import { encodeBase64, parseBase64 } from "../core/byte-text.ts"
import { type Digest, hexOf, isSha256Hex } from "../core/digest.ts"
import { encodeJson, type JsonObject } from "../core/json.ts"
import {
  bytesField,
  choiceField,
  countField,
  digestField,
  flagField,
  hasField,
  invalidField,
  parseSection,
  type Section,
  textField,
  textListField,
} from "../core/section.ts"
import { peerField } from "../fleet/access-field.ts"
import type { PeerId } from "../net/net.ts"
import { DECISIONS_MAX } from "./decision.ts"
import { COSIGNED_BYTES_MAX } from "./decision-log.ts"
import { refusal } from "./errors.ts"

const VERSION = 1
/** Largest envelope of a decision or a report. */
export const STATEMENT_BYTES_MAX: number = 16 * 1024
/** Decisions in one answer. */
const ANSWERED_MAX = 128
const ASK_BYTES_MAX: number = 32 * 1024
const NOTICE_BYTES_MAX: number = 48 * 1024
const ANSWER_BYTES_MAX: number = 3 * 1024 * 1024
const refuse = refusal("ROLLOUT_MESSAGE_MALFORMED")

/** What a node asks another. */
export type RolloutAsk =
  /** The decisions of a plan, from the one with this number on. */
  | { readonly kind: "decisions"; readonly plan: Digest; readonly from: number }
  /** Who is in which wave. */
  | { readonly kind: "roster"; readonly plan: Digest }
  /** Takes a report to the controller; `isForwarded`: it came by a node between. */
  | {
      readonly kind: "report"
      readonly plan: Digest
      readonly node: PeerId
      readonly envelope: Uint8Array
      readonly isForwarded: boolean
    }

/** Tells of a decision that is new. */
export interface DecisionNotice {
  readonly fleet: string
  readonly plan: Digest
  readonly envelope: Uint8Array
  /** The checkpoint that witnesses have cosigned; undefined: the fleet names none. */
  readonly cosigned?: Uint8Array
}

/** Decisions of a plan, in their order. */
export interface DecisionsAnswer {
  readonly envelopes: readonly Uint8Array[]
  /** As in a notice: of as many decisions as there are, not only of those in this answer. */
  readonly cosigned?: Uint8Array
}

export function encodeAsk(ask: RolloutAsk): Uint8Array {
  return encodeJson({ v: VERSION, ask: ask.kind, plan: hexOf(ask.plan), ...rest(ask) })
}

/** @throws {@link RolloutError} `ROLLOUT_MESSAGE_MALFORMED` */
export function parseAsk(bytes: Uint8Array): RolloutAsk {
  const section = parseMessage(bytes, ASK_BYTES_MAX)
  const kind = choiceField(section, "ask", ["decisions", "roster", "report"])
  const plan = digestField(section, "plan")
  if (kind === "roster") return { kind, plan }
  if (kind === "decisions") {
    return { kind, plan, from: countField(section, "from", { max: DECISIONS_MAX }) }
  }
  return {
    kind,
    plan,
    node: peerField(section, "node"),
    envelope: bytesField(section, "report", { max: STATEMENT_BYTES_MAX }),
    isForwarded: flagField(section, "forwarded"),
  }
}

/** Answers with as many decisions as an answer may have, the first ones first. */
export function encodeDecisions({ envelopes, cosigned }: DecisionsAnswer): Uint8Array {
  const decisions = envelopes.slice(0, ANSWERED_MAX).map(encodeBase64)
  return encodeJson({ v: VERSION, decisions, ...noteFields(cosigned) })
}

/** @throws {@link RolloutError} `ROLLOUT_MESSAGE_MALFORMED` */
export function parseDecisions(bytes: Uint8Array): DecisionsAnswer {
  const section = parseMessage(bytes, ANSWER_BYTES_MAX)
  const envelopes = textListField(section, "decisions", { max: ANSWERED_MAX }).map((text) => {
    const envelope = parseBase64(text)
    if (envelope !== undefined && envelope.length <= STATEMENT_BYTES_MAX) return envelope
    throw invalidField(section, "decisions", { reason: "no base64 of a statement" })
  })
  return { envelopes, ...parseNote(section) }
}

export function encodeNotice({ fleet, plan, envelope, cosigned }: DecisionNotice): Uint8Array {
  const said = { fleet, plan: hexOf(plan), decision: encodeBase64(envelope) }
  return encodeJson({ v: VERSION, ...said, ...noteFields(cosigned) })
}

/** @throws {@link RolloutError} `ROLLOUT_MESSAGE_MALFORMED` */
export function parseNotice(bytes: Uint8Array): DecisionNotice {
  const section = parseMessage(bytes, NOTICE_BYTES_MAX)
  const fleet = textField(section, "fleet")
  if (!isSha256Hex(fleet)) throw invalidField(section, "fleet", { reason: "no fleet id" })
  const envelope = bytesField(section, "decision", { max: STATEMENT_BYTES_MAX })
  return { fleet, plan: digestField(section, "plan"), envelope, ...parseNote(section) }
}

/** Answers whether a report was taken by the controller. */
export function encodeTaken(isTaken: boolean): Uint8Array {
  return encodeJson({ v: VERSION, taken: isTaken })
}

/** @throws {@link RolloutError} `ROLLOUT_MESSAGE_MALFORMED` */
export function parseTaken(bytes: Uint8Array): boolean {
  return flagField(parseMessage(bytes, ASK_BYTES_MAX), "taken")
}

function noteFields(cosigned: Uint8Array | undefined): JsonObject {
  return cosigned === undefined ? {} : { cosigned: encodeBase64(cosigned) }
}

function parseNote(section: Section): { readonly cosigned?: Uint8Array } {
  if (!hasField(section, "cosigned")) return {}
  return { cosigned: bytesField(section, "cosigned", { max: COSIGNED_BYTES_MAX }) }
}

function rest(ask: RolloutAsk): JsonObject {
  if (ask.kind === "decisions") return { from: ask.from }
  if (ask.kind === "roster") return {}
  const { node, envelope, isForwarded } = ask
  return { node, report: encodeBase64(envelope), forwarded: isForwarded }
}

function parseMessage(bytes: Uint8Array, bytesMax: number): Section {
  const section = parseSection(bytes, { bytesMax, refuse })
  countField(section, "v", { min: VERSION, max: VERSION })
  return section
}
