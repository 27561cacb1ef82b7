/**
 * What can go wrong while a node is configured, started and stopped.
 * @module
 */
import { CodedError } from "../core/errors.ts"

/** Codes of the daemon. */
export type DaemonErrorCode =
  /** The configuration has an unknown key or a bad value, or its file cannot be read. */
  | "CONFIG_INVALID"
  /** A password named by `env:` or `file:` cannot be had. */
  | "SECRET_MISSING"
  /** The address of the front door is taken. */
  | "HTTP_ADDRESS_IN_USE"
  /** The address of the front door does not exist here, or may not be used. */
  | "HTTP_ADDRESS_INVALID"
  /** The control socket cannot be made. */
  | "CONTROL_SOCKET_INVALID"

export class DaemonError extends CodedError<DaemonErrorCode> {}
