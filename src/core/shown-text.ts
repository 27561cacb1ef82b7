/**
 * Text of others that is shown to people.
 * @module
 */

/** What a terminal would obey, or not show, or that would begin another line. */
export const NOT_SHOWN: RegExp = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu

/** Puts a question mark in the place of each such character. */
export function shownLine(text: string): string {
  return text.replace(NOT_SHOWN, "?")
}
