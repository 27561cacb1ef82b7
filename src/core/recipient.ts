/**
 * age recipients by their form (C2SP age.md). Whether a checksum holds is for who seals to one.
 * @module
 */

/** Longest recipient in characters (protocol/policy.md §4). */
export const RECIPIENT_CHARACTERS_MAX = 4_096
const RECIPIENT = /^age1[a-z0-9]+$/
/** ML-KEM-768 with X25519, or with P-256 in a hardware key. */
const POST_QUANTUM = /^age1(?:tag)?pq1[a-z0-9]/

/** Tells whether a text has the form of a recipient. */
export function isRecipientText(text: string): boolean {
  return text.length <= RECIPIENT_CHARACTERS_MAX && RECIPIENT.test(text)
}

/** Tells whether what is sealed to a recipient withstands a quantum computer. */
export function isPostQuantum(recipient: string): boolean {
  return POST_QUANTUM.test(recipient)
}
