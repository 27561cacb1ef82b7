/**
 * The keys of a release and what commits to them, all by HMAC and HKDF (protocol/key-schedule.md §4).
 * @module
 */
import { createHmac, hkdfSync, timingSafeEqual } from "node:crypto"
import { assert } from "../core/errors.ts"
import { lengthPrefixed } from "../core/length-prefix.ts"
import { FILE_KEY_BYTES } from "./payload.ts"

/** Length of a holder's secret in bytes. */
export const SHARE_BYTES = 32
/** Length of the release key in bytes. */
export const RELEASE_KEY_BYTES = 32
/** Length of every commitment in bytes. */
export const COMMITMENT_BYTES = 32

/** Gives random bytes; passed in where a test must know them. */
export type RandomSource = (byteCount: number) => Uint8Array

/** Whose a share is. */
export interface ShareOwner {
  /** The context of the release, 32 bytes. */
  readonly ctx: Uint8Array
  readonly holder: string
  /** Only of a part: the device's public key, 32 bytes. */
  readonly device?: Uint8Array
}

/**
 * Gives the public commitment of a holder's secret, or of a device's part of it, 32 bytes.
 * @param share - 32 bytes; a part has 33, so that HMAC's padding of short keys makes no two equal
 */
export function shareCommitment(
  share: Uint8Array,
  { ctx, holder, device }: ShareOwner,
): Uint8Array {
  const owner = device === undefined ? [holder] : [holder, device]
  return hmac(share, lengthPrefixed("sealift/share/v1", ctx, ...owner))
}

/**
 * Gives the release key R, 32 bytes.
 * @param shares - every holder's secret in order, 32 bytes each
 */
export function releaseKey(shares: readonly Uint8Array[], ctx: Uint8Array): Uint8Array {
  assert(shares.length > 0, "a release has holders")
  assert(
    shares.every((share) => share.length === SHARE_BYTES),
    "shares have 32 bytes, so joining them reads in one way only",
  )
  const joined = Buffer.concat(shares)
  const key = hkdf(joined, { salt: ctx, purpose: "sealift/release/v1", byteCount: 32 })
  joined.fill(0)
  return key
}

/** Gives KC, the public commitment of a release key, 32 bytes. */
export function keyCommitment(releaseKey: Uint8Array): Uint8Array {
  return hmac(releaseKey, Buffer.from("sealift/commit/v1"))
}

/** Gives the file key of the bag, 16 bytes. */
export function bagKey(releaseKey: Uint8Array): Uint8Array {
  const salt = new Uint8Array(0)
  return hkdf(releaseKey, { salt, purpose: "sealift/bag/v1", byteCount: FILE_KEY_BYTES })
}

/**
 * Gives FKC, the public commitment of a file key, 32 bytes.
 * @param fileKey - 16 bytes
 * @param of - SHA-256 of the ciphertext, 32 bytes
 */
export function fileKeyCommitment(
  fileKey: Uint8Array,
  { cipher }: { readonly cipher: Uint8Array },
): Uint8Array {
  return hmac(fileKey, lengthPrefixed("sealift/file-key/v1", cipher))
}

/** Tells whether two byte strings are the same, in a time that says nothing of where they differ. */
export function isSame(left: Uint8Array, right: Uint8Array): boolean {
  return left.length === right.length && timingSafeEqual(left, right)
}

/**
 * Overwrites secrets with zeros. Texts that were made of them on the way (base64, JSON) cannot be
 * overwritten and stay until the collector takes them.
 */
export function erase(secrets: Iterable<Uint8Array>): void {
  for (const secret of secrets) secret.fill(0)
}

function hmac(key: Uint8Array, message: Uint8Array): Uint8Array {
  return createHmac("sha256", key).update(message).digest()
}

interface Derivation {
  readonly salt: Uint8Array
  readonly purpose: string
  readonly byteCount: number
}

function hkdf(secret: Uint8Array, { salt, purpose, byteCount }: Derivation): Uint8Array {
  return new Uint8Array(hkdfSync("sha256", secret, salt, purpose, byteCount))
}
