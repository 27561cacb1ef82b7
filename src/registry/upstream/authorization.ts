/**
 * Proving who asks, as registries want it: basic authentication (RFC 7617) and the token flow of the
 * Docker registry (distribution, token authentication).
 * @module
 */
import type { Clock } from "../../core/clock.ts"
import { asCount, asObject, asText, field, parseJson } from "../../core/json.ts"
import { OriginError } from "../../delivery/errors.ts"
import type { Challenge } from "./challenge.ts"
import type { Endpoint } from "./endpoint.ts"

/** What a request carries. */
export interface Authorization {
  readonly header: string
  /** True when credentials of the configuration stand behind it; false for an anonymous token. */
  readonly usesCredentials: boolean
}

/** Fetches the answer of a token server; at most {@link TOKEN_ANSWER_BYTES_MAX} bytes. */
export type AskTokenServer = (
  realm: URL,
  headers: Readonly<Record<string, string>>,
) => Promise<Uint8Array>

export const TOKEN_ANSWER_BYTES_MAX: number = 64 * 1024
const TOKEN_CHARS_MAX = 32 * 1024
const CACHE_ENTRIES_MAX = 1_024
/** The token specification's life of a token that tells none. */
const TOKEN_LIFE_SECONDS = 60
const TOKEN_LIFE_SECONDS_MAX = 3_600
/** A token is not used in the last part of its life, so that it does not expire on its way. */
const USED_LIFE_SHARE = 0.9

interface Entry {
  readonly authorization: Authorization
  readonly untilMs: number
}

/** Remembers what was granted, per repository, until it expires. */
export class Authorizations {
  readonly #clock: Clock
  readonly #entries = new Map<string, Entry>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Gives what to send with a first request; undefined: nothing is known yet. */
  current(endpoint: Endpoint, repository: string): Authorization | undefined {
    const { credentials } = endpoint
    if (credentials !== undefined && "token" in credentials) {
      return { header: `Bearer ${credentials.token}`, usesCredentials: true }
    }
    const entry = this.#entries.get(keyOf(endpoint, repository))
    return entry !== undefined && entry.untilMs > this.#clock.monotonicMs()
      ? entry.authorization
      : undefined
  }

  /**
   * Answers the challenges of a 401.
   * @returns undefined when nothing can be answered
   * @throws OriginError what the token server's failure means
   */
  async answer(
    endpoint: Endpoint,
    repository: string,
    { challenges, ask }: { challenges: readonly Challenge[]; ask: AskTokenServer },
  ): Promise<Authorization | undefined> {
    const { credentials } = endpoint
    if (credentials !== undefined && "token" in credentials) return undefined
    const basic = credentials === undefined ? undefined : basicHeader(credentials)
    const bearer = challenges.find(({ scheme }) => scheme === "bearer")
    if (bearer !== undefined) {
      const realm = tokenRealm(bearer, repository)
      const answer = await ask(realm, basic === undefined ? {} : { authorization: basic })
      const { token, lifeMs } = parseToken(endpoint.registry, answer)
      const granted = { header: `Bearer ${token}`, usesCredentials: basic !== undefined }
      this.#remember(keyOf(endpoint, repository), granted, lifeMs)
      return granted
    }
    if (basic === undefined || !challenges.some(({ scheme }) => scheme === "basic"))
      return undefined
    const granted = { header: basic, usesCredentials: true }
    this.#remember(keyOf(endpoint, repository), granted, TOKEN_LIFE_SECONDS_MAX * 1000)
    return granted
  }

  /** Forgets what was refused. */
  forget(endpoint: Endpoint, repository: string): void {
    this.#entries.delete(keyOf(endpoint, repository))
  }

  #remember(key: string, authorization: Authorization, lifeMs: number): void {
    this.#entries.delete(key)
    this.#entries.set(key, { authorization, untilMs: this.#clock.monotonicMs() + lifeMs })
    const oldest = this.#entries.keys().next()
    if (this.#entries.size > CACHE_ENTRIES_MAX && oldest.done !== true) {
      this.#entries.delete(oldest.value)
    }
  }
}

const keyOf = (endpoint: Endpoint, repository: string): string =>
  `${endpoint.registry} ${repository}`

function basicHeader(credentials: { username: string; password: string }): string {
  const text = `${credentials.username}:${credentials.password}`
  return `Basic ${Buffer.from(text, "utf8").toString("base64")}`
}

function tokenRealm(challenge: Challenge, repository: string): URL {
  const realm = challenge.parameters.get("realm") ?? ""
  if (!URL.canParse(realm)) {
    throw new OriginError("ORIGIN_UNAVAILABLE", "the registry names no usable token server")
  }
  const url = new URL(realm)
  const service = challenge.parameters.get("service")
  if (service !== undefined) url.searchParams.set("service", service)
  const scope = challenge.parameters.get("scope") ?? `repository:${repository}:pull`
  // Several scopes may stand in one text, separated by spaces.
  for (const part of scope.split(" ").slice(0, 8)) url.searchParams.append("scope", part)
  return url
}

function parseToken(registry: string, answer: Uint8Array): { token: string; lifeMs: number } {
  const body = asObject(parseJson(answer, { bytesMax: TOKEN_ANSWER_BYTES_MAX }))
  const token =
    body && (asText(field(body, "token")) ?? asText(field(body, "access_token")) ?? undefined)
  if (!body || token === undefined || token.length > TOKEN_CHARS_MAX || !/^[!-~]+$/.test(token)) {
    throw new OriginError("ORIGIN_UNAVAILABLE", `the token server of ${registry} gave no token`)
  }
  const told = asCount(field(body, "expires_in")) ?? TOKEN_LIFE_SECONDS
  const seconds = Math.min(told, TOKEN_LIFE_SECONDS_MAX) * USED_LIFE_SHARE
  return { token, lifeMs: seconds * 1000 }
}
