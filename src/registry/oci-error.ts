/**
 * The one table from Sealift's codes to HTTP and OCI (OCI distribution spec 1.1, Error Codes;
 * protocol/registry-profile.md §7).
 * @module
 */
import { CodedError, type InputErrorCode } from "../core/errors.ts"
import type { DeliveryErrorCode, OriginErrorCode } from "../delivery/errors.ts"
import type { NetErrorCode } from "../net/errors.ts"
import type { StoreErrorCode } from "../store/errors.ts"
import type { RegistryErrorCode } from "./errors.ts"

/** Codes of the specification, code-1 to code-14. */
export type OciCode =
  | "BLOB_UNKNOWN"
  | "BLOB_UPLOAD_INVALID"
  | "BLOB_UPLOAD_UNKNOWN"
  | "DIGEST_INVALID"
  | "MANIFEST_BLOB_UNKNOWN"
  | "MANIFEST_INVALID"
  | "MANIFEST_UNKNOWN"
  | "NAME_INVALID"
  | "NAME_UNKNOWN"
  | "SIZE_INVALID"
  | "UNAUTHORIZED"
  | "DENIED"
  | "UNSUPPORTED"
  | "TOOMANYREQUESTS"

/**
 * Codes for what the specification has none; it allows others of capital letters (Error Codes), and
 * Docker's registry uses these.
 */
type OtherCode = "UNAVAILABLE" | "UNKNOWN"

type SealiftCode =
  | RegistryErrorCode
  | DeliveryErrorCode
  | OriginErrorCode
  | StoreErrorCode
  | NetErrorCode
  | InputErrorCode

interface Row {
  readonly status: number
  readonly oci: OciCode | OtherCode
}

const row = (status: number, oci: Row["oci"]): Row => ({ status, oci })

// A fault of ours or of others is 5xx: runtimes go on to their next mirror then.
const ROWS: Readonly<Record<SealiftCode, Row>> = {
  NAME_INVALID: row(400, "NAME_INVALID"),
  NAME_UNKNOWN: row(404, "NAME_UNKNOWN"),
  MANIFEST_UNKNOWN: row(404, "MANIFEST_UNKNOWN"),
  MANIFEST_INVALID: row(400, "MANIFEST_INVALID"),
  MANIFEST_TOO_LARGE: row(413, "MANIFEST_INVALID"),
  MANIFEST_BLOB_UNKNOWN: row(404, "MANIFEST_BLOB_UNKNOWN"),
  BLOB_NOT_FOUND: row(404, "BLOB_UNKNOWN"),
  UPLOAD_UNKNOWN: row(404, "BLOB_UPLOAD_UNKNOWN"),
  UPLOAD_BUSY: row(409, "BLOB_UPLOAD_INVALID"),
  UPLOAD_OUT_OF_ORDER: row(416, "BLOB_UPLOAD_INVALID"),
  UPLOADS_EXHAUSTED: row(503, "TOOMANYREQUESTS"),
  SIZE_INVALID: row(400, "SIZE_INVALID"),
  NAME_READ_ONLY: row(405, "UNSUPPORTED"),
  ROUTE_UNKNOWN: row(404, "UNSUPPORTED"),
  REQUEST_INVALID: row(400, "UNSUPPORTED"),
  HOST_FOREIGN: row(421, "DENIED"),
  PAGE_FOREIGN: row(403, "DENIED"),
  WRITE_REMOTE: row(403, "DENIED"),
  PUSH_FORBIDDEN: row(403, "DENIED"),
  TOKEN_REQUIRED: row(401, "UNAUTHORIZED"),

  BLOB_UNKNOWN: row(404, "BLOB_UNKNOWN"),
  BLOB_UNAVAILABLE: row(503, "UNAVAILABLE"),
  LINK_METERED: row(503, "UNAVAILABLE"),
  RANGE_INVALID: row(416, "SIZE_INVALID"),
  BLOB_MISMATCH: row(502, "UNAVAILABLE"),
  DELIVERY_STOPPED: row(503, "UNAVAILABLE"),
  FETCH_MESSAGE_INVALID: row(502, "UNAVAILABLE"),

  ORIGIN_NOT_FOUND: row(404, "NAME_UNKNOWN"),
  ORIGIN_DENIED: row(403, "DENIED"),
  // A runtime hammers a 429 but goes on to its next mirror after a 503 (protocol page §4).
  ORIGIN_BUSY: row(503, "TOOMANYREQUESTS"),
  ORIGIN_UNAVAILABLE: row(502, "UNAVAILABLE"),
  ORIGIN_STALLED: row(504, "UNAVAILABLE"),
  ORIGIN_CORRUPT: row(502, "UNAVAILABLE"),
  ORIGIN_FORBIDDEN: row(403, "DENIED"),

  STORE_LOCKED: row(503, "UNAVAILABLE"),
  STORE_READ_ONLY: row(507, "UNAVAILABLE"),
  DISK_FULL: row(507, "UNAVAILABLE"),
  QUOTA_EXCEEDED: row(507, "UNAVAILABLE"),
  DIGEST_MISMATCH: row(400, "DIGEST_INVALID"),
  SIZE_CONFLICT: row(502, "UNAVAILABLE"),
  SIZE_EXCEEDED: row(413, "SIZE_INVALID"),
  BLOB_COMPLETE: row(500, "UNKNOWN"),
  BLOB_CORRUPT: row(500, "UNKNOWN"),
  BLOB_IN_USE: row(409, "DENIED"),
  PIECE_MISSING: row(503, "UNAVAILABLE"),
  STORE_CLOSED: row(503, "UNAVAILABLE"),

  ADDRESS_IN_USE: row(500, "UNKNOWN"),
  ADDRESS_INVALID: row(500, "UNKNOWN"),
  IDENTITY_INVALID: row(500, "UNKNOWN"),
  PEER_UNREACHABLE: row(503, "UNAVAILABLE"),
  PEER_BANNED: row(503, "UNAVAILABLE"),
  REQUEST_REFUSED: row(503, "UNAVAILABLE"),
  PROTOCOL_VIOLATION: row(502, "UNAVAILABLE"),
  TICKET_INVALID: row(503, "UNAVAILABLE"),
  RELAY_REFUSED: row(503, "UNAVAILABLE"),
  PUNCH_FAILED: row(503, "UNAVAILABLE"),
  NETWORK_STOPPED: row(503, "UNAVAILABLE"),
  INVITE_REFUSED: row(403, "DENIED"),

  DIGEST_INVALID: row(400, "DIGEST_INVALID"),
  REFERENCE_INVALID: row(400, "NAME_INVALID"),
  JSON_INVALID: row(400, "MANIFEST_INVALID"),
}

