/**
 * One question to a registry: authentication, redirects by hand, time-outs, faults
 * (protocol/registry-profile.md §5).
 * @module
 */
import { Agent, buildConnector, type Dispatcher, request as send } from "undici"
import type { Clock } from "../../core/clock.ts"
import { OriginError } from "../../delivery/errors.ts"
import {
  forbiddenAddress,
  isAddress,
  isPrivateAddress,
  isPrivateHost,
  type Resolve,
  socketLookup,
} from "./address-guard.ts"
import { type Authorization, Authorizations, TOKEN_ANSWER_BYTES_MAX } from "./authorization.ts"
import { discard, readBody } from "./body.ts"
import { parseChallenges } from "./challenge.ts"
import type { Endpoint } from "./endpoint.ts"
import { parseRetryAfter, statusFault, transportFault } from "./fault.ts"
import { ReadySockets } from "./ready-sockets.ts"

/** What is asked. */
export interface Question {
  readonly method: "GET" | "HEAD"
  /** Path and query below the endpoint's base, `/v2/library/alpine/tags/list`. */
  readonly path: string
  /** Whose rights are needed. */
  readonly repository: string
  readonly headers: Readonly<Record<string, string>>
  readonly signal: AbortSignal
  /** Whether questions for blobs are likely to follow at once. */
  readonly isFirstOfMany?: boolean
}

/** The head of a good answer (2xx). Read the body, or destroy it. */
export interface Answer {
  readonly status: number
  readonly headers: ReadonlyMap<string, string>
  readonly body: Dispatcher.ResponseData["body"]
  readonly usedCredentials: boolean
}

const REDIRECTS_MAX = 5
const SOCKETS_PER_ORIGIN_MAX = 16
/** Blobs that a client asks for at the same time (containerd's own limit). */
const BLOBS_AT_ONCE = 3
const USER_AGENT = "sealift"
/** undici's own timers only back up the clock's, which decide. */
const BACKUP_TIMEOUT_MS = 60_000

type Reply = Dispatcher.ResponseData

/** A client and the connections that it is given. */
interface Line {
  readonly agent: Agent
  readonly sockets: ReadySockets
}

/** Asks registries, over pooled connections. */
export class Exchange {
  readonly #clock: Clock
  readonly #resolve: Resolve
  readonly #authorizations: Authorizations
  readonly #lines = new Map<string, Line>()

  constructor(deps: { clock: Clock; resolve: Resolve }) {
    this.#clock = deps.clock
    this.#resolve = deps.resolve
    this.#authorizations = new Authorizations(deps.clock)
  }

