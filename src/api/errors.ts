/**
 * What can go wrong in the control API, beside what the rooms below report.
 * @module
 */
import { CodedError } from "../core/errors.ts"

/** Codes of the control API. */
export type ApiErrorCode =
  /** A request whose path, query or body the API does not have. */
  | "REQUEST_INVALID"
  /** No image of that name and tag, or no manifest of that digest. */
  | "IMAGE_UNKNOWN"
  /** The image has no variant for that platform; `details.platforms` lists those it has. */
  | "PLATFORM_UNKNOWN"
  /** The parties of a publication are not those of the namespace's policy. */
  | "POLICY_MISMATCH"
  /** A manifest that is no image manifest and no index, or breaks their rules. */
  | "MANIFEST_INVALID"
  /** The blob is not here, or not complete, so there is no torrent of it to show. */
  | "TORRENT_UNKNOWN"
  /** No client that has a public torrent, or gives what is missing, was found in time. */
  | "TORRENT_UNAVAILABLE"
  /** No pin of that name. */
  | "PIN_UNKNOWN"
  /** Something failed that has no code of its own; the log says more. */
  | "INTERNAL"

export class ApiError extends CodedError<ApiErrorCode> {}
