/**
 * The `WWW-Authenticate` header (RFC 9110 §11.6.1): which ways of authentication a server offers.
 * @module
 */

/** One offered way. */
export interface Challenge {
  /** Lower case: `bearer`, `basic`. */
  readonly scheme: string
  /** Names in lower case. A `token68` stands under the empty name. */
  readonly parameters: ReadonlyMap<string, string>
}

const HEADER_CHARS_MAX = 8192
const TOKEN = /[!#$%&'*+.^_`|~0-9A-Za-z-]+/y
const TOKEN68 = /[A-Za-z0-9\-._~+/]+=*(?=[ \t]*(?:,|$))/y
const QUOTED = /"((?:[^"\\]|\\.)*)"/y
const EQUALS = /[ \t]*=[ \t]*/y
const SPACES = /[ \t]+/y
const COMMAS = /[ \t]*(?:,[ \t]*)+/y

/** Reads all challenges of a header, in order; none when it is malformed or too long. */
export function parseChallenges(header: string): readonly Challenge[] {
  if (header.length > HEADER_CHARS_MAX) return []
  const reader = new Reader(header.trim())
  const found: Challenge[] = []
  reader.take(COMMAS)
  while (!reader.isAtEnd) {
    const challenge = readChallenge(reader)
    if (challenge === undefined) return []
    found.push(challenge)
    if (reader.take(COMMAS) === undefined && !reader.isAtEnd) return []
  }
  return found
}

function readChallenge(reader: Reader): Challenge | undefined {
  const scheme = reader.take(TOKEN)?.[0]?.toLowerCase()
  if (scheme === undefined) return undefined
  const parameters = new Map<string, string>()
  if (reader.take(SPACES) === undefined) return { scheme, parameters }
  for (let next = readParameter(reader); next !== undefined; next = readParameter(reader)) {
    // RFC 9110 §11.2: a name must stand once only; the first is kept, so that none can be overlaid.
    if (!parameters.has(next.name)) parameters.set(next.name, next.value)
    const beforeComma = reader.at
    // After a comma comes another parameter, or the next challenge: only an equals sign tells.
    if (reader.take(COMMAS) === undefined) break
    if (!reader.sees(TOKEN, EQUALS)) {
      reader.at = beforeComma
      break
    }
  }
  if (parameters.size > 0) return { scheme, parameters }
  const token = reader.take(TOKEN68)?.[0]
  if (token !== undefined) parameters.set("", token)
  return { scheme, parameters }
}

function readParameter(reader: Reader): { name: string; value: string } | undefined {
  const start = reader.at
  const name = reader.take(TOKEN)?.[0]?.toLowerCase()
  if (name !== undefined && reader.take(EQUALS) !== undefined) {
    const quoted = reader.take(QUOTED)?.[1]
    const value = quoted?.replace(/\\(.)/g, "$1") ?? reader.take(TOKEN)?.[0]
    if (value !== undefined) return { name, value }
  }
  reader.at = start
  return undefined
}

/** A place in a text that moves over what it is told to expect. */
class Reader {
  at = 0
  readonly #text: string

  constructor(text: string) {
    this.#text = text
  }

  get isAtEnd(): boolean {
    return this.at >= this.#text.length
  }

  take(pattern: RegExp): RegExpExecArray | undefined {
    pattern.lastIndex = this.at
    const match = pattern.exec(this.#text) ?? undefined
    if (match !== undefined) this.at = pattern.lastIndex
    return match
  }

  sees(...patterns: readonly RegExp[]): boolean {
    const start = this.at
    const isThere = patterns.every((pattern) => this.take(pattern) !== undefined)
    this.at = start
    return isThere
  }
}
