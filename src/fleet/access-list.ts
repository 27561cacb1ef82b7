/**
 * The access list: which nodes belong to the fleet, in which groups, and what each may do
 * (protocol/fleet.md).
 * @module
 */

import { parseBase64 } from "../core/byte-text.ts"
import { type Digest, digestOf } from "../core/digest.ts"
import { messageOf } from "../core/errors.ts"
import { asObject, field, type JsonObject, type JsonValue, parseJson } from "../core/json.ts"
import { EVERYBODY, isGroupName } from "../core/name.ts"
import {
  countOf,
  invalid,
  labelsOf,
  listOf,
  optionalCountOf,
  parsePeer,
  parseRecipient,
  textOf,
} from "./access-field.ts"
import { isVerb, type Rule, type Verb } from "./access-rule.ts"
import { FleetError } from "./errors.ts"

/** Largest file: 10,000 nodes of about 130 bytes fit. */
export const ACCESS_BYTES_MAX: number = 2 * 1024 * 1024
export const NODES_MAX = 10_000
const GROUPS_MAX = 256
const GROUPS_PER_NODE_MAX = 16
const RULES_MAX = 256
const PLACES_MAX = 64
const VERBS_MAX = 9
/** Secrets of earlier epochs that a group carries along. */
const PREVIOUS_MAX = 16
const AGE_FILE_TEXT_MAX: number = 24 * 1024
const CRITICAL_MAX = 32
const DEPTH_MAX = 16
const FIELDS: readonly string[] = [
  ...["v", "fleet", "version", "issuedAt", "nodes", "groups", "rules", "revoked", "critical"],
]

/** A node that belongs to the fleet. */
export interface Member {
  readonly peer: string
  readonly groups: readonly string[]
  readonly labels: Readonly<Record<string, string>>
  /** Whether it keeps the secrets of epochs. */
  readonly isAnchor: boolean
  /** Node keys with a counter below are refused. */
  readonly minCounter: number
}

/** A named set of nodes at its present epoch. */
export interface Group {
  readonly name: string
  readonly epoch: number
  /** The age recipient of the epoch. */
  readonly recipient: string
  /** When the epoch began, milliseconds since 1970. */
  readonly sinceMs: number
  /** Age files in base64: the secret of each earlier epoch, sealed to the epoch after it; newest first. */
  readonly previous: readonly string[]
}

export interface AccessList {
  readonly fleet: string
  readonly version: number
  readonly issuedAtMs: number
  /** By peer id. */
  readonly members: ReadonlyMap<string, Member>
  /** By name. */
  readonly groups: ReadonlyMap<string, Group>
  readonly rules: readonly Rule[]
  readonly revoked: ReadonlySet<string>
  /** Of the file. */
  readonly digest: Digest
}

/**
 * Reads an access list.
 *
 * That the key in a peer id may be registered is for those to check who admit the node or meet it:
 * 10,000 such checks would take ten seconds.
 *
 * @throws {@link FleetError} `ACCESS_INVALID`, `FLEET_WRONG`, `CRITICAL_UNKNOWN`
 */
export function parseAccessList(file: Uint8Array, fleet: string): AccessList {
  const fields = parseFields(file)
  checkCritical(fields)
  if (field(fields, "v") !== 1) throw invalid("v is not 1")
  if (textOf(fields, "fleet") !== fleet) {
    throw new FleetError("FLEET_WRONG", `an access list of another fleet than ${fleet}`)
  }
  const groups = byName(listOf(fields, "groups", GROUPS_MAX).map(parseGroup))
  const members = byPeer(listOf(fields, "nodes", NODES_MAX).map((one) => parseMember(one, groups)))
  const revoked = new Set(listOf(fields, "revoked", NODES_MAX).map(parsePeer))
  for (const peer of revoked) if (members.has(peer)) throw invalid(`${peer} is in and revoked`)
  return {
    fleet,
    version: countOf(fields, "version"),
    issuedAtMs: countOf(fields, "issuedAt"),
    members,
    groups,
    rules: listOf(fields, "rules", RULES_MAX).map((one) => parseRule(one, groups)),
    revoked,
    digest: digestOf(file),
  }
}

/**
 * Checks that a list may take the place of another.
 * @throws {@link FleetError} `ACCESS_ROLLBACK`, `EPOCH_ROLLBACK`
 * @see protocol/fleet.md §5, accepting a list
 */
