/**
 * Translates what HTTP says into an origin's faults.
 * @module
 */
import type { Clock } from "../../core/clock.ts"
import { codeOf, messageOf } from "../../core/errors.ts"
import { OriginError, type OriginErrorCode } from "../../delivery/errors.ts"

/** Longest pause that an upstream's `Retry-After` is passed on for. */
const RETRY_AFTER_SECONDS_MAX = 3_600

const HTTP_DATE = /^[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT$/

/** Gives the fault that a status means. */
export function statusFault(
  registry: string,
  status: number,
  retryAfterSeconds: number | undefined,
): OriginError {
  const message = `${registry} answered ${status}`
  const details: Record<string, unknown> = { registry, status }
  if (retryAfterSeconds !== undefined) details.retryAfterSeconds = retryAfterSeconds
  return new OriginError(codeOfStatus(status), message, { details })
}

function codeOfStatus(status: number): OriginErrorCode {
  if (status === 401 || status === 403) return "ORIGIN_DENIED"
  if (status === 404) return "ORIGIN_NOT_FOUND"
  if (status === 429) return "ORIGIN_BUSY"
  return "ORIGIN_UNAVAILABLE"
}

/** Reads `Retry-After` (RFC 9110 §10.2.3): seconds or a date. Gives seconds, bounded. */
export function parseRetryAfter(header: string | undefined, clock: Clock): number | undefined {
  if (header === undefined) return undefined
  const text = header.trim()
  // Of the forms of a date only the one that is still sent; Date.parse alone would take any text.
  const dateMs = HTTP_DATE.test(text) ? Date.parse(text) : Number.NaN
  const seconds = /^\d{1,9}$/.test(text) ? Number(text) : Math.ceil((dateMs - clock.now()) / 1000)
  if (!Number.isFinite(seconds)) return undefined
  return Math.min(Math.max(seconds, 0), RETRY_AFTER_SECONDS_MAX)
}

/** Gives the fault that a thrown error means; what already is one stays. */
export function transportFault(registry: string, error: unknown): OriginError {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    if (cause instanceof OriginError) return cause
  }
  const isSlow = /TIMEOUT/.test(codeOf(error) ?? "")
  const code = isSlow ? "ORIGIN_STALLED" : "ORIGIN_UNAVAILABLE"
  const message = `${registry}: ${messageOf(error)}`
  return new OriginError(code, message, { cause: error, details: { registry } })
}
