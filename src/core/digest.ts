/**
 * SHA-256 digests in the OCI form `sha256:<64 lower-case hex digits>`.
 * @module
 */
import { hash } from "node:crypto"
import { InputError } from "./errors.ts"

/** An OCI digest; the only algorithm is SHA-256 (OCI image spec, descriptor.md, Digests). */
export type Digest = `sha256:${string}`

const SHA256_HEX = /^[0-9a-f]{64}$/
const DIGEST_PATTERN = /^sha256:[0-9a-f]{64}$/
/** Length of a SHA-256 in bytes. */
export const SHA256_BYTES = 32
/** Length of a SHA-1 in bytes: standard torrents name their pieces by it. */
export const SHA1_BYTES = 20

/** Tells whether a text is a SHA-256 as 64 lower-case hex digits, as fleet ids are. */
export function isSha256Hex(text: string): boolean {
  return SHA256_HEX.test(text)
}

/** Tells whether a text is a digest that Sealift stores. */
export function isDigest(text: string): text is Digest {
  return DIGEST_PATTERN.test(text)
}

/**
 * Checks a digest that came from outside.
 * @throws {@link InputError} `DIGEST_INVALID`
 */
export function parseDigest(text: string): Digest {
  if (!isDigest(text)) {
    const shown = JSON.stringify(text.slice(0, 80))
    throw new InputError("DIGEST_INVALID", `${shown} is not sha256: and 64 lower-case hex digits`)
  }
  return text
}

/** Gives the SHA-256 of some bytes, 32 bytes. */
export function sha256(bytes: Uint8Array): Uint8Array {
  return hash("sha256", bytes, "buffer")
}

/** Gives the SHA-1 of some bytes, 20 bytes. */
export function sha1(bytes: Uint8Array): Uint8Array {
  return hash("sha1", bytes, "buffer")
}

/**
 * Tells whether bytes are those that were expected.
 * @param actual - their SHA-256
 * @param expected - a SHA-256 or a SHA-1; undefined: anything
 */
export function isExpected(
  bytes: Uint8Array,
  actual: Uint8Array,
  expected: Uint8Array | undefined,
): boolean {
  if (expected === undefined) return true
  const found = expected.length === SHA1_BYTES ? sha1(bytes) : actual
  return Buffer.compare(found, expected) === 0
}

/** Gives the digest of some bytes. */
export function digestOf(bytes: Uint8Array): Digest {
  return `sha256:${hash("sha256", bytes, "hex")}`
}

/** Gives the digest whose raw SHA-256 is `raw` (32 bytes). */
export function digestOfRaw(raw: Uint8Array): Digest {
  return `sha256:${Buffer.from(raw.buffer, raw.byteOffset, raw.byteLength).toString("hex")}`
}

/** Gives the 64 hex digits of a digest. */
export function hexOf(digest: Digest): string {
  return digest.slice("sha256:".length)
}

/** Gives the 32 raw bytes of a digest. */
export function rawOf(digest: Digest): Uint8Array {
  return Buffer.from(hexOf(digest), "hex")
}
