/**
 * What can go wrong with a node's log (protocol/audit-log.md §6).
 * @module
 */
import { CodedError } from "../core/errors.ts"

/** Codes of the log. */
export type AuditErrorCode =
  /** A checkpoint whose form is wrong. */
  | "LOG_CHECKPOINT_INVALID"
  /** What lies in the log's folder is not what its checkpoint says. */
  | "LOG_CORRUPT"
  /** An entry that the log does not have. */
  | "LOG_ENTRY_UNKNOWN"
  /** The log has used its quota: it takes nothing more. */
  | "LOG_FULL"
  /** What is to be logged is no event, or too large. */
  | "EVENT_INVALID"

export class AuditError extends CodedError<AuditErrorCode> {}
