/**
 * A node's permanent Ed25519 identity: its file, its peer id, signing and checking signatures.
 * @module
 */
import {
  generateKeyPairSync,
  type KeyObject,
  sign as signBytes,
  verify as verifyBytes,
} from "node:crypto"
import { publicKeyFromRaw } from "@libp2p/crypto/keys"
import { peerIdFromPublicKey, peerIdFromString } from "@libp2p/peer-id"
import { privateKeyObject, publicBytesOf, publicKeyObject, seedOf } from "../core/ed25519-key.ts"
import { memoize } from "../core/memoize.ts"
import { NetError } from "./errors.ts"
import type { PeerId } from "./net.ts"

const SIGNATURE_BYTES = 64
/** Keys of peers kept ready; the oldest gives way. */
const KEYS_MAX = 1024

/** A private key and the peer id that it makes. */
export interface Identity {
  readonly id: PeerId
  /** The 32 secret bytes (RFC 8032). Never logged. */
  readonly seed: Uint8Array
  /** The 32 public bytes. */
  readonly publicKey: Uint8Array
  sign(bytes: Uint8Array): Uint8Array
}

/** Makes the identity of a 32-byte seed. */
export function identityFromSeed(seed: Uint8Array): Identity {
  const key = privateKeyObject(seed)
  const publicKey = publicBytesOf(key)
  return {
    id: peerIdOf(publicKey),
    seed,
    publicKey,
    sign: (bytes) => Uint8Array.from(signBytes(null, bytes, key)),
  }
}

/** Makes a new identity from the system's randomness. */
export function createIdentity(): Identity {
  return identityFromSeed(seedOf(generateKeyPairSync("ed25519").privateKey))
}

/** Gives the peer id of an Ed25519 public key. */
export function peerIdOf(publicKey: Uint8Array): PeerId {
  return peerIdFromPublicKey(publicKeyFromRaw(publicKey)).toString()
}

/**
 * Gives the Ed25519 public key inside a peer id.
 * @throws NetError `ADDRESS_INVALID` when it is no peer id or holds another kind of key
 */
export function publicKeyOf(peer: PeerId): Uint8Array {
  const key = publicKeyOrUndefined(peer)
  if (key !== undefined) return key
  throw new NetError("ADDRESS_INVALID", `"${peer.slice(0, 80)}" is not an Ed25519 peer id`)
}

/** Checks a signature against a raw public key. */
export function isSigned(publicKey: Uint8Array, bytes: Uint8Array, signature: Uint8Array): boolean {
  return isVerified(publicKeyObject(publicKey), bytes, signature)
}

/** Checks a signature against the key inside a peer id; false when it holds none. */
export function isSignedBy(peer: PeerId, bytes: Uint8Array, signature: Uint8Array): boolean {
  const key = keyOfPeer(peer)
  return key !== undefined && isVerified(key, bytes, signature)
}

/**
 * Keys of peers that were read lately: reading one costs as much as checking a signature, and pieces
 * come with thousands of signatures by few peers.
 */
const keyOfPeer: (peer: PeerId) => KeyObject | undefined = memoize((peer) => {
  const raw = publicKeyOrUndefined(peer)
  return raw && publicKeyObject(raw)
}, KEYS_MAX)

function isVerified(key: KeyObject, bytes: Uint8Array, signature: Uint8Array): boolean {
  return signature.length === SIGNATURE_BYTES && verifyBytes(null, bytes, key, signature)
}

function publicKeyOrUndefined(peer: PeerId): Uint8Array | undefined {
  try {
    const found = peerIdFromString(peer)
    // One text per peer: ids are compared as texts.
    if (found.type === "Ed25519" && found.toString() === peer) return found.publicKey.raw
  } catch {
    // Not a peer id at all: the caller names the fault.
  }
  return undefined
}
