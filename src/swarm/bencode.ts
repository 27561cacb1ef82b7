/**
 * Bencoding (BEP 3), canonical and bounded: what {@link parseBencode} takes is exactly what
 * {@link encodeBencode} gives.
 * @module
 */
import { assert } from "../core/errors.ts"
import { SwarmError } from "./errors.ts"

/** Dictionaries are maps; their keys are byte strings, held as Latin-1 text. */
export type BencodeValue =
  | number
  | Uint8Array
  | readonly BencodeValue[]
  | ReadonlyMap<string, BencodeValue>

const DEPTH_MAX = 16
const ITEMS_MAX = 65_536
/** Digits of the largest safe integer. */
const INTEGER_DIGITS_MAX = 16

const MINUS = 0x2d
const COLON = 0x3a
const ZERO = 0x30
const NINE = 0x39
const INTEGER = 0x69
const LIST = 0x6c
const DICTIONARY = 0x64
const END = 0x65

/** Gives a dictionary from pairs; texts become their UTF-8 bytes. */
export function dictionaryOf(
  entries: Readonly<Record<string, BencodeValue | string>>,
): ReadonlyMap<string, BencodeValue> {
  const pairs = Object.entries(entries).map(
    ([key, value]) => [key, typeof value === "string" ? Buffer.from(value) : value] as const,
  )
  return new Map(pairs)
}

/** Encodes a value; dictionary keys are sorted as raw bytes, as BEP 3 demands. */
export function encodeBencode(value: BencodeValue): Uint8Array {
  const parts: Uint8Array[] = []
  append(value, parts)
  return Buffer.concat(parts)
}

function append(value: BencodeValue, parts: Uint8Array[]): void {
  if (typeof value === "number") {
    assert(Number.isSafeInteger(value), `bencode of ${value}`)
    parts.push(Buffer.from(`i${value}e`))
  } else if (value instanceof Uint8Array) {
    parts.push(Buffer.from(`${value.length}:`), value)
  } else if (value instanceof Map) {
    parts.push(Buffer.from("d"))
    // Latin-1 text compares as its bytes do.
    for (const key of [...value.keys()].sort((a, b) => (a < b ? -1 : 1))) {
      const bytes = Buffer.from(key, "latin1")
      parts.push(Buffer.from(`${bytes.length}:`), bytes)
      append(value.get(key), parts)
    }
    parts.push(Buffer.from("e"))
  } else {
    parts.push(Buffer.from("l"))
    for (const item of value as readonly BencodeValue[]) append(item, parts)
    parts.push(Buffer.from("e"))
  }
}

/**
 * Parses bytes from outside that are one bencoded value and nothing else.
 * @throws {@link SwarmError} `BENCODE_INVALID`
 */
export function parseBencode(bytes: Uint8Array): BencodeValue {
  const { value, end } = parseBencodePrefix(bytes)
  if (end !== bytes.length) throw fault(end, "bytes after the value")
  return value
}

/**
 * Parses the bencoded value at the start of bytes; BEP 9 lets a piece of metadata follow it.
 * Byte strings are views into `bytes`.
 * @returns the value, and where it ends
 * @throws {@link SwarmError} `BENCODE_INVALID`
 */
export function parseBencodePrefix(bytes: Uint8Array): { value: BencodeValue; end: number } {
  const reader = new Reader(bytes)
  const value = reader.value(0)
  return { value, end: reader.at }
}

class Reader {
  at = 0
  #items = 0
  readonly #bytes: Uint8Array

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
  }

  value(depth: number): BencodeValue {
    if (depth > DEPTH_MAX) throw fault(this.at, "nested too deeply")
    if (++this.#items > ITEMS_MAX) throw fault(this.at, "too many values")
    const kind = this.#bytes[this.at]
    if (kind === INTEGER) return this.#integer()
    if (kind === LIST) return this.#list(depth)
    if (kind === DICTIONARY) return this.#dictionary(depth)
    return this.#string()
  }

  #integer(): number {
    this.at++
    const value = this.#digits(END, true)
    return value
  }

  #list(depth: number): BencodeValue[] {
    this.at++
    const items: BencodeValue[] = []
    while (!this.#isEnd()) items.push(this.value(depth + 1))
    this.at++
    return items
  }

  #dictionary(depth: number): Map<string, BencodeValue> {
    this.at++
    const entries = new Map<string, BencodeValue>()
    let last: string | undefined
    while (!this.#isEnd()) {
      const key = Buffer.from(this.#string()).toString("latin1")
      // BEP 3: keys are sorted as raw strings; this refuses duplicates too.
      if (last !== undefined && key <= last) throw fault(this.at, "keys out of order")
      last = key
      entries.set(key, this.value(depth + 1))
    }
    this.at++
    return entries
  }

  #string(): Uint8Array {
    const length = this.#digits(COLON, false)
    if (length > this.#bytes.length - this.at) throw fault(this.at, "string past the end")
    const start = this.at
    this.at += length
    return this.#bytes.subarray(start, this.at)
  }

  /** Reads decimal digits up to `stop` and steps over it. */
  #digits(stop: number, isSigned: boolean): number {
    const start = this.at
    let at = start
    if (isSigned && this.#bytes[at] === MINUS) at++
    const first = at
    while (at - first <= INTEGER_DIGITS_MAX && isDigit(this.#bytes[at])) at++
    const text = Buffer.from(this.#bytes.subarray(start, at)).toString("latin1")
    const value = Number(text)
    // No digits, a leading zero, minus zero, or a number that doubles cannot hold.
    const isCanonical = at > first && String(value) === text && Number.isSafeInteger(value)
    if (!isCanonical || this.#bytes[at] !== stop) throw fault(start, "not a number")
    this.at = at + 1
    return value
  }

  #isEnd(): boolean {
    if (this.at >= this.#bytes.length) throw fault(this.at, "ends too early")
    return this.#bytes[this.at] === END
  }
}

function isDigit(byte: number | undefined): boolean {
  return byte !== undefined && byte >= ZERO && byte <= NINE
}

function fault(at: number, what: string): SwarmError {
  return new SwarmError("BENCODE_INVALID", `bencoding, byte ${at}: ${what}`)
}
