/**
 * Fields of an object from outside: each read, or refused with the place where it stands.
 * @module
 */
import { parseBase64, parseHex } from "./byte-text.ts"
import { type Digest, isDigest, isSha256Hex, SHA256_BYTES } from "./digest.ts"
import { messageOf } from "./errors.ts"
import {
  asArray,
  asCount,
  asObject,
  asText,
  field,
  type JsonObject,
  type JsonValue,
  parseStrictJson,
} from "./json.ts"
import { isLine } from "./text-line.ts"

/** Gives the error of what is wrong; its code is that of the whole object. */
export type Refuse = (reason: string, cause?: unknown) => Error

/** An object that is being read. */
export interface Section {
  readonly fields: JsonObject
  /** Where it stands, such as `files[3].`; empty for the outermost. */
  readonly place: string
  readonly refuse: Refuse
}

/** How much of something there may be. */
export interface Bounds {
  readonly min?: number
  readonly max: number
}

/** Gives the error of a field that is wrong. */
export function invalidField(
  { place, refuse }: Section,
  name: string,
  fault: { readonly reason: string; readonly cause?: unknown },
): Error {
  return refuse(`${place}${name}: ${fault.reason}`, fault.cause)
}

/**
 * Parses strict JSON (protocol/envelope.md §1) whose outermost value is an object.
 * @throws what `refuse` gives
 */
export function parseSection(
  bytes: Uint8Array,
  { bytesMax, refuse }: { readonly bytesMax: number; readonly refuse: Refuse },
): Section {
  let value: JsonValue
  try {
    value = parseStrictJson(bytes, bytesMax)
  } catch (cause) {
    throw refuse(messageOf(cause), cause)
  }
  const fields = asObject(value)
  if (fields === undefined) throw refuse("it is no object")
  return { fields, place: "", refuse }
}

/** Tells whether a field is there, even as null. */
export function hasField({ fields }: Section, name: string): boolean {
  return field(fields, name) !== undefined
}

/** Refuses fields that have no meaning here: two readers could differ on them. */
export function verifyAbsent(section: Section, names: readonly string[]): void {
  const name = names.find((one) => hasField(section, one))
  if (name !== undefined) throw invalidField(section, name, { reason: "it does not belong here" })
}

export function textField(section: Section, name: string): string {
  const text = asText(field(section.fields, name))
  if (text === undefined) throw invalidField(section, name, { reason: "no text" })
  return text
}

/** Gives one line for people, of so many bytes of UTF-8. */
export function lineField(section: Section, name: string, { min = 0, max }: Bounds): string {
  const text = textField(section, name)
  if (isLine(text, max) && Buffer.byteLength(text) >= min) return text
  throw invalidField(section, name, { reason: "no short line of text" })
}

/** Gives a text if it is one of a few. */
export function choiceField<Choice extends string>(
  section: Section,
  name: string,
  choices: readonly Choice[],
): Choice {
  const text = textField(section, name)
  const choice = choices.find((one) => one === text)
  if (choice === undefined)
    throw invalidField(section, name, { reason: `no ${choices.join(", ")}` })
  return choice
}

export function flagField(section: Section, name: string): boolean {
  const flag = field(section.fields, name)
  if (typeof flag !== "boolean") throw invalidField(section, name, { reason: "no boolean" })
  return flag
}

/** Gives a whole number from 0 to 2^53−1, or within narrower bounds. */
export function countField(section: Section, name: string, bounds: Partial<Bounds> = {}): number {
  return countOf(field(section.fields, name), section, { name, ...bounds })
}

export function optionalCountField(
  section: Section,
  name: string,
  bounds: Partial<Bounds> = {},
): number | undefined {
  return hasField(section, name) ? countField(section, name, bounds) : undefined
}

/** Gives a list of whole numbers, all within bounds. */
export function countListField(
  section: Section,
  name: string,
  { count, value }: { readonly count: Bounds; readonly value: Bounds },
): readonly number[] {
  return listField(section, name, count).map((one) => countOf(one, section, { name, ...value }))
}

/** Gives a digest that stands as 64 lower-case hex digits. */
export function digestField(section: Section, name: string): Digest {
  const digest = `sha256:${textField(section, name)}`
  if (!isDigest(digest)) throw invalidField(section, name, { reason: "no digest" })
  return digest
}