  /**
   * Asks, and waits for the head of the answer.
   * @throws OriginError for anything but 2xx; the signal's reason when it is aborted
   */
  async ask(endpoint: Endpoint, question: Question): Promise<Answer> {
    const late = new AbortController()
    const cancel = this.#clock.after(endpoint.answerMs, () => {
      const message = `${endpoint.registry} did not answer within ${endpoint.answerMs} ms`
      const details = { registry: endpoint.registry }
      late.abort(new OriginError("ORIGIN_STALLED", message, { details }))
    })
    const signal = AbortSignal.any([question.signal, late.signal])
    try {
      return await this.#askWithin(endpoint, { ...question, signal })
    } catch (error) {
      question.signal.throwIfAborted()
      throw transportFault(endpoint.registry, late.signal.aborted ? late.signal.reason : error)
    } finally {
      cancel()
    }
  }

  async close(): Promise<void> {
    const lines = [...this.#lines.values()]
    for (const { sockets } of lines) sockets.close()
    await Promise.all(lines.map(({ agent }) => agent.destroy()))
  }

  async #askWithin(endpoint: Endpoint, question: Question): Promise<Answer> {
    const first = this.#authorizations.current(endpoint, question.repository)
    let reply = await this.#follow(endpoint, question, first)
    let used = first
    if (reply.statusCode === 401) {
      used = await this.#authorize(endpoint, question, reply)
      if (used !== undefined) reply = await this.#follow(endpoint, question, used)
    }
    const headers = headerMap(reply)
    if (reply.statusCode < 200 || reply.statusCode > 299) {
      discard(this.#clock, reply.body)
      if (reply.statusCode === 401) this.#authorizations.forget(endpoint, question.repository)
      const retryAfter = parseRetryAfter(headers.get("retry-after"), this.#clock)
      throw statusFault(endpoint.registry, reply.statusCode, retryAfter)
    }
    // An answer without a body ends as well: until it does, undici listens to the signal, and that keeps
    // the signal, the connection and all that belongs to them.
    if (question.method === "HEAD") discard(this.#clock, reply.body)
    const usedCredentials = used?.usesCredentials === true
    return { status: reply.statusCode, headers, body: reply.body, usedCredentials }
  }

  /** Follows redirects. Credentials go to the endpoint's own origin only. */
  async #follow(
    endpoint: Endpoint,
    question: Question,
    authorization: Authorization | undefined,
  ): Promise<Reply> {
    let url = new URL(`${endpoint.base.href.replace(/\/$/, "")}${question.path}`)
    for (let hop = 0; ; hop++) {
      const isOwn = url.origin === endpoint.base.origin
      const headers: Record<string, string> = { ...question.headers }
      if (isOwn && authorization !== undefined) headers.authorization = authorization.header
      const isFirstOfMany = isOwn && question.isFirstOfMany === true
      const reply = await this.#send(endpoint, url, { ...question, headers, isFirstOfMany })
      const location = headerMap(reply).get("location")
      if (!isRedirect(reply.statusCode) || location === undefined) return reply
      discard(this.#clock, reply.body)
      if (hop === REDIRECTS_MAX) {
        throw new OriginError("ORIGIN_UNAVAILABLE", `${endpoint.registry} redirects in circles`)
      }
      url = redirectTarget(endpoint, location, url)
    }
  }

  async #authorize(
    endpoint: Endpoint,
    question: Question,
    reply: Reply,
  ): Promise<Authorization | undefined> {
    const header = headerMap(reply).get("www-authenticate") ?? ""
    discard(this.#clock, reply.body)
    this.#authorizations.forget(endpoint, question.repository)
    const ask = async (realm: URL, headers: Readonly<Record<string, string>>) => {
      const url = redirectTarget(endpoint, realm.href, endpoint.base)
      const answer = await this.#send(endpoint, url, {
        method: "GET",
        headers,
        signal: question.signal,
      })
      if (answer.statusCode !== 200) {
        discard(this.#clock, answer.body)
        const retryAfter = parseRetryAfter(headerMap(answer).get("retry-after"), this.#clock)
        throw statusFault(`the token server of ${endpoint.registry}`, answer.statusCode, retryAfter)
      }
      return readBody(answer.body, TOKEN_ANSWER_BYTES_MAX)
    }
    const challenges = parseChallenges(header)
    return this.#authorizations.answer(endpoint, question.repository, { challenges, ask })
  }

  async #send(
    endpoint: Endpoint,
    url: URL,
    question: Pick<Question, "method" | "headers" | "signal" | "isFirstOfMany">,
  ): Promise<Reply> {
    const { method, headers, signal, isFirstOfMany = false } = question
    const mayBePrivate = await this.#mayBePrivate(endpoint, url)
    // A literal address is never looked up, so it is checked here; a name at the connection.
    if (!mayBePrivate && isAddress(url.hostname) && isPrivateAddress(url.hostname)) {
      throw forbiddenAddress(url.hostname)
    }
    const { agent, sockets } = this.#line(mayBePrivate, endpoint.connectMs)
    if (isFirstOfMany) sockets.prepare(url, BLOBS_AT_ONCE)
    return send(url, {
      method,
      signal,
      dispatcher: agent,
      // Content-coded bytes would have another digest.
      headers: { "user-agent": USER_AGENT, "accept-encoding": "identity", ...headers },
    })
  }

  /** Private addresses are for configured registries, and for redirects of those that are private. */
  async #mayBePrivate(endpoint: Endpoint, url: URL): Promise<boolean> {
    if (!endpoint.isConfigured) return false
    if (url.host === endpoint.base.host) return true
    return isPrivateHost(endpoint.base.hostname, this.#resolve)
  }

  #line(mayBePrivate: boolean, connectMs: number): Line {
    const key = `${mayBePrivate} ${connectMs}`
    const known = this.#lines.get(key)
    if (known !== undefined) return known
    const lookup = socketLookup(this.#resolve, { mayBePrivate })
    const connector = buildConnector({ timeout: connectMs, lookup, allowH2: false })
    const sockets = new ReadySockets({ clock: this.#clock }, connector)
    const agent = new Agent({
      connections: SOCKETS_PER_ORIGIN_MAX,
      pipelining: 1,
      allowH2: false,
      headersTimeout: BACKUP_TIMEOUT_MS,
      bodyTimeout: BACKUP_TIMEOUT_MS,
      connect: sockets.connect,
    })
    const line = { agent, sockets }
    this.#lines.set(key, line)
    return line
  }
}

function headerMap(reply: Reply): ReadonlyMap<string, string> {
  const entries = Object.entries(reply.headers).map(([name, value]): [string, string] => [
    name.toLowerCase(),
    Array.isArray(value) ? value.join(", ") : (value ?? ""),
  ])
  return new Map(entries)
}

const isRedirect = (status: number): boolean => [301, 302, 303, 307, 308].includes(status)

/** Gives where a redirect or a token server leads, if it may be gone there. */
function redirectTarget(endpoint: Endpoint, location: string, from: URL): URL {
  if (!URL.canParse(location, from.href)) {
    throw new OriginError("ORIGIN_UNAVAILABLE", `${endpoint.registry} names a malformed address`)
  }
  const url = new URL(location, from)
  const isPlain = url.protocol === "http:" && endpoint.base.protocol === "http:"
  const hasUser = url.username !== "" || url.password !== ""
  if ((url.protocol !== "https:" && !isPlain) || hasUser) {
    const message = `${endpoint.registry} leads to ${url.protocol}//${url.host}, which is not allowed`
    throw new OriginError("ORIGIN_FORBIDDEN", message)
  }
  return url
}
