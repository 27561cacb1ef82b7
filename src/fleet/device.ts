/**
 * A party's device: the key that signs approvals, and the recipient that shares are sealed to
 * (protocol/policy.md §4).
 * @module
 */
import { encodeBase64 } from "../core/byte-text.ts"
import { asObject, asText, encodeJson, field, type JsonObject, parseJson } from "../core/json.ts"
import { lengthPrefixed } from "../core/length-prefix.ts"
import { isPartyName } from "../core/name.ts"
import { identityOf, newIdentity, verifyRecipient } from "../seal/age-key.ts"
import { parseBase64 } from "../trust/base64.ts"
import { type PublicKey, parsePublicKey, rawOfPublicKey } from "../trust/public-key.ts"
import { isAccepted } from "../trust/signature.ts"
import { createSigningKey, type SigningKey, signingKeyFromSeed } from "../trust/signing-key.ts"
import { FleetError } from "./errors.ts"

/** Largest file of a device, public or secret, without a passphrase. */
export const DEVICE_BYTES_MAX: number = 8 * 1024
const PROOF_LABEL = "sealift/device/v1"
const VERSION = 1

/** What others know of a device. */
export interface DevicePublic {
  /** The party that it belongs to; one device is in one party. */
  readonly party: string
  readonly key: PublicKey
  /** An age recipient. */
  readonly recipient: string
}

/** A device with its secrets. */
export interface DeviceKey extends DevicePublic {
  readonly signing: SigningKey
  /** Gives the age identity's secret. It is a method so that no log or JSON shows it. */
  exportIdentity(): string
}

/**
 * Makes the keys of a new device.
 * @throws {@link FleetError} `DEVICE_INVALID` when the party's name is none
 */
export async function createDevice(party: string): Promise<DeviceKey> {
  if (!isPartyName(party)) throw invalid(`${JSON.stringify(party.slice(0, 80))} is no party's name`)
  const { secret, recipient } = await newIdentity()
  return deviceOf({ party, recipient, secret, signing: createSigningKey() })
}

/** Writes what others may know, with the proof that key and recipient belong together. */
export async function encodeDevicePublic({ signing, ...device }: DeviceKey): Promise<Uint8Array> {
  const proof = await signing.sign(proofBytes(device))
  const { party, key, recipient } = device
  return encodeJson({ v: VERSION, party, key, recipient, proof: encodeBase64(proof) })
}

/**
 * Reads what another device told of itself.
 * @throws {@link FleetError} `DEVICE_INVALID`
 * @throws TrustError `KEY_MALFORMED`, `KEY_WEAK`
 * @throws SealError `RECIPIENT_INVALID`
 */
export function parseDevicePublic(file: Uint8Array): DevicePublic {
  const fields = parseFields(file)
  if (fields === undefined) throw invalid("it is no strict JSON of a device")
  if (field(fields, "seed") !== undefined) {
    throw invalid("it is a key file, which goes to nobody; name the one that ends in .pub")
  }
  const party = asText(field(fields, "party")) ?? ""
  if (!isPartyName(party)) throw invalid("its party's name is none")
  const key = parsePublicKey(asText(field(fields, "key")) ?? "")
  const recipient = asText(field(fields, "recipient")) ?? ""
  verifyRecipient(recipient, { isPostQuantum: false })
  const device = { party, key, recipient }
  const signature = parseBase64(asText(field(fields, "proof")) ?? "")
  const isProved =
    signature !== undefined && isAccepted({ key, bytes: proofBytes(device), signature })
  if (!isProved) throw invalid("its key has not signed for its recipient")
  return device
}

/** Writes the secrets; whoever has these bytes approves for the party. */
export function encodeDeviceKey(device: DeviceKey): Uint8Array {
  const seed = device.signing.exportSeed()
  const fields = { v: VERSION, party: device.party, seed: encodeBase64(seed) }
  seed.fill(0)
  return encodeJson({ ...fields, identity: device.exportIdentity() })
}

/**
 * Reads the secrets. Errors have no cause: it could quote them.
 * @param name - of the file, for errors
 * @throws {@link FleetError} `DEVICE_KEY_INVALID`
 */
export async function parseDeviceKey(file: Uint8Array, name: string = "it"): Promise<DeviceKey> {
  const fields = parseFields(file)
  const party = asText(field(fields ?? {}, "party")) ?? ""
  const seed = parseBase64(asText(field(fields ?? {}, "seed")) ?? "")
  const identity = asText(field(fields ?? {}, "identity")) ?? ""
  try {
    if (!isPartyName(party) || seed === undefined) throw noKey(name)
    const signing = signingKeyFromSeed(seed)
    const { secret, recipient } = await identityOf(identity)
    return deviceOf({ party, recipient, secret, signing })
  } catch {
    throw noKey(name)
  } finally {
    seed?.fill(0)
  }
}

function deviceOf(parts: {
  readonly party: string
  readonly recipient: string
  readonly secret: string
  readonly signing: SigningKey
}): DeviceKey {
  const { party, recipient, secret, signing } = parts
  return { party, key: signing.publicKey, recipient, signing, exportIdentity: () => secret }
}

/** protocol/policy.md §4: what the proof covers. */
function proofBytes({ party, key, recipient }: DevicePublic): Uint8Array {
  return lengthPrefixed(PROOF_LABEL, party, rawOfPublicKey(key), recipient)
}

function parseFields(file: Uint8Array): JsonObject | undefined {
  try {
    const limits = { bytesMax: DEVICE_BYTES_MAX, depthMax: 1, isStrict: true }
    const fields = asObject(parseJson(file, limits))
    return field(fields ?? {}, "v") === VERSION ? fields : undefined
  } catch {
    // Both readers have an error of their own; one of them may not quote what it read.
    return undefined
  }
}

function invalid(reason: string): FleetError {
  return new FleetError("DEVICE_INVALID", `the device is refused: ${reason}`)
}

function noKey(name: string): FleetError {
  return new FleetError("DEVICE_KEY_INVALID", `${name} is no key file of a party's device`)
}
