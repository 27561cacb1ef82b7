/**
 * Text of others that is shown to people.
 * @module
 */

/** What a terminal would obey, or not show, or that would begin another line. */
export const NOT_SHOWN: RegExp = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu
