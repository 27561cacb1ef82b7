/**
 * Events: what a node writes into its log, one JSON object each (protocol/audit-log.md §4).
 * @module
 */
import {
  asCount,
  asText,
  encodeJson,
  field,
  type JsonObject,
  type JsonValue,
} from "../core/json.ts"
import { parseSection, type Refuse } from "../core/section.ts"
import { AuditError } from "./errors.ts"
import { ENTRY_BYTES_MAX } from "./log-files.ts"

/** All events that there are, with what each says (protocol/audit-log.md §4, events). */
export const EVENTS = [
  "log.begun",
  "node.started",
  "node.stopped",
  "node.blocked",
  "node.restored",
  "fleet.entered",
  "fleet.held-back",
  "fleet.caught-up",
  "access.accepted",
  "policy.set",
  "witnesses.set",
  "role.rotated",
  "draft.submitted",
  "desk.taken",
  "release.published",
  "release.approved",
  "release.withdrawn",
  "release.opened",
  "gate.granted",
  "rollout.planned",
  "rollout.decided",
  "rollout.stepped",
  "rollout.reported",
  "rollout.refused",
  "rollout.conflict",
  "usage.metered",
  "usage.exchanged",
] as const

export type EventName = (typeof EVENTS)[number]

/** What is to be logged. */
export interface Event {
  readonly event: EventName
  /** Facts: short texts, counts and digests; never a secret. */
  readonly facts: Readonly<Record<string, string | number | boolean>>
}

/** What was logged: a later version may have named it. */
export interface LoggedEvent extends Omit<Event, "event"> {
  readonly event: string
  /** 0-based place in the log. */
  readonly index: number
  /** Milliseconds since 1970, by the clock of the node. */
  readonly atMs: number
}

const EVENT_NAME = /^[a-z]{1,32}\.[a-z-]{1,32}$/
const OWN_FIELDS: readonly string[] = ["v", "at", "event"]

const refuse: Refuse = (reason, cause) =>
  new AuditError("EVENT_INVALID", `the event is refused: ${reason}`, { cause })

/** Writes an event as an entry. @throws {@link AuditError} `EVENT_INVALID` when it is too large */
export function encodeEvent({ event, facts }: Event, atMs: number): Uint8Array {
  const own = Object.keys(facts).find((name) => OWN_FIELDS.includes(name))
  if (own !== undefined) throw refuse(`"${own}" is no fact`)
  const entry = encodeJson({ v: 1, at: atMs, event, ...facts })
  // What nobody could read again must not be in the log.
  parseEvent(entry, 0)
  return entry
}

/** Reads an entry. @throws {@link AuditError} `EVENT_INVALID` */
export function parseEvent(entry: Uint8Array, index: number): LoggedEvent {
  const { fields } = parseSection(entry, { bytesMax: ENTRY_BYTES_MAX, refuse })
  const atMs = asCount(field(fields, "at"))
  const event = asText(field(fields, "event")) ?? ""
  if (field(fields, "v") !== 1 || atMs === undefined || !EVENT_NAME.test(event)) {
    throw refuse("it has no time, or no name")
  }
  return { index, atMs, event, facts: factsOf(fields) }
}

function factsOf(fields: JsonObject): Event["facts"] {
  const facts = Object.entries(fields).filter(([name]) => !OWN_FIELDS.includes(name))
  return Object.fromEntries(
    facts.map(([name, value]) => {
      if (!isFact(value)) throw refuse(`${name.slice(0, 80)} is no text, count or flag`)
      return [name, value] as const
    }),
  )
}

function isFact(value: JsonValue | undefined): value is string | number | boolean {
  return ["string", "number", "boolean"].includes(typeof value)
}
