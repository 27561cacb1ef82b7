/**
 * The access list: which nodes belong to the fleet, in which groups, and what each may do
 * (protocol/fleet.md).
 * @module
 */

import { parseBase64 } from "../core/byte-text.ts"
import { type Digest, digestOf } from "../core/digest.ts"
import { EVERYBODY, isGroupName, isPeerId } from "../core/name.ts"
import {
  countField,
  flagField,
  hasField,
  invalidField,
  optionalCountField,
  parseSection,
  type Refuse,
  type Section,
  sectionListField,
  textField,
  textListField,
} from "../core/section.ts"
import { criticalField, verifyCritical } from "../trust/critical.ts"
import { type Labels, labelsField, peerField, recipientField } from "./access-field.ts"
import { isVerb, type Rule, type Verb } from "./access-rule.ts"
import { FleetError } from "./errors.ts"

/** Largest file: 10,000 nodes of about 130 bytes fit. */
export const ACCESS_BYTES_MAX: number = 2 * 1024 * 1024
export const NODES_MAX = 10_000
const GROUPS_MAX = 256
const GROUPS_PER_NODE_MAX = 16
export const RULES_MAX = 256
export const PLACES_MAX = 64
export const PLACE_CHARACTERS_MAX = 255
const VERBS_MAX = 9
/** Secrets of earlier epochs that a group carries along. */
export const PREVIOUS_MAX = 16
const AGE_FILE_TEXT_MAX: number = 24 * 1024
const FIELDS: readonly string[] = [
  ...["v", "fleet", "version", "issuedAt", "nodes", "groups", "rules", "revoked"],
]

/** A node that belongs to the fleet. */
export interface Member {
  readonly peer: string
  readonly groups: readonly string[]
  readonly labels: Labels
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

const refuse: Refuse = (reason, cause) =>
  new FleetError("ACCESS_INVALID", `the access list is invalid: ${reason}`, { cause })

/**
 * Reads an access list.
 *
 * That the key in a peer id may be registered is for those to check who admit the node or meet it:
 * 10,000 such checks would take ten seconds.
 *
 * @throws {@link FleetError} `ACCESS_INVALID`, `FLEET_WRONG`; {@link TrustError} `CRITICAL_UNKNOWN`
 */
export function parseAccessList(file: Uint8Array, fleet: string): AccessList {
  const section = parseSection(file, { bytesMax: ACCESS_BYTES_MAX, refuse })
  verifyCritical(criticalField(section), section.fields, FIELDS)
  countField(section, "v", { min: 1, max: 1 })
  if (textField(section, "fleet") !== fleet) {
    throw new FleetError("FLEET_WRONG", `an access list of another fleet than ${fleet}`)
  }
  const groups = byName(sectionListField(section, "groups", { max: GROUPS_MAX }).map(parseGroup))
  const nodes = sectionListField(section, "nodes", { max: NODES_MAX })
  const members = byPeer(nodes.map((node) => parseMember(node, groups)))
  const revoked = new Set(textListField(section, "revoked", { max: NODES_MAX }).map(parsePeer))
  for (const peer of revoked) if (members.has(peer)) throw refuse(`${peer} is in and revoked`)
  const rules = sectionListField(section, "rules", { max: RULES_MAX })
  return {
    fleet,
    version: countField(section, "version", { min: 1 }),
    issuedAtMs: countField(section, "issuedAt", { min: 1 }),
    members,
    groups,
    rules: rules.map((rule) => parseRule(rule, groups)),
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

function parseMember(section: Section, groups: ReadonlyMap<string, Group>): Member {
  const names = textListField(section, "groups", { max: GROUPS_PER_NODE_MAX })
  return {
    peer: peerField(section, "peer"),
    groups: names.map((name) => knownGroup(name, groups)),
    labels: labelsField(section, "labels"),
    isAnchor: hasField(section, "anchor") && flagField(section, "anchor"),
    minCounter: optionalCountField(section, "minCounter", { min: 1 }) ?? 0,
  }
}

function knownGroup(name: string, groups: ReadonlyMap<string, Group>): string {
  if (groups.has(name)) return name
  throw refuse(`group ${JSON.stringify(name.slice(0, 80))} is not listed`)
}

function parseGroup(section: Section): Group {
  const name = textField(section, "name")
  if (!isGroupName(name)) throw invalidField(section, "name", { reason: "no group's name" })
  return {
    name,
    epoch: countField(section, "epoch", { min: 1 }),
    recipient: recipientField(section, "recipient"),
    sinceMs: countField(section, "since", { min: 1 }),
    previous: textListField(section, "previous", { max: PREVIOUS_MAX }).map(parseAgeFile),
  }
}

function parseAgeFile(text: string): string {
  if (text.length <= AGE_FILE_TEXT_MAX && parseBase64(text) !== undefined) return text
  throw refuse("an earlier epoch's secret is no age file in base64")
}

function parseRule(section: Section, groups: ReadonlyMap<string, Group>): Rule {
  const where = textListField(section, "where", { max: PLACES_MAX })
  if (!where.every((place) => place !== "" && place.length <= PLACE_CHARACTERS_MAX)) {
    const reason = `a place that has not 1 to ${PLACE_CHARACTERS_MAX} characters`
    throw invalidField(section, "where", { reason })
  }
  return {
    who: parseWho(textField(section, "who"), groups),
    verbs: textListField(section, "verbs", { max: VERBS_MAX }).map(parseVerb),
    where,
  }
}

function parseWho(text: string, groups: ReadonlyMap<string, Group>): Rule["who"] {
  if (text === EVERYBODY) return { kind: "all" }
  if (text.startsWith("node:")) return { kind: "node", peer: parsePeer(text.slice(5)) }
  if (text.startsWith("group:")) return { kind: "group", name: knownGroup(text.slice(6), groups) }
  throw refuse(`a rule is for ${JSON.stringify(text.slice(0, 80))}`)
}

function parseVerb(text: string): Verb {
  if (!isVerb(text)) throw refuse("a verb that nobody knows")
  return text
}

function parsePeer(text: string): string {
  if (!isPeerId(text)) throw refuse("a peer id is none of an Ed25519 key")
  return text
}

function byName(groups: readonly Group[]): ReadonlyMap<string, Group> {
  const map = new Map(groups.map((group) => [group.name, group]))
  if (map.size < groups.length) throw refuse("two groups have one name")
  return map
}

function byPeer(members: readonly Member[]): ReadonlyMap<string, Member> {
  const map = new Map(members.map((member) => [member.peer, member]))
  if (map.size < members.length) throw refuse("a node stands twice")
  return map
}
