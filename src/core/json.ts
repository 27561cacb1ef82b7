/**
 * JSON from outside: bounded in size and depth, without duplicate keys (RFC 8259 §4 leaves those open).
 * @module
 */
import { InputError } from "./errors.ts"
import { JSON_BYTES_MAX, JSON_DEPTH_MAX } from "./limits.ts"

/** What JSON can say. */
export type JsonValue = null | boolean | number | string | readonly JsonValue[] | JsonObject
export interface JsonObject {
  readonly [key: string]: JsonValue
}

/** Bounds of one document. */
export interface JsonLimits {
  /** Largest document in bytes. */
  readonly bytesMax?: number
  /** Deepest nesting of arrays and objects; a scalar has depth 0. */
  readonly depthMax?: number
  /** Most of the marks `[`, `{` and `,` outside texts: many small values cost far more than bytes. */
  readonly marksMax?: number
  /**
   * Takes only what every reader reads the same way: whole numbers of plain digits within ±(2^53−1),
   * and texts without a lone surrogate.
   */
  readonly isStrict?: boolean
}

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })
const encoder = new TextEncoder()

/**
 * Parses one document.
 *
 * @param bytes - UTF-8 without a byte order mark
 * @throws {@link InputError} `JSON_INVALID` when it is malformed, too large, too deep, holds a key
 * twice in one object, has too many values, or (when asked) is not
 * strict
 */
export function parseJson(bytes: Uint8Array, limits: JsonLimits = {}): JsonValue {
  const bytesMax = limits.bytesMax ?? JSON_BYTES_MAX
  if (bytes.length > bytesMax) throw invalid(`${bytes.length} bytes, at most ${bytesMax}`)
  let text: string
  try {
    text = decoder.decode(bytes)
  } catch (cause) {
    throw invalid("not UTF-8", cause)
  }
  checkText(text, limits)
  try {
    return JSON.parse(text) as JsonValue
  } catch (cause) {
    throw invalid("malformed", cause)
  }
}

/** Deepest nesting of strict JSON. */
const STRICT_DEPTH_MAX = 16
/** Marks `[`, `{` and `,` of strict JSON: an access list of 10,000 nodes has a quarter of them. */
const STRICT_MARKS_MAX = 524_288

/**
 * Parses strict JSON: bytes that every reader reads the same way (protocol/envelope.md §1).
 * @throws {@link InputError} `JSON_INVALID`
 */
export function parseStrictJson(bytes: Uint8Array, bytesMax: number): JsonValue {
  const marksMax = STRICT_MARKS_MAX
  return parseJson(bytes, { bytesMax, depthMax: STRICT_DEPTH_MAX, marksMax, isStrict: true })
}

/** Gives the UTF-8 bytes of a value, without spaces, keys in the order they stand. */
export function encodeJson(value: JsonValue): Uint8Array {
  return encoder.encode(JSON.stringify(value))
}

/** Gives the value if it is an object. */
export function asObject(value: JsonValue | undefined): JsonObject | undefined {
  return isObject(value) ? value : undefined
}

/** Gives the value if it is an array. */
export function asArray(value: JsonValue | undefined): readonly JsonValue[] | undefined {
  return Array.isArray(value) ? value : undefined
}

/** Gives the value if it is a text. */
export function asText(value: JsonValue | undefined): string | undefined {
  return typeof value === "string" ? value : undefined
}

/** Gives the value if it is a whole number from 0 to 2^53−1. */
export function asCount(value: JsonValue | undefined): number | undefined {
  return Number.isSafeInteger(value) && (value as number) >= 0 ? (value as number) : undefined
}

/** Gives an own property; never one that an object has by birth, such as `constructor`. */
export function field(object: JsonObject, key: string): JsonValue | undefined {
  return Object.hasOwn(object, key) ? object[key] : undefined
}

function isObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value)
}

const SKIPPED = /[^"\d[\]{}:,-]+/gy
const MARKS = ["{", "[", ","]
const NUMBER = /-?\d[\d.eE+-]*/gy
const STRICT_NUMBER = /^(?:0|-?[1-9]\d{0,15})$/
/** An escape that may be half of a pair. */
const SURROGATE = /\\u[dD][89a-fA-F]/

/**
 * Checks what `JSON.parse` does not: depth, keys, integers. It walks tokens and may meet any text;
 * whether the text is JSON at all is for `JSON.parse` to say, afterwards.
 */
function checkText(text: string, limits: JsonLimits): void {
  const { depthMax = JSON_DEPTH_MAX, marksMax = Number.POSITIVE_INFINITY, isStrict } = limits
  // One entry per open bracket: the keys of an object so far, or undefined for an array.
  const open: (Set<string> | undefined)[] = []
  let lastText: string | undefined
  let marks = 0
  for (let at = 0; at < text.length; ) {
    SKIPPED.lastIndex = at
    if (SKIPPED.test(text)) {
      at = SKIPPED.lastIndex
      continue
    }
    const token = tokenAt(text, at)
    at += token.length
    if (MARKS.includes(token) && ++marks > marksMax) throw invalid(`more than ${marksMax} values`)
    if (token === ",") continue
    if (token === "{" || token === "[") {
      open.push(token === "{" ? new Set() : undefined)
      if (open.length > depthMax) throw invalid(`deeper than ${depthMax}`)
    } else if (token === "}" || token === "]") open.pop()
    else if (token === ":") addKey(open.at(-1), lastText)
    else if (token.startsWith('"')) {
      lastText = token
      if (isStrict === true) checkWellFormed(token)
    } else if (isStrict === true) checkNumber(token)
  }
}

/** Gives the text, number or mark that begins at a character. */
function tokenAt(text: string, start: number): string {
  const first = text.charAt(start)
  if (first === '"') return text.slice(start, endOfText(text, start))
  if ("[]{}:,".includes(first)) return first
  NUMBER.lastIndex = start
  const number = NUMBER.exec(text)?.[0]
  if (number === undefined) throw invalid(`malformed at character ${start}`)
  return number
}

/** Finds the quote that ends a text: the next one that an even number of backslashes precedes. */
function endOfText(text: string, start: number): number {
  for (let quote = start; ; ) {
    quote = text.indexOf('"', quote + 1)
    if (quote < 0) throw invalid("malformed: a text without an end")
    let before = quote - 1
    while (text.charAt(before) === "\\") before--
    if ((quote - before) % 2 === 1) return quote + 1
  }
}

function addKey(keys: Set<string> | undefined, token: string | undefined): void {
  if (keys === undefined || token === undefined) throw invalid("malformed: stray colon")
  let key: string
  try {
    // Escapes count as what they mean: "a" and "\u0061" are one key.
    key = JSON.parse(token) as string
  } catch (cause) {
    throw invalid("malformed key", cause)
  }
  if (keys.has(key)) throw invalid(`key ${JSON.stringify(key.slice(0, 80))} stands twice`)
  keys.add(key)
}

function checkNumber(token: string): void {
  if (STRICT_NUMBER.test(token) && Number.isSafeInteger(Number(token))) return
  throw invalid(`number ${token.slice(0, 40)} is no exact whole number`)
}

/** An escape may name half of a character: one reader keeps it, another has no bytes for it. */
function checkWellFormed(token: string): void {
  if (!SURROGATE.test(token)) return
  let text: string
  try {
    text = JSON.parse(token) as string
  } catch (cause) {
    throw invalid("malformed text", cause)
  }
  if (!text.isWellFormed()) throw invalid("half a surrogate pair")
}

function invalid(reason: string, cause?: unknown): InputError {
  return new InputError("JSON_INVALID", `JSON refused: ${reason}`, { cause })
}
