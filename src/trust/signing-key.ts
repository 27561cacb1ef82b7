/**
 * Secret keys, and the port of whatever can sign with one (protocol/keys.md §4).
 * @module
 */
import { randomBytes, sign as signByNode } from "node:crypto"
import { privateKeyObject, publicBytesOf } from "../core/ed25519-key.ts"
import { TrustError } from "./errors.ts"
import { type PublicKey, publicKeyOfRaw } from "./public-key.ts"

/** Something that signs with one key: a secret in memory, or a command that asks a device. */
export interface Signer {
  readonly publicKey: PublicKey
  /** Gives the 64 bytes of a signature over `bytes`. */
  sign(bytes: Uint8Array, options?: { readonly signal?: AbortSignal }): Promise<Uint8Array>
}

/** A signer that has its secret in memory. */
export interface SigningKey extends Signer {
  /** Gives a copy of the secret, 32 bytes. It is a method so that no log or JSON shows it. */
  exportSeed(): Uint8Array
}

const SEED_BYTES = 32

/** Makes a new key from the system's randomness. */
export function createSigningKey(): SigningKey {
  return signingKeyFromSeed(randomBytes(SEED_BYTES))
}

/**
 * Makes the key of a secret.
 * @param seed - the 32 bytes of RFC 8032's private key; copied
 * @throws {@link TrustError} `KEY_MALFORMED` when there are not 32
 */
export function signingKeyFromSeed(seed: Uint8Array): SigningKey {
  if (seed.length !== SEED_BYTES) {
    throw new TrustError("KEY_MALFORMED", `a secret key of ${seed.length} bytes, expected 32`)
  }
  const secret = Uint8Array.from(seed)
  const key = privateKeyObject(secret)
  return {
    publicKey: publicKeyOfRaw(publicBytesOf(key)),
    exportSeed: () => Uint8Array.from(secret),
    sign: async (bytes, options) => {
      options?.signal?.throwIfAborted()
      return Uint8Array.from(signByNode(null, bytes, key))
    },
  }
}
