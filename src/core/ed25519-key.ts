/**
 * Ed25519 keys as their raw bytes and as Node's own objects (RFC 8032, RFC 8410).
 * @module
 */
import { createPrivateKey, createPublicKey, type KeyObject } from "node:crypto"

/** DER heads of a public and a private key (RFC 8410 §4 and §7); the 32 raw bytes follow. */
const SPKI_HEAD: Uint8Array = Buffer.from("302a300506032b6570032100", "hex")
const PKCS8_HEAD: Uint8Array = Buffer.from("302e020100300506032b657004220420", "hex")

/** Gives the public key of 32 raw bytes. Whether it is a sound one is not looked at. */
export function publicKeyObject(raw: Uint8Array): KeyObject {
  const der = Buffer.concat([SPKI_HEAD, raw])
  return createPublicKey({ key: der, format: "der", type: "spki" })
}

/** Gives the private key of 32 secret bytes. */
export function privateKeyObject(seed: Uint8Array): KeyObject {
  const der = Buffer.concat([PKCS8_HEAD, seed])
  return createPrivateKey({ key: der, format: "der", type: "pkcs8" })
}

/** Gives the 32 public bytes of a private key. */
export function publicBytesOf(key: KeyObject): Uint8Array {
  const spki = createPublicKey(key).export({ format: "der", type: "spki" })
  return Uint8Array.from(spki.subarray(SPKI_HEAD.length))
}

/** Gives the 32 secret bytes of a private key. */
export function seedOf(key: KeyObject): Uint8Array {
  const der = key.export({ format: "der", type: "pkcs8" })
  return Uint8Array.from(der.subarray(PKCS8_HEAD.length))
}
