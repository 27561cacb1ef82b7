/**
 * What can go wrong on the command line itself, beside what the node reports.
 * @module
 */
import { CodedError } from "../core/errors.ts"

/** Codes of the command line. */
export type CliErrorCode =
  /** An unknown command or option, a missing argument, a bad value. */
  | "USAGE_INVALID"
  /** No node runs on the data directory. */
  | "NODE_NOT_RUNNING"
  /** The node went away in the middle of an answer, or answered nonsense. */
  | "NODE_GONE"
  /** The user pressed Ctrl-C. */
  | "INTERRUPTED"
  /** The place to write to exists already. */
  | "OUTPUT_EXISTS"
  /** The place to write to cannot be written. */
  | "OUTPUT_UNWRITABLE"
  /** Bytes from the node have another digest than they should. */
  | "OUTPUT_CORRUPT"
  /** `store verify` found blobs whose bytes are wrong. */
  | "STORE_CORRUPT"
  /** `verify` found a rule that is not met, or wrong bytes. */
  | "VERIFY_FAILED"
  /** A program that should sign could not be run, or gave no signature. */
  | "SIGNER_FAILED"
  /** A benchmark did not come to its end. */
  | "BENCH_FAILED"
  /** A client's configuration file cannot be read or changed. */
  | "SETUP_FAILED"

export class CliError extends CodedError<CliErrorCode> {}
