/**
 * What fields of fleets hold: peer ids, labels, recipients of groups (protocol/fleet.md §4).
 * @module
 */
import { asObject, field } from "../core/json.ts"
import { isPeerId } from "../core/name.ts"
import { isPostQuantum, isRecipientText } from "../core/recipient.ts"
import { invalidField, type Section, textField } from "../core/section.ts"

/** Most labels of a node, or slots of a variant. */
export const LABELS_MAX = 16
const LABEL = /^[A-Za-z0-9._-]{1,63}$/

/** Labels by their keys. Look them up with `Object.hasOwn`: `constructor` may be one. */
export type Labels = Readonly<Record<string, string>>

/** Tells whether a text may be the key of a label, or its value. */
export function isLabel(text: string): boolean {
  return LABEL.test(text)
}

export function peerField(section: Section, name: string): string {
  const peer = textField(section, name)
  if (!isPeerId(peer)) throw invalidField(section, name, { reason: "no peer id" })
  return peer
}

/** Gives a post-quantum recipient. */
export function recipientField(section: Section, name: string): string {
  const recipient = textField(section, name)
  if (isRecipientText(recipient) && isPostQuantum(recipient)) return recipient
  throw invalidField(section, name, { reason: "no post-quantum age recipient" })
}

export function labelsField(section: Section, name: string): Labels {
  const fields = asObject(field(section.fields, name))
  const labels = Object.entries(fields ?? {})
  if (fields === undefined || labels.length > LABELS_MAX) {
    throw invalidField(section, name, { reason: `no object of at most ${LABELS_MAX}` })
  }
  const read = labels.map(([key, label]): [string, string] => {
    if (isLabel(key) && typeof label === "string" && isLabel(label)) return [key, label]
    throw invalidField(section, name, { reason: "no label" })
  })
  return Object.fromEntries(read)
}
