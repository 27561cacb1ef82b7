/**
 * Small age files to one recipient: the binary age v1 format (protocol/key-schedule.md §1; C2SP age.md).
 * @module
 */
import { Decrypter, Encrypter } from "age-encryption"
import { assert, messageOf } from "../core/errors.ts"
import { invalidIdentity, invalidRecipient } from "./age-key.ts"
import { SealError } from "./errors.ts"

/** Largest age file in bytes. */
export const AGE_FILE_BYTES_MAX: number = 16 * 1024
/** Largest plaintext in bytes: a header is at most a quarter of a file. */
export const AGE_PLAIN_BYTES_MAX: number = 12 * 1024

/**
 * Seals a few bytes to one recipient.
 * @param plain - at most 12 KiB
 * @param recipient - `age1pq1…` or another that `verifyRecipient` let pass
 * @throws {@link SealError} `RECIPIENT_INVALID`
 */
export async function sealAgeFile(plain: Uint8Array, recipient: string): Promise<Uint8Array> {
  assert(plain.length <= AGE_PLAIN_BYTES_MAX, "what is sealed to a recipient is small")
  try {
    const encrypter = new Encrypter()
    encrypter.addRecipient(recipient)
    return await encrypter.encrypt(plain)
  } catch (cause) {
    throw invalidRecipient(recipient, cause)
  }
}

/**
 * Opens an age file.
 * @param secret - `AGE-SECRET-KEY-PQ-1…` or `AGE-SECRET-KEY-1…`
 * @throws {@link SealError} `IDENTITY_INVALID`; `AGE_FILE_NOT_OPENED` when the file is too large,
 * broken, for somebody else, or for others too
 */
export async function openAgeFile(file: Uint8Array, secret: string): Promise<Uint8Array> {
  if (file.length > AGE_FILE_BYTES_MAX) throw notOpened(`${file.length} bytes`)
  const decrypter = new Decrypter()
  decrypter.addIdentity({ unwrapFileKey: refuseSeveral })
  try {
    decrypter.addIdentity(secret)
  } catch {
    throw invalidIdentity()
  }
  try {
    return await decrypter.decrypt(file)
  } catch (cause) {
    throw notOpened(messageOf(cause), cause)
  }
}

/**
 * Seals a few bytes with a passphrase: age's scrypt recipient (C2SP age.md, "The scrypt recipient type").
 * It takes about a second, and so does each guess.
 */
export async function sealWithPassphrase(
  plain: Uint8Array,
  passphrase: string,
): Promise<Uint8Array> {
  assert(plain.length <= AGE_PLAIN_BYTES_MAX, "what is sealed with a passphrase is small")
  const encrypter = new Encrypter()
  encrypter.setPassphrase(passphrase)
  return await encrypter.encrypt(plain)
}

/**
 * Opens what was sealed with a passphrase.
 * @throws {@link SealError} `AGE_FILE_NOT_OPENED` when the file is too large or broken, or the
 * passphrase is another
 */
export async function openWithPassphrase(
  file: Uint8Array,
  passphrase: string,
): Promise<Uint8Array> {
  if (file.length > AGE_FILE_BYTES_MAX) throw notOpened(`${file.length} bytes`)
  const decrypter = new Decrypter()
  decrypter.addPassphrase(passphrase)
  try {
    return await decrypter.decrypt(file)
  } catch (cause) {
    throw notOpened(messageOf(cause), cause)
  }
}

/** Tells whether bytes begin like an age file. */
export function isAgeFile(bytes: Uint8Array): boolean {
  const start = Buffer.from("age-encryption.org/v1\n")
  return Buffer.compare(bytes.subarray(0, start.length), start) === 0
}

/** §1: a file is to one recipient. Asked first, before a key is used; it opens nothing itself. */
function refuseSeveral(stanzas: readonly unknown[]): null {
  if (stanzas.length !== 1) throw new Error(`${stanzas.length} recipients`)
  return null
}

function notOpened(reason: string, cause?: unknown): SealError {
  return new SealError("AGE_FILE_NOT_OPENED", `an age file does not open: ${reason}`, { cause })
}
