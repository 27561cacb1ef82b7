/**
 * Which signatures are accepted: those that two implementations accept, each by itself
 * (protocol/keys.md §5, decision 0021).
 * @module
 */
import { hash, type KeyObject, verify as verifyByNode } from "node:crypto"
import { hashes, verify as verifyByNoble } from "@noble/ed25519"
import { publicKeyObject } from "../core/ed25519-key.ts"
import { memoize } from "../core/memoize.ts"
import { type PublicKey, rawOfPublicKey } from "./public-key.ts"

/** Length of a signature in bytes: R, then S. */
export const SIGNATURE_BYTES = 64
const POINT_BYTES = 32
/** The canonical encoding of the neutral point: y = 1. */
const IDENTITY: Uint8Array = Uint8Array.of(1, ...new Uint8Array(POINT_BYTES - 1))

hashes.sha512 = (message) => hash("sha512", message, "buffer")

/** What is claimed: that the holder of `key` has signed `bytes`. */
export interface SignedBytes {
  readonly key: PublicKey
  readonly bytes: Uint8Array
  readonly signature: Uint8Array
}

/** Tells whether a signature counts. One that does not gives false: it is no error by itself. */
export function isAccepted({ key, bytes, signature }: SignedBytes): boolean {
  if (signature.length !== SIGNATURE_BYTES || isIdentity(signature.subarray(0, POINT_BYTES))) {
    return false
  }
  // node:crypto first: it takes a tenth of the time, so that a false signature costs little.
  return (
    verifyByNode(null, bytes, keyObjectOf(key), signature) &&
    verifyByNoble(signature, bytes, rawOfPublicKey(key), { zip215: false })
  )
}

/**
 * keys.md §5, accepting 1: R is not of small order. With a registered key the equation leaves one
 * such R, the neutral point. It is refused here since releases of Node differ on it
 * (nodejs/node#64026).
 */
function isIdentity(point: Uint8Array): boolean {
  return Buffer.compare(point, IDENTITY) === 0
}

/** Keys kept ready for node:crypto. */
const KEYS_MAX = 1024
/** Reading a key takes a third of the time of a check. */
const keyObjectOf: (key: PublicKey) => KeyObject = memoize(
  (key) => publicKeyObject(rawOfPublicKey(key)),
  KEYS_MAX,
)
