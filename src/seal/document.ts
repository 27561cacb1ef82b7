/**
 * The strict JSON that stands inside age files and bags, and its fields (protocol/key-schedule.md §1).
 * @module
 */
import { parseBase64, parseHex } from "../core/byte-text.ts"
import {
  asObject,
  asText,
  encodeJson,
  field,
  type JsonObject,
  parseStrictJson,
} from "../core/json.ts"

const VERSION = 1

/** Writes a document of this version. */
export function encodeDocument(fields: JsonObject): Uint8Array {
  return encodeJson({ v: VERSION, ...fields })
}

/**
 * Parses a document.
 * @returns undefined when it is no strict JSON object of this version. There is no error that says
 * why: V8's message quotes the text, and the text is secret.
 */
export function parseDocument(
  bytes: Uint8Array,
  { bytesMax }: { readonly bytesMax: number },
): JsonObject | undefined {
  try {
    const object = asObject(parseStrictJson(bytes, bytesMax))
    return object !== undefined && field(object, "v") === VERSION ? object : undefined
  } catch {
    return undefined
  }
}

/** Gives a field's bytes if it is lower-case hex digits of this many bytes. */
export function hexField(
  object: JsonObject,
  key: string,
  byteCount: number,
): Uint8Array | undefined {
  const bytes = parseHex(asText(field(object, key)) ?? "")
  return bytes?.length === byteCount ? bytes : undefined
}

/** Gives a field's bytes if it is base64, padded, in the one way to write them. */
export function base64Field(object: JsonObject, key: string): Uint8Array | undefined {
  const text = asText(field(object, key))
  return text === undefined ? undefined : parseBase64(text)
}
