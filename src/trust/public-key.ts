/**
 * Public keys: which ones are registered, and how they are written (protocol/keys.md).
 * @module
 */
import { Point } from "@noble/ed25519"
import { TrustError } from "./errors.ts"

declare const registered: unique symbol

/**
 * An Ed25519 public key that was found sound, as 64 lower-case hex digits. The text is its key id
 * too, so that one key cannot count under two ids.
 */
export type PublicKey = string & { readonly [registered]: true }

const KEY_TEXT = /^[0-9a-f]{64}$/

/** Tells whether a text has the form of a public key. Whether the key is sound is not looked at. */
export function isKeyText(text: string): boolean {
  return KEY_TEXT.test(text)
}

/**
 * Registers a public key: from here on its signatures may count.
 *
 * It costs about as much as checking a signature; do it once, where a key comes in.
 *
 * @param text - 64 lower-case hex digits
 * @throws {@link TrustError} `KEY_MALFORMED` when it is not; `KEY_WEAK` when more than one secret,
 * or none, can sign for it
 * @see protocol/keys.md §5
 */
export function parsePublicKey(text: string): PublicKey {
  if (!isKeyText(text)) {
    const shown = JSON.stringify(text.slice(0, 80))
    throw new TrustError("KEY_MALFORMED", `${shown} is not 64 lower-case hex digits`)
  }
  const point = parsePoint(text)
  // keys.md §5, registering 3. node:crypto has no means to ask for either.
  if (point.isSmallOrder()) throw new TrustError("KEY_WEAK", `key ${text} is of small order`)
  if (!point.isTorsionFree()) {
    throw new TrustError("KEY_WEAK", `key ${text} is not in the prime-order subgroup`)
  }
  return text as PublicKey
}

/**
 * Registers a public key that comes as its 32 bytes, such as the one inside a peer id.
 * @throws {@link TrustError} `KEY_MALFORMED`, `KEY_WEAK`
 */
export function publicKeyOfRaw(raw: Uint8Array): PublicKey {
  return parsePublicKey(Buffer.from(raw.buffer, raw.byteOffset, raw.byteLength).toString("hex"))
}

/** Gives the 32 bytes of a public key. */
export function rawOfPublicKey(key: PublicKey): Uint8Array {
  return Buffer.from(key, "hex")
}

/** keys.md §5, registering 2 and 3: the canonical encoding (RFC 8032 §5.1.3) of a point. */
function parsePoint(text: string): Point {
  try {
    return Point.fromHex(text, false)
  } catch (cause) {
    const message = `key ${text} is not the canonical encoding of a point`
    throw new TrustError("KEY_WEAK", message, { cause })
  }
}
