/**
 * Parts of a share for a holder of whom t of m devices are asked: Shamir's scheme
 * (protocol/key-schedule.md §4).
 *
 * A part is 32 bytes of values and then its place, one byte that is not 0. The package writes its
 * parts this way; a vector of another implementation pins it.
 * @module
 */
import { combine, split } from "shamir-secret-sharing"
import { assert } from "../core/errors.ts"
import { erase, isSame, SHARE_BYTES } from "./release-key.ts"

/** Length of a part in bytes. */
export const PART_BYTES: number = SHARE_BYTES + 1

/**
 * Splits a share so that any `threshold` of the parts give it back, and fewer say nothing of it.
 * Polynomials and places are from the system's random source.
 * @param numbers - 2 ≤ threshold ≤ count ≤ 16
 */
export async function splitShare(
  share: Uint8Array,
  { threshold, count }: { readonly threshold: number; readonly count: number },
): Promise<readonly Uint8Array[]> {
  assert(share.length === SHARE_BYTES, "a share has 32 bytes")
  // The package takes no subclass of Uint8Array, and Node's random bytes are one.
  const plain = new Uint8Array(share)
  const parts = await split(plain, count, threshold)
  erase([plain])
  await checkParts(parts, { share, threshold })
  return parts
}

/** Gives the place of a part: 1 … 255; 0 would be the secret itself. */
export function placeOf(part: Uint8Array): number {
  return part.at(-1) ?? 0
}

/** Tells what makes parts unfit to be combined; undefined: nothing. */
export function faultOfParts(parts: readonly Uint8Array[]): string | undefined {
  if (parts.length < 2) return `${parts.length} parts`
  if (parts.some((part) => part.length !== PART_BYTES)) return "a part of another length"
  const places = new Set(parts.map(placeOf))
  if (places.has(0)) return "a part at place 0"
  return places.size < parts.length ? "two parts at one place" : undefined
}

/**
 * Combines parts. The scheme checks nothing: too few, or a wrong one, give a wrong share without a
 * word, so the result counts only once its commitment was checked.
 * @param parts - as many as the threshold says, fit to be combined
 */
export async function combineParts(parts: readonly Uint8Array[]): Promise<Uint8Array> {
  const fault = faultOfParts(parts)
  assert(fault === undefined, `parts can be combined: ${fault}`)
  const plain = parts.map((part) => new Uint8Array(part))
  const share = await combine(plain)
  erase(plain)
  return share
}

/**
 * Asserts what a release must be able to rely on for good: with all parts but the last of a
 * threshold fixed, each further part gives the share, so all lie on the same polynomials.
 */
async function checkParts(
  parts: readonly Uint8Array[],
  { share, threshold }: { readonly share: Uint8Array; readonly threshold: number },
): Promise<void> {
  assert(faultOfParts(parts) === undefined, "the package gives fit parts")
  const fixed = parts.slice(0, threshold - 1)
  for (const part of parts.slice(threshold - 1)) {
    const combined = await combineParts([...fixed, part])
    assert(isSame(combined, share), "the package's parts give the share back")
    erase([combined])
  }
}
