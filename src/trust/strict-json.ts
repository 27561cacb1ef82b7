/**
 * Strict JSON: bytes that every reader reads the same way (protocol/envelope.md §1).
 * @module
 */
import { messageOf } from "../core/errors.ts"
import { asObject, type JsonObject, type JsonValue, parseJson } from "../core/json.ts"
import { TrustError, type TrustErrorCode } from "./errors.ts"

/** Deepest nesting of arrays and objects. */
const DEPTH_MAX = 16

/**
 * Parses an object.
 * @param fault - the largest size in bytes, and the code of whatever is not such an object
 * @throws {@link TrustError} `fault.code`
 */
export function parseStrictObject(
  bytes: Uint8Array,
  fault: { readonly bytesMax: number; readonly code: TrustErrorCode },
): JsonObject {
  const object = asObject(parseStrict(bytes, fault))
  if (object === undefined) throw new TrustError(fault.code, "JSON that is not an object")
  return object
}

function parseStrict(
  bytes: Uint8Array,
  { bytesMax, code }: { readonly bytesMax: number; readonly code: TrustErrorCode },
): JsonValue {
  try {
    return parseJson(bytes, { bytesMax, depthMax: DEPTH_MAX, refusesUnsafeIntegers: true })
  } catch (cause) {
    throw new TrustError(code, messageOf(cause), { cause })
  }
}
