/**
 * The request to an elected fetcher and its answer (protocol/origin-election.md, Format).
 * @module
 */
import { type Digest, isDigest } from "../core/digest.ts"
import {
  asCount,
  asObject,
  asText,
  encodeJson,
  field,
  type JsonObject,
  parseJson,
} from "../core/json.ts"
import { BLOB_BYTES_MAX } from "../core/limits.ts"
import { isRepository } from "../core/reference.ts"
import { segmentCount } from "./election.ts"
import { DeliveryError, type OriginErrorCode } from "./errors.ts"
import type { OriginRef } from "./origin.ts"

/** Where an elected fetcher is asked. */
export const FETCH_PROTOCOL = "/sealift/origin-fetch/1"

const MESSAGE_LIMITS = { bytesMax: 4_096, depthMax: 1 }
const REGISTRY = /^[\x21-\x2e\x30-\x7e]{1,255}$/
const RETRY_AFTER_SECONDS_MAX = 86_400

/** Asks a peer about a segment that its own origin has. */
export interface FetchRequest {
  readonly digest: Digest
  readonly sizeBytes: number | undefined
  readonly ref: OriginRef
  readonly segment: number
  readonly intent: FetchIntent
}

/** What the asker wants to know or have. */
export type FetchIntent =
  /** Bring the segment. */
  | "fetch"
  /** The asker is about to read it: does somebody already? Nothing begins by this. */
  | "begin"
  /** The asker reads it: does somebody above the asker read it too? Nothing begins by this. */
  | "yield"

const INTENTS: readonly FetchIntent[] = ["fetch", "begin", "yield"]

/** Why a fetcher does not fetch. */
export type RefusalCode =
  | OriginErrorCode
  /** It fetches as much for others as it may. */
  | "FETCHER_BUSY"
  /** The origin wants credentials there: each node that has some fetches for itself. */
  | "CONTENT_PRIVATE"
  /** The answer to `begin` and `yield`: nobody that counts fetches that. */
  | "NOT_FETCHING"

const REFUSAL_CODES: ReadonlySet<string> = new Set<RefusalCode>([
  "ORIGIN_NOT_FOUND",
  "ORIGIN_DENIED",
  "ORIGIN_BUSY",
  "ORIGIN_UNAVAILABLE",
  "ORIGIN_STALLED",
  "ORIGIN_CORRUPT",
  "ORIGIN_FORBIDDEN",
  "FETCHER_BUSY",
  "CONTENT_PRIVATE",
  "NOT_FETCHING",
])

/** What an elected fetcher says. */
export type FetchAnswer =
  /** It brings the segment in. `doneBytes`: how much of the blob it has; grows while it works. */
  | { readonly kind: "fetching"; readonly sizeBytes: number; readonly doneBytes: number }
  /** It has all of the segment. */
  | { readonly kind: "have"; readonly sizeBytes: number }
  | {
      readonly kind: "refused"
      readonly code: RefusalCode
      readonly retryAfterSeconds: number | undefined
    }

export function encodeFetchRequest(request: FetchRequest): Uint8Array {
  const { digest, sizeBytes, ref, segment, intent } = request
  return encodeJson({
    digest,
    ...(sizeBytes === undefined ? {} : { size: sizeBytes }),
    registry: ref.registry,
    repository: ref.repository,
    segment,
    intent,
  })
}

/**
 * Reads a request from a peer.
 * @throws InputError `JSON_INVALID`, {@link DeliveryError} `FETCH_MESSAGE_INVALID`
 */
export function parseFetchRequest(
  bytes: Uint8Array,
  segmentBytes?: number | undefined,
): FetchRequest {
  const object = messageOf(bytes)
  const digest = asText(field(object, "digest")) ?? ""
  if (!isDigest(digest)) throw invalid("digest")
  const registry = asText(field(object, "registry")) ?? ""
  if (!REGISTRY.test(registry)) throw invalid("registry")
  const repository = asText(field(object, "repository")) ?? ""
  if (!isRepository(repository)) throw invalid("repository")
  const intent = INTENTS.find((known) => known === field(object, "intent"))
  if (intent === undefined) throw invalid("intent")
  const hasSize = field(object, "size") !== undefined
  const sizeBytes = hasSize ? sizeOf(object) : undefined
  const segment = asCount(field(object, "segment"))
  // Without the size nobody knows how long segments are.
  const count = sizeBytes === undefined ? 1 : segmentCount(sizeBytes, segmentBytes)
  if (segment === undefined || segment >= count) throw invalid("segment")
  return { digest, sizeBytes, ref: { registry, repository }, segment, intent }
}

export function encodeFetchAnswer(answer: FetchAnswer): Uint8Array {
  switch (answer.kind) {
    case "fetching":
      return encodeJson({ kind: "fetching", size: answer.sizeBytes, done: answer.doneBytes })
    case "have":
      return encodeJson({ kind: "have", size: answer.sizeBytes })
    case "refused": {
      const retry = answer.retryAfterSeconds
      const rest = retry === undefined ? {} : { retryAfter: retry }
      return encodeJson({ kind: "refused", code: answer.code, ...rest })
    }
  }
}

/**
 * Reads a fetcher's answer.
 * @throws InputError `JSON_INVALID`, {@link DeliveryError} `FETCH_MESSAGE_INVALID`
 */
export function parseFetchAnswer(bytes: Uint8Array): FetchAnswer {
  const object = messageOf(bytes)
  switch (field(object, "kind")) {
    case "fetching": {
      const doneBytes = asCount(field(object, "done"))
      const sizeBytes = sizeOf(object)
      if (doneBytes === undefined || doneBytes > sizeBytes) throw invalid("done")
      return { kind: "fetching", sizeBytes, doneBytes }
    }
    case "have":
      return { kind: "have", sizeBytes: sizeOf(object) }
    case "refused":
      return refusalOf(object)
    default:
      throw invalid("kind")
  }
}

function refusalOf(object: JsonObject): FetchAnswer {
  const code = asText(field(object, "code")) ?? ""
  if (!isRefusalCode(code)) throw invalid("code")
  const retry = asCount(field(object, "retryAfter"))
  if (field(object, "retryAfter") !== undefined && retry === undefined) throw invalid("retryAfter")
  const isBounded = retry === undefined || retry <= RETRY_AFTER_SECONDS_MAX
  return {
    kind: "refused",
    code,
    retryAfterSeconds: isBounded ? retry : RETRY_AFTER_SECONDS_MAX,
  }
}

function messageOf(bytes: Uint8Array): JsonObject {
  const object = asObject(parseJson(bytes, MESSAGE_LIMITS))
  if (object === undefined) throw invalid("message")
  return object
}

function sizeOf(object: JsonObject): number {
  const size = asCount(field(object, "size"))
  if (size === undefined || size > BLOB_BYTES_MAX) throw invalid("size")
  return size
}

function isRefusalCode(code: string): code is RefusalCode {
  return REFUSAL_CODES.has(code)
}

function invalid(name: string): DeliveryError {
  return new DeliveryError("FETCH_MESSAGE_INVALID", `"${name}" is missing or not as it must be`)
}