/** Gives the id of a fleet, the field `fleet`: 64 lower-case hex digits. */
export function fleetField(section: Section): string {
  const fleet = textField(section, "fleet")
  if (!isSha256Hex(fleet)) throw invalidField(section, "fleet", { reason: "no fleet id" })
  return fleet
}

/** Gives 32 bytes that stand as hex digits. */
export function hashField(section: Section, name: string): Uint8Array {
  const bytes = parseHex(asText(field(section.fields, name)) ?? "")
  if (bytes?.length !== SHA256_BYTES)
    throw invalidField(section, name, { reason: "no 32 bytes in hex" })
  return bytes
}

/** Gives a list of 32 bytes each. */
export function hashListField(
  section: Section,
  name: string,
  bounds: Bounds,
): readonly Uint8Array[] {
  return listField(section, name, bounds).map((value, index) => {
    // The value as a field of its own place, so that the fault names it.
    const one = `${name}[${index}]`
    return hashField({ ...section, fields: { [one]: value } }, one)
  })
}

/** Gives bytes that stand as padded base64; at least one. */
export function bytesField(section: Section, name: string, { max }: Bounds): Uint8Array {
  return bytesOf(field(section.fields, name), section, { name, max })
}

/** Gives a list of bytes that stand as padded base64 each. @param bounds.bytes - of one of them */
export function bytesListField(
  section: Section,
  name: string,
  { count, bytes }: { readonly count: Bounds; readonly bytes: Bounds },
): readonly Uint8Array[] {
  return listField(section, name, count).map((one) => bytesOf(one, section, { name, ...bytes }))
}

/** The same list, in which null stands for what is not there. */
export function optionalBytesListField(
  section: Section,
  name: string,
  { count, bytes }: { readonly count: Bounds; readonly bytes: Bounds },
): readonly (Uint8Array | undefined)[] {
  const list = listField(section, name, count)
  return list.map((one) => (one === null ? undefined : bytesOf(one, section, { name, ...bytes })))
}

export function listField(section: Section, name: string, bounds: Bounds): readonly JsonValue[] {
  const list = asArray(field(section.fields, name))
  const { min = 0, max } = bounds
  if (list === undefined || list.length < min || list.length > max) {
    throw invalidField(section, name, { reason: `no list of ${min} to ${max}` })
  }
  return list
}

export function textListField(section: Section, name: string, bounds: Bounds): readonly string[] {
  return listField(section, name, bounds).map((value) => {
    const text = asText(value)
    if (text === undefined) throw invalidField(section, name, { reason: "no list of texts" })
    return text
  })
}

/** Gives a list of texts, each once. */
export function textSetField(section: Section, name: string, bounds: Bounds): readonly string[] {
  const texts = textListField(section, name, bounds)
  if (new Set(texts).size < texts.length) throw invalidField(section, name, { reason: "one twice" })
  return texts
}

export function sectionField(section: Section, name: string): Section {
  return sectionOf(field(section.fields, name), section, name)
}

export function sectionListField(
  section: Section,
  name: string,
  bounds: Bounds,
): readonly Section[] {
  const list = listField(section, name, bounds)
  return list.map((value, index) => sectionOf(value, section, `${name}[${index}]`))
}

function sectionOf(value: JsonValue | undefined, section: Section, name: string): Section {
  const fields = asObject(value)
  if (fields === undefined) throw invalidField(section, name, { reason: "no object" })
  return { fields, place: `${section.place}${name}.`, refuse: section.refuse }
}

function bytesOf(
  value: JsonValue | undefined,
  section: Section,
  { name, max }: { readonly name: string; readonly max: number },
): Uint8Array {
  const bytes = parseBase64(asText(value) ?? "")
  if (bytes === undefined || bytes.length === 0 || bytes.length > max) {
    throw invalidField(section, name, { reason: `no base64 of 1 to ${max} bytes` })
  }
  return bytes
}

function countOf(
  value: JsonValue | undefined,
  section: Section,
  { name, min = 0, max = Number.MAX_SAFE_INTEGER }: { readonly name: string } & Partial<Bounds>,
): number {
  const count = asCount(value)
  if (count === undefined || count < min || count > max) {
    throw invalidField(section, name, { reason: `no whole number from ${min} to ${max}` })
  }
  return count
}