/** An answer that reports an error. */
export interface OciAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: Uint8Array
}

/** How long a client is told to wait when the upstream did not say. */
const RETRY_AFTER_SECONDS = 5
const NO_CODE: Row = row(500, "UNKNOWN")

/** Gives the answer that reports an error: `{"errors":[{code, message, detail}]}`. */
export function ociAnswer(error: unknown): OciAnswer {
  const coded = error instanceof CodedError ? error : undefined
  const { status, oci } = coded === undefined ? NO_CODE : rowOf(coded)
  // What has no code is a fault of the program; its message is for the log, not for clients.
  const message = coded?.message ?? "internal error"
  const detail = coded === undefined ? {} : { code: coded.code, ...coded.details }
  const headers: Record<string, string> = { "content-type": "application/json" }
  if (status === 503) headers["retry-after"] = String(retryAfterOf(coded))
  const body = JSON.stringify({ errors: [{ code: oci, message, detail }] })
  return { status, headers, body: Buffer.from(body) }
}

/** Tells whether an error is the program's own fault, to be logged with its stack. */
export function isUncoded(error: unknown): boolean {
  return !(error instanceof CodedError)
}

function rowOf(error: CodedError): Row {
  const { code, details } = error
  const said = details?.status
  if (code === "ORIGIN_DENIED" && said === 401) return row(401, "UNAUTHORIZED")
  // What the upstream said is passed on as it was said.
  if (code === "ORIGIN_UNAVAILABLE" && typeof said === "number" && said >= 500 && said <= 599) {
    return row(said, "UNAVAILABLE")
  }
  return Object.hasOwn(ROWS, code) ? ROWS[code as SealiftCode] : NO_CODE
}

function retryAfterOf(error: CodedError | undefined): number {
  const told = error?.details?.retryAfterSeconds
  return typeof told === "number" ? Math.max(1, told) : RETRY_AFTER_SECONDS
}
