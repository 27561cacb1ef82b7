/**
 * The HTTP status of errors on the control API, from one exhaustive table of codes.
 * @module
 */
import type { AuditErrorCode } from "../audit/errors.ts"
import { CodedError, type InputErrorCode } from "../core/errors.ts"
import type { DeliveryErrorCode, OriginErrorCode } from "../delivery/errors.ts"
import type { NetErrorCode } from "../net/errors.ts"
import type { RegistryErrorCode } from "../registry/errors.ts"
import type { StoreErrorCode } from "../store/errors.ts"
import type { SwarmErrorCode } from "../swarm/errors.ts"
import type { ApiErrorCode } from "./errors.ts"
import { TRUST_STATUS, type TrustCode } from "./fault-trust.ts"

/** Every code that the control API may answer with. */
export type FaultCode =
  | ApiErrorCode
  | InputErrorCode
  | StoreErrorCode
  | NetErrorCode
  | RegistryErrorCode
  | SwarmErrorCode
  | OriginErrorCode
  | DeliveryErrorCode
  | AuditErrorCode
  | TrustCode

const STATUS: Readonly<Record<FaultCode, number>> = {
  ...TRUST_STATUS,
  REQUEST_INVALID: 400,
  IMAGE_UNKNOWN: 404,
  PLATFORM_UNKNOWN: 404,
  RELEASE_UNKNOWN: 404,
  POLICY_MISMATCH: 403,
  MANIFEST_INVALID: 502,
  PIN_UNKNOWN: 404,
  LOG_ENTRY_UNKNOWN: 404,
  LOG_CORRUPT: 500,
  LOG_CHECKPOINT_INVALID: 500,
  LOG_FULL: 507,
  EVENT_INVALID: 500,
  WITNESS_REQUEST_INVALID: 400,
  WITNESS_LOG_UNKNOWN: 404,
  WITNESS_LOG_UNSIGNED: 403,
  WITNESS_PROOF_WRONG: 409,
  WITNESS_FULL: 507,
  WITNESS_RECORD_INVALID: 500,
  WITNESS_ANSWER_INVALID: 502,
  LOG_BEHIND_WITNESS: 409,
  WITNESSES_MISSING: 404,
  COSIGNATURES_MISSING: 503,
  TORRENT_UNAVAILABLE: 504,
  INTERNAL: 500,
  DIGEST_INVALID: 400,
  REFERENCE_INVALID: 400,
  JSON_INVALID: 400,
  STORE_LOCKED: 500,
  STORE_READ_ONLY: 507,
  DISK_FULL: 507,
  QUOTA_EXCEEDED: 507,
  DIGEST_MISMATCH: 502,
  SIZE_CONFLICT: 409,
  SIZE_EXCEEDED: 413,
  BLOB_COMPLETE: 409,
  BLOB_CORRUPT: 502,
  BLOB_IN_USE: 409,
  PIECE_MISSING: 404,
  STORE_CLOSED: 503,
  ADDRESS_IN_USE: 500,
  ADDRESS_INVALID: 400,
  IDENTITY_INVALID: 500,
  PEER_UNREACHABLE: 502,
  PEER_BANNED: 403,
  REQUEST_REFUSED: 502,
  PROTOCOL_VIOLATION: 502,
  TICKET_INVALID: 502,
  INVITE_REFUSED: 403,
  RELAY_REFUSED: 502,
  PUNCH_FAILED: 502,
  NETWORK_STOPPED: 503,
  NAME_INVALID: 400,
  NAME_UNKNOWN: 404,
  MANIFEST_UNKNOWN: 404,
  MANIFEST_TOO_LARGE: 502,
  MANIFEST_BLOB_UNKNOWN: 404,
  BLOB_NOT_FOUND: 404,
  UPLOAD_UNKNOWN: 404,
  UPLOAD_BUSY: 409,
  UPLOAD_OUT_OF_ORDER: 416,
  UPLOADS_EXHAUSTED: 503,
  SIZE_INVALID: 400,
  NAME_READ_ONLY: 405,
  ROUTE_UNKNOWN: 404,
  HOST_FOREIGN: 421,
  PAGE_FOREIGN: 403,
  WRITE_REMOTE: 403,
  PUSH_FORBIDDEN: 403,
  TOKEN_REQUIRED: 401,
  BENCODE_INVALID: 502,
  METAINFO_INVALID: 400,
  HOLDINGS_INVALID: 502,
  ZONE_INVALID: 502,
  TORRENT_UNKNOWN: 404,
  SWARM_STOPPED: 503,
  PUBLIC_REFUSED: 403,
  PUBLIC_PORT_IN_USE: 409,
  TRACKER_FAILED: 502,
  RTC_FAILED: 502,
  WEB_SEED_FAILED: 502,
  ORIGIN_NOT_FOUND: 404,
  ORIGIN_DENIED: 403,
  ORIGIN_BUSY: 503,
  ORIGIN_UNAVAILABLE: 502,
  ORIGIN_STALLED: 504,
  ORIGIN_CORRUPT: 502,
  ORIGIN_FORBIDDEN: 403,
  BLOB_UNKNOWN: 404,
  BLOB_UNAVAILABLE: 502,
  LINK_METERED: 503,
  RANGE_INVALID: 416,
  BLOB_MISMATCH: 502,
  DELIVERY_STOPPED: 503,
  FETCH_MESSAGE_INVALID: 502,
}

/** Gives the HTTP status of an error; 500 for one that has no code of ours. */
export function statusOf(error: unknown): number {
  if (!(error instanceof CodedError)) return 500
  return Object.hasOwn(STATUS, error.code) ? STATUS[error.code as FaultCode] : 500
}
