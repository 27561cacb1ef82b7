/**
 * The port to the log. `pino` stands behind it in a node; it is passed in, never global.
 * @module
 */

/** Values of one log line, beside its message. */
export type LogFields = Record<string, unknown>

/** A structured log. No secret and no credential is ever a field. */
export interface Logger {
  debug(fields: LogFields, message: string): void
  info(fields: LogFields, message: string): void
  warn(fields: LogFields, message: string): void
  error(fields: LogFields, message: string): void
  /** Gives a log whose lines all carry these fields. */
  child(fields: LogFields): Logger
}

/** A log that keeps nothing. */
export const silentLogger: Logger = {
  debug: () => {},
  info: () => {},
  warn: () => {},
  error: () => {},
  child: () => silentLogger,
}
