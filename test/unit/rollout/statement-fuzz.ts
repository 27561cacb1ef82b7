/** Attacks on statements: every byte flipped, every field another value, every cut. */
import fc from "fast-check"
import { expect } from "vitest"
import type { JsonObject, JsonValue } from "../../../src/core/json.ts"
import type { StatementDraft } from "../../../src/trust/statement.ts"
import { outcomeOf } from "../trust/vectors.ts"

/** Codes of what is no envelope, or not signed by whom it should be. */
export const REFUSED_AS_STATEMENT: readonly string[] = [
  ...["ENVELOPE_MALFORMED", "ENVELOPE_TOO_LARGE", "SIGNATURE_MISSING", "SIGNATURE_WRONG"],
  ...["STATEMENT_MALFORMED", "KIND_WRONG", "FLEET_WRONG", "CRITICAL_UNKNOWN", "KEY_MALFORMED"],
  ...["KEY_WEAK", "PAYLOAD_TYPE_WRONG"],
]

/** Flips a bit of each byte in turn: the reader refuses it, or reads what it was before. */
export function verifyFlips<T>(
  file: Uint8Array,
  read: (bytes: Uint8Array) => T,
): readonly string[] {
  const whole = read(file)
  const codes = new Set<string>()
  for (let at = 0; at < file.length; at++) {
    const flipped = Uint8Array.from(file)
    flipped[at]! ^= 1 << (at % 8)
    const { code, value } = outcomeOf(() => read(flipped))
    // Such as a key id, which is a hint and is not signed.
    if (code === "ok") expect(value).toEqual(whole)
    else codes.add(code)
  }
  return [...codes].sort()
}

/** Cuts it off after each byte. */
export function cutCodes(
  file: Uint8Array,
  read: (bytes: Uint8Array) => unknown,
): readonly string[] {
  const codes = new Set<string>()
  for (let end = 0; end < file.length; end += 7) {
    codes.add(outcomeOf(() => read(file.slice(0, end))).code)
  }
  return [...codes].sort()
}

/** Any value that statements may have. */
export const anyValue: fc.Arbitrary<JsonValue> = fc.oneof(
  ...[fc.constant(null), fc.boolean(), fc.maxSafeInteger(), fc.nat(3), fc.string()],
  ...[fc.array(fc.string(), { maxLength: 2 }), fc.constant({}), fc.constant([{}])],
  fc.constantFrom<JsonValue>("__proto__", "\u202e", "a\nb", "\ud800", 2 ** 53 - 1, -1),
)

/** A draft of which one field, at any depth, is another value or is gone. */
export function anyDamage<K extends string>(
  draft: StatementDraft<K>,
): fc.Arbitrary<StatementDraft<K>> {
  const paths = fc.constantFrom(...pathsOf(draft.predicate))
  return fc.tuple(paths, fc.option(anyValue, { nil: undefined })).map(([path, value]) => ({
    ...draft,
    predicate: replaced(draft.predicate, path, value) as JsonObject,
  }))
}

function pathsOf(value: JsonValue, path: readonly string[] = []): readonly string[][] {
  if (typeof value !== "object" || value === null) return []
  return Object.entries(value).flatMap(([key, inner]) => {
    const here = [...path, key]
    return [here, ...pathsOf(inner as JsonValue, here)]
  })
}

function replaced(
  value: JsonValue,
  [key, ...rest]: readonly string[],
  by: JsonValue | undefined,
): JsonValue {
  const copy = structuredClone(value) as Record<string, JsonValue>
  if (rest.length > 0) copy[key!] = replaced(copy[key!]!, rest, by)
  else if (by === undefined) delete copy[key!]
  else copy[key!] = by
  return copy
}
