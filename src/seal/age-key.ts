/**
 * Whom an age file is for: recipients, and the identities that open (protocol/key-schedule.md §4).
 * @module
 */
import {
  Encrypter,
  generateHybridIdentity,
  generateX25519Identity,
  identityToRecipient,
} from "age-encryption"
import { isPostQuantum, RECIPIENT_CHARACTERS_MAX } from "../core/recipient.ts"
import { SealError } from "./errors.ts"

/** A key pair of age as two texts. */
export interface AgeIdentity {
  /** `AGE-SECRET-KEY-PQ-1…` or `AGE-SECRET-KEY-1…`. */
  readonly secret: string
  /** `age1pq1…` or `age1…`. */
  readonly recipient: string
}

/** What recipients a release takes. */
export interface RecipientRule {
  /** Whether classical ones are refused. */
  readonly isPostQuantum: boolean
}

/** Makes a fresh key pair, post-quantum unless a classical one is asked for. */
export async function newIdentity(
  rule: RecipientRule = { isPostQuantum: true },
): Promise<AgeIdentity> {
  const generate = rule.isPostQuantum ? generateHybridIdentity : generateX25519Identity
  const secret = await generate()
  return { secret, recipient: await identityToRecipient(secret) }
}

/**
 * Gives the key pair of a secret that was kept.
 * @throws {@link SealError} `IDENTITY_INVALID`
 */
export async function identityOf(secret: string): Promise<AgeIdentity> {
  try {
    return { secret, recipient: await identityToRecipient(secret) }
  } catch {
    throw invalidIdentity()
  }
}

/**
 * Checks a recipient that came from outside.
 * @throws {@link SealError} `RECIPIENT_INVALID`, `RECIPIENT_NOT_POST_QUANTUM`
 */
export function verifyRecipient(recipient: string, rule: RecipientRule): void {
  if (recipient.length > RECIPIENT_CHARACTERS_MAX) throw invalidRecipient(recipient)
  try {
    // It decodes the text: its checksum, and the length that belongs to its prefix.
    new Encrypter().addRecipient(recipient)
  } catch (cause) {
    throw invalidRecipient(recipient, cause)
  }
  if (!rule.isPostQuantum || isPostQuantum(recipient)) return
  throw new SealError(
    "RECIPIENT_NOT_POST_QUANTUM",
    `${shown(recipient)} is classical, and only post-quantum recipients are allowed`,
  )
}

/** Gives the error of a recipient that age does not know, or cannot encrypt to. */
export function invalidRecipient(recipient: string, cause?: unknown): SealError {
  return new SealError("RECIPIENT_INVALID", `${shown(recipient)} is no age recipient`, { cause })
}

/** Gives the error of an identity. It has no cause: the package's message quotes the secret. */
export function invalidIdentity(): SealError {
  return new SealError("IDENTITY_INVALID", "no age identity of a known kind")
}

const shown = (recipient: string): string => JSON.stringify(recipient.slice(0, 24))
