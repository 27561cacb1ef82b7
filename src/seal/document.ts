/**
 * The strict JSON that stands inside age files and bags, and its fields (protocol/key-schedule.md §1).
 * @module
 */
import { asObject, asText, encodeJson, field, type JsonObject, parseJson } from "../core/json.ts"

/** Deepest nesting (protocol/envelope.md §1). */
const DEPTH_MAX = 16
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
    const limits = { bytesMax, depthMax: DEPTH_MAX, refusesUnsafeIntegers: true }
    const object = asObject(parseJson(bytes, limits))
    return object !== undefined && field(object, "v") === VERSION ? object : undefined
  } catch {
    return undefined
  }
}

/** Writes bytes as lower-case hex digits: digests and public keys. */
export function encodeHex(bytes: Uint8Array): string {
  return bufferOf(bytes).toString("hex")
}

/** Writes bytes as base64 (RFC 4648 §4, padded). */
export function encodeBase64(bytes: Uint8Array): string {
  return bufferOf(bytes).toString("base64")
}

/** Gives a field's bytes if it is lower-case hex digits of this many bytes. */
export function hexField(
  object: JsonObject,
  key: string,
  byteCount: number,
): Uint8Array | undefined {
  const text = asText(field(object, key)) ?? ""
  const bytes = new Uint8Array(Buffer.from(text, "hex"))
  return bytes.length === byteCount && encodeHex(bytes) === text ? bytes : undefined
}

/** Gives a field's bytes if it is base64, padded, in the one way to write them. */
export function base64Field(object: JsonObject, key: string): Uint8Array | undefined {
  const text = asText(field(object, key))
  if (text === undefined) return undefined
  // Node skips what it does not know, so what was read is written again and must be the same.
  const bytes = new Uint8Array(Buffer.from(text, "base64"))
  return encodeBase64(bytes) === text ? bytes : undefined
}

function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
