/**
 * What is public of a sealed release, and the checks that everybody makes who reads one
 * (protocol/key-schedule.md §5).
 * @module
 */
import { encodeHex } from "../core/byte-text.ts"
import { DEVICES_MAX, PARTIES_MAX } from "../core/limits.ts"
import { GATE } from "../core/name.ts"
import { contextOf, holderNames, isSortedAudience, type ReleaseFields } from "./context.ts"
import { SealError } from "./errors.ts"
import { PART_BYTES, placeOf } from "./parts.ts"
import { isSame, SHARE_BYTES, shareCommitment } from "./release-key.ts"

/** A file as the release names it. */
export interface SealedFile {
  /** SHA-256 of the ciphertext, 32 bytes. */
  readonly cipher: Uint8Array
  /** Length of the ciphertext in bytes. */
  readonly cipherBytes: number
  /** FKC, 32 bytes. */
  readonly commitment: Uint8Array
}

/** A device, and the age file that brings it its share. */
export interface HolderDevice {
  /** Its Ed25519 public key, 32 bytes. */
  readonly key: Uint8Array
  readonly share: Uint8Array
  /** Of its part; undefined when the threshold is 1, where it has the whole. */
  readonly commitment: Uint8Array | undefined
}

/** A party, or the gate. */
export interface ShareHolder {
  readonly name: string
  readonly threshold: number
  /** Of its secret, 32 bytes. */
  readonly commitment: Uint8Array
  readonly devices: readonly HolderDevice[]
}

/** The release key, sealed to one inspector. */
export interface InspectorFile {
  readonly recipient: string
  readonly file: Uint8Array
}

/** All that the release's statement says for the key schedule. */
export interface SealedRelease {
  readonly fields: ReleaseFields
  /** ctx as the release claims it, 32 bytes. */
  readonly context: Uint8Array
  readonly files: readonly SealedFile[]
  /** KC, 32 bytes. */
  readonly keyCommitment: Uint8Array
  readonly bag: Uint8Array
  /** The parties in order, then the gate. */
  readonly holders: readonly ShareHolder[]
  readonly inspectors: readonly InspectorFile[]
}

/** A device of a holder: whose share is meant. */
export interface Seat {
  readonly holder: ShareHolder
  readonly device: HolderDevice
}

/**
 * Checks a release: its context, its holders, one commitment per ciphertext.
 * @param known - gives the commitment that this reader knows for a ciphertext, from the releases of
 * the namespace that it found approved or approved itself
 * @returns the context
 * @throws {@link SealError} `CONTEXT_WRONG`, `HOLDERS_WRONG`, `FILE_KEY_CONFLICT`
 */
export function verifyRelease(
  release: SealedRelease,
  known: (cipher: Uint8Array) => Uint8Array | undefined,
): Uint8Array {
  const ctx = verifyContext(release)
  const seen = new Map<string, Uint8Array>()
  for (const { cipher, commitment } of release.files) {
    const key = encodeHex(cipher)
    for (const earlier of [seen.get(key), known(cipher)]) {
      if (earlier === undefined || isSame(earlier, commitment)) continue
      const details = { cipher: key }
      throw new SealError("FILE_KEY_CONFLICT", `${key} has two file keys`, { details })
    }
    seen.set(key, commitment)
  }
  return ctx
}

/**
 * Gives the context, computed from the fields and never taken from what is sealed.
 * @throws {@link SealError} `CONTEXT_WRONG`, `HOLDERS_WRONG`
 */
export function verifyContext({ fields, context, files, holders }: SealedRelease): Uint8Array {
  const ctx = contextOf(
    fields,
    files.map(({ cipher }) => cipher),
  )
  if (!isSame(ctx, context)) throw new SealError("CONTEXT_WRONG", "not the context of the fields")
  if (!isSortedAudience(fields.audience)) {
    throw new SealError("CONTEXT_WRONG", "an audience that is not sorted, or names somebody twice")
  }
  verifyHolders(fields, holders)
  return ctx
}

/**
 * Checks that the holders are the parties in order and then the gate, each with enough devices, and
 * that no device stands twice: it would count as two.
 * @throws {@link SealError} `HOLDERS_WRONG`
 */
export function verifyHolders(
  fields: ReleaseFields,
  holders: readonly {
    readonly name: string
    readonly threshold: number
    readonly devices: readonly { readonly key: Uint8Array }[]
  }[],
): void {
  const names = holderNames(fields)
  const { parties } = fields
  if (parties.length < 1 || parties.length > PARTIES_MAX) throw wrong(`${parties.length} parties`)
  if (parties.includes(GATE)) throw wrong(`a party that is called ${GATE}`)
  if (new Set(parties).size < parties.length) throw wrong("a party twice")
  const areNamed = names.every((name, index) => holders[index]?.name === name)
  if (holders.length !== names.length || !areNamed) throw wrong(`not ${names.join(", ")}`)
  for (const { name, threshold, devices } of holders) {
    const isEnough = threshold >= 1 && threshold <= devices.length
    if (!Number.isSafeInteger(threshold) || !isEnough || devices.length > DEVICES_MAX) {
      throw wrong(`${name} needs ${threshold} of ${devices.length} devices`)
    }
  }
  const keys = holders.flatMap(({ devices }) => devices.map(({ key }) => encodeHex(key)))
  if (new Set(keys).size < keys.length) throw wrong("a device twice")
}

/** Finds a device among the holders. */
export function seatOf({ holders }: SealedRelease, deviceKey: Uint8Array): Seat | undefined {
  for (const holder of holders) {
    const device = holder.devices.find(({ key }) => isSame(key, deviceKey))
    if (device !== undefined) return { holder, device }
  }
  return undefined
}

/** Tells whether bytes are the share, or the part, that a device has been given. */
export function isShareOf(share: Uint8Array, { holder, device }: Seat, ctx: Uint8Array): boolean {
  const { name, threshold, commitment } = holder
  if (threshold === 1) {
    if (share.length !== SHARE_BYTES) return false
    return isSame(shareCommitment(share, { ctx, holder: name }), commitment)
  }
  if (device.commitment === undefined || share.length !== PART_BYTES) return false
  // Place 0 would be the secret, whole.
  if (placeOf(share) === 0) return false
  const expected = shareCommitment(share, { ctx, holder: name, device: device.key })
  return isSame(expected, device.commitment)
}

function wrong(reason: string): SealError {
  return new SealError("HOLDERS_WRONG", `the holders of shares are wrong: ${reason}`)
}