export function verifySuccessor(accepted: AccessList, next: AccessList): void {
  const isSame = next.version === accepted.version && next.digest === accepted.digest
  if (isSame) return
  if (next.version <= accepted.version) {
    const message = `access list ${next.version} after ${accepted.version}`
    throw new FleetError("ACCESS_ROLLBACK", message)
  }
  for (const { name, epoch, recipient } of accepted.groups.values()) {
    const later = next.groups.get(name)
    if (later === undefined || later.epoch > epoch) continue
    // One epoch is one key: another recipient would split the group.
    if (later.epoch === epoch && later.recipient === recipient) continue
    throw new FleetError("EPOCH_ROLLBACK", `group ${name} at epoch ${later.epoch} after ${epoch}`)
  }
}

function parseFields(file: Uint8Array): JsonObject {
  let value: JsonValue
  try {
    const limits = { bytesMax: ACCESS_BYTES_MAX, depthMax: DEPTH_MAX, refusesUnsafeIntegers: true }
    value = parseJson(file, limits)
  } catch (cause) {
    throw invalid(messageOf(cause), cause)
  }
  const fields = asObject(value)
  if (fields === undefined) throw invalid("it is no object")
  return fields
}

function parseMember(value: JsonValue, groups: ReadonlyMap<string, Group>): Member {
  const fields = asObject(value)
  if (fields === undefined) throw invalid("a node is no object")
  const anchor = field(fields, "anchor")
  if (anchor !== undefined && typeof anchor !== "boolean") throw invalid("anchor is no boolean")
  return {
    peer: parsePeer(field(fields, "peer")),
    groups: listOf(fields, "groups", GROUPS_PER_NODE_MAX).map((name) => knownGroup(name, groups)),
    labels: labelsOf(field(fields, "labels")),
    isAnchor: anchor === true,
    minCounter: optionalCountOf(fields, "minCounter"),
  }
}

function knownGroup(name: JsonValue, groups: ReadonlyMap<string, Group>): string {
  if (typeof name !== "string" || !groups.has(name)) throw invalid("a group that is not listed")
  return name
}

function parseGroup(value: JsonValue): Group {
  const fields = asObject(value)
  if (fields === undefined) throw invalid("a group is no object")
  const name = textOf(fields, "name")
  if (!isGroupName(name)) throw invalid("a group's name is none")
  return {
    name,
    epoch: countOf(fields, "epoch"),
    recipient: parseRecipient(field(fields, "recipient")),
    sinceMs: countOf(fields, "since"),
    previous: listOf(fields, "previous", PREVIOUS_MAX).map(parseAgeFile),
  }
}

function parseAgeFile(value: JsonValue): string {
  const isText = typeof value === "string" && value.length <= AGE_FILE_TEXT_MAX
  if (!isText || parseBase64(value) === undefined) {
    throw invalid("an earlier epoch's secret is no age file in base64")
  }
  return value
}

function parseRule(value: JsonValue, groups: ReadonlyMap<string, Group>): Rule {
  const fields = asObject(value)
  if (fields === undefined) throw invalid("a rule is no object")
  const where = listOf(fields, "where", PLACES_MAX)
  return {
    who: parseWho(textOf(fields, "who"), groups),
    verbs: listOf(fields, "verbs", VERBS_MAX).map(parseVerb),
    where: where.map((place) => {
      if (typeof place !== "string" || place === "" || place.length > 255) {
        throw invalid("a place of a rule is no text of 1 to 255 characters")
      }
      return place
    }),
  }
}

function parseWho(text: string, groups: ReadonlyMap<string, Group>): Rule["who"] {
  if (text === EVERYBODY) return { kind: "all" }
  if (text.startsWith("node:")) return { kind: "node", peer: parsePeer(text.slice(5)) }
  if (text.startsWith("group:")) return { kind: "group", name: knownGroup(text.slice(6), groups) }
  throw invalid(`a rule is for ${JSON.stringify(text.slice(0, 80))}`)
}

function parseVerb(value: JsonValue): Verb {
  if (typeof value !== "string" || !isVerb(value)) throw invalid("a verb that nobody knows")
  return value
}

function byName(groups: readonly Group[]): ReadonlyMap<string, Group> {
  const map = new Map(groups.map((group) => [group.name, group]))
  if (map.size < groups.length) throw invalid("two groups have one name")
  return map
}

function byPeer(members: readonly Member[]): ReadonlyMap<string, Member> {
  const map = new Map(members.map((member) => [member.peer, member]))
  if (map.size < members.length) throw invalid("a node stands twice")
  return map
}

/** protocol/envelope.md §5, reading 7. */
function checkCritical(fields: JsonObject): void {
  if (field(fields, "critical") === undefined) return
  for (const name of listOf(fields, "critical", CRITICAL_MAX)) {
    if (typeof name === "string" && FIELDS.includes(name) && Object.hasOwn(fields, name)) continue
    const shown = JSON.stringify(name).slice(0, 80)
    throw new FleetError("CRITICAL_UNKNOWN", `the critical field ${shown} is unknown or not there`)
  }
}
