/**
 * What the signatures of TUF metadata cover, and the ids that are made of it
 * (protocol/tuf-profile.md §4).
 * @module
 */
import { hash } from "node:crypto"
import { Key, Metadata, MetadataKind, type Root, Signature } from "@tufjs/models"
import { encodeJson, type JsonObject } from "../../core/json.ts"
import { parseSection } from "../../core/section.ts"
import { refusal, TrustError } from "../errors.ts"
import type { PublicKey } from "../public-key.ts"
import { withTufFaults } from "./tuf-fault.ts"
import { ROOT_BYTES_MAX } from "./tuf-limits.ts"

/** Any of the kinds of metadata that `@tufjs/models` has. */
export type AnyMetadata = Metadata<ConstructorParameters<typeof Metadata>[0]>

/** The name of a fleet: the SHA-256 of what its first root's signatures cover, 64 hex digits. */
export type FleetId = string

/** Gives the exact bytes that every signature of a file covers: the canonical JSON of `signed`. */
export function signedBytesOf(metadata: AnyMetadata): Uint8Array {
  let signed: Uint8Array = new Uint8Array()
  // The library shows these bytes to a signer only; this signer looks and signs nothing.
  new Metadata(metadata.signed).sign((bytes) => {
    signed = bytes
    return new Signature({ keyID: "", sig: "" })
  })
  return signed
}

/** Writes a file of metadata, in the one way that an author writes it. */
export function encodeMetadata(metadata: AnyMetadata): Uint8Array {
  return encodeJson(metadata.toJSON() as unknown as JsonObject)
}

/** Gives the SHA-256 of some bytes as TUF writes it, 64 hex digits. */
export function hexSha256(bytes: Uint8Array): string {
  return hash("sha256", bytes, "hex")
}

/** Gives a key as TUF writes it. Its id is the SHA-256 of its own canonical JSON (TUF 1.0 §4.2). */
export function tufKeyOf(publicKey: PublicKey): Key {
  const keyVal = { public: publicKey }
  return new Key({ keyID: tufKeyId(publicKey), keyType: "ed25519", scheme: "ed25519", keyVal })
}

/** Gives the id of a key: the SHA-256 of its canonical JSON, 64 hex digits. */
export function tufKeyId(publicKey: PublicKey): string {
  const json = `{"keytype":"ed25519","keyval":{"public":"${publicKey}"},"scheme":"ed25519"}`
  return hash("sha256", json, "hex")
}

/**
 * Gives the id of the fleet whose first root this is. Nobody's signature is looked at.
 * @throws {@link TrustError} `TUF_MALFORMED`
 */
export function fleetIdOf(firstRoot: Uint8Array): FleetId {
  return fleetIdOfRoot(parseRoot(firstRoot))
}

/** Gives the id of the fleet whose first root this is. Signatures do not change it. */
export function fleetIdOfRoot(firstRoot: Metadata<Root>): FleetId {
  return hexSha256(signedBytesOf(firstRoot))
}

/**
 * Checks that a fleet's first root is the pinned one.
 * @throws {@link TrustError} `FLEET_WRONG`, `TUF_MALFORMED`
 */
export function verifyFleetId(firstRoot: Uint8Array, pinned: FleetId): void {
  const found = fleetIdOf(firstRoot)
  if (found === pinned) return
  throw new TrustError("FLEET_WRONG", `a first root of fleet ${found}, expected ${pinned}`)
}

function parseRoot(bytes: Uint8Array): Metadata<Root> {
  const limits = { bytesMax: ROOT_BYTES_MAX, refuse: refusal("TUF_MALFORMED") }
  const { fields } = parseSection(bytes, limits)
  return withTufFaults("root", () => Metadata.fromJSON(MetadataKind.Root, fields as never))
}
