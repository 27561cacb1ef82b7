/**
 * Whole numbers above 0 as texts that have one form each.
 * @module
 */

const COUNT = /^[1-9][0-9]{0,15}$/

/** Reads 1 … 2^53−1 in decimal digits. @returns undefined when the text is something else */
export function parseCountText(text: string): number | undefined {
  const count = Number(text)
  return COUNT.test(text) && Number.isSafeInteger(count) ? count : undefined
}
