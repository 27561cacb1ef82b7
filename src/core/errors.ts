/**
 * The one error shape of the project: an Error with a stable `code`.
 * @module
 */

/**
 * An operating error: expected, named, and handled by some caller.
 *
 * `code` is stable API: tests assert it, `protocol/` vectors put it in `expect`, and the fronts map
 * it to a status. `message` is for people and may change. `details` holds plain JSON values.
 */
export class CodedError<Code extends string = string> extends Error {
  readonly code: Code
  readonly details: Readonly<Record<string, unknown>> | undefined

  constructor(
    code: Code,
    message: string,
    options?: { cause?: unknown; details?: Record<string, unknown> },
  ) {
    super(message, options?.cause === undefined ? undefined : { cause: options.cause })
    this.name = new.target.name
    this.code = code
    this.details = options?.details
  }
}

/** Codes of faults in outside input that belong to no single room. */
export type InputErrorCode =
  /** A digest that is not `sha256:` and 64 lower-case hex digits. */
  | "DIGEST_INVALID"
  /** A registry, repository, tag or REF outside the OCI grammar. */
  | "REFERENCE_INVALID"
  /** JSON that is malformed, too large, too deep, or holds a duplicate key. */
  | "JSON_INVALID"

/** A fault in outside input, found by `core`. */
export class InputError extends CodedError<InputErrorCode> {}

/** Fails when the program itself is wrong. Never use it on bytes that came from outside. */
export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new TypeError(`assertion failed: ${message}`)
}

/** Ends a `switch` over a closed union: reaching it is a programmer error. */
export function unreachable(value: never): never {
  throw new TypeError(`unreachable: ${String(value)}`)
}

/** Gives the stable code of an error, or undefined when it has none. */
export function codeOf(error: unknown): string | undefined {
  if (typeof error !== "object" || error === null || !("code" in error)) return undefined
  return typeof error.code === "string" ? error.code : undefined
}

/** Gives the message of anything that was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
