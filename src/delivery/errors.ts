/**
 * What can go wrong between a request for bytes and its answer.
 * @module
 */
import { CodedError } from "../core/errors.ts"

/** Codes of an origin's faults. */
export type OriginErrorCode =
  /** The origin says 404: it does not have it. */
  | "ORIGIN_NOT_FOUND"
  /** The origin says 401 or 403. */
  | "ORIGIN_DENIED"
  /** The origin says 429; `details.retryAfterSeconds` if it said so. */
  | "ORIGIN_BUSY"
  /** The origin cannot be reached, or answers 5xx. */
  | "ORIGIN_UNAVAILABLE"
  /** The origin sends nothing for too long. */
  | "ORIGIN_STALLED"
  /** The origin sent bytes with another digest, or too few, or too many. */
  | "ORIGIN_CORRUPT"
  /** This node's configuration does not allow to contact that registry or to follow that redirect. */
  | "ORIGIN_FORBIDDEN"

export class OriginError extends CodedError<OriginErrorCode> {}

/** Codes of delivery. */
export type DeliveryErrorCode =
  /** Neither here, nor at a peer, nor at the origin. */
  | "BLOB_UNKNOWN"
  /** It is known, but nobody gives it now. */
  | "BLOB_UNAVAILABLE"
  /** It could be had, but only over a metered link (docs/guides/limits.md). */
  | "LINK_METERED"
  /** The range lies outside the blob. */
  | "RANGE_INVALID"
  /** All sources together gave bytes with another digest. */
  | "BLOB_MISMATCH"
  /** The node is shutting down. */
  | "DELIVERY_STOPPED"
  /** A peer's request to fetch, or its answer, is not of its form (protocol/origin-election.md). */
  | "FETCH_MESSAGE_INVALID"

export class DeliveryError extends CodedError<DeliveryErrorCode> {}

/** Why what a flight was doing ends with it. One for all: making an error is dear, and nobody sees it. */
export const FLIGHT_OVER: DeliveryError = new DeliveryError(
  "DELIVERY_STOPPED",
  "the flight is over",
)
