/**
 * Fields of an access list: each read, or refused with its name (protocol/fleet.md §4).
 * @module
 */
import {
  asArray,
  asCount,
  asObject,
  asText,
  field,
  type JsonObject,
  type JsonValue,
} from "../core/json.ts"
import { isPostQuantum, isRecipientText } from "../core/recipient.ts"
import { FleetError } from "./errors.ts"

/** libp2p's text of an Ed25519 key: base58btc of its identity multihash. */
const PEER = /^12D3KooW[1-9A-HJ-NP-Za-km-z]{44}$/
const LABELS_MAX = 16
const LABEL = /^[A-Za-z0-9._-]{1,63}$/

/** Tells whether a text has the form of a peer id. Whether its key is sound is not looked at. */
export function isPeerId(text: string): boolean {
  return PEER.test(text)
}

/** Tells whether a text may be the key, or the value, of a node's label. */
export function isLabel(text: string): boolean {
  return LABEL.test(text)
}

/** Gives the error of a list whose form is wrong. */
export function invalid(reason: string, cause?: unknown): FleetError {
  return new FleetError("ACCESS_INVALID", `the access list is invalid: ${reason}`, { cause })
}

export function listOf(fields: JsonObject, name: string, countMax: number): readonly JsonValue[] {
  const list = asArray(field(fields, name))
  if (list !== undefined && list.length <= countMax) return list
  throw invalid(`${name} is no list of at most ${countMax}`)
}

export function textOf(fields: JsonObject, name: string): string {
  const text = asText(field(fields, name))
  if (text === undefined) throw invalid(`${name} is no text`)
  return text
}

/** Gives a whole number from 1 on. */
export function countOf(fields: JsonObject, name: string): number {
  const count = asCount(field(fields, name))
  if (count === undefined || count === 0) throw invalid(`${name} is no whole number above 0`)
  return count
}

/** Gives a whole number, 0 when the field is not there. */
export function optionalCountOf(fields: JsonObject, name: string): number {
  if (field(fields, name) === undefined) return 0
  return countOf(fields, name)
}

export function parsePeer(value: JsonValue | undefined): string {
  if (typeof value === "string" && isPeerId(value)) return value
  throw invalid("a peer id is none of an Ed25519 key")
}

export function parseRecipient(value: JsonValue | undefined): string {
  const text = asText(value) ?? ""
  if (isRecipientText(text) && isPostQuantum(text)) return text
  throw invalid("a group's recipient is no post-quantum age recipient")
}

export function labelsOf(value: JsonValue | undefined): Readonly<Record<string, string>> {
  const fields = asObject(value)
  const labels = Object.entries(fields ?? {})
  if (fields === undefined || labels.length > LABELS_MAX) {
    throw invalid(`labels are no object of at most ${LABELS_MAX}`)
  }
  const read = labels.map(([key, label]): [string, string] => {
    if (isLabel(key) && typeof label === "string" && isLabel(label)) return [key, label]
    throw invalid("a label is neither of letters, digits, '.', '_' and '-' nor short")
  })
  return Object.fromEntries(read)
}
