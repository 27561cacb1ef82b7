/**
 * What can go wrong with a node's log, and with its witnesses (protocol/audit-log.md §6,
 * protocol/witness.md §6).
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
  /** What a witness is asked has not its form, or is older than what it goes on from. */
  | "WITNESS_REQUEST_INVALID"
  /** Not a witness, or none of this log, or not for this asker: one answer for all. */
  | "WITNESS_LOG_UNKNOWN"
  /** The key of the log has not signed the checkpoint. */
  | "WITNESS_LOG_UNSIGNED"
  /** The checkpoint does not go on from the one that was cosigned last: a fork. */
  | "WITNESS_PROOF_WRONG"
  /** A witness remembers as many logs as it may, and this is not among them. */
  | "WITNESS_FULL"
  /** What a witness remembers of a log cannot be read: it cosigns nothing more of it. */
  | "WITNESS_RECORD_INVALID"
  /** What a witness answers has not its form, or is not signed by who it must be. */
  | "WITNESS_ANSWER_INVALID"
  /** A witness has cosigned more of this log than there is here: it was restored, or cut off. */
  | "LOG_BEHIND_WITNESS"
  /** The fleet names no witnesses. */
  | "WITNESSES_MISSING"
  /** Fewer witnesses have cosigned than must. */
  | "COSIGNATURES_MISSING"

export class AuditError extends CodedError<AuditErrorCode> {}

/** The error of a fleet whose newest list names no witnesses, or whose list is refused. */
export function noWitnesses(): AuditError {
  const message =
    'the fleet names no witnesses that count here; "sealift fleet witness set" names them'
  return new AuditError("WITNESSES_MISSING", message)
}
