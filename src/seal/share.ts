/**
 * Shares: sealed by the publisher for one device, and taken by it (protocol/key-schedule.md §5).
 * @module
 */
import { encodeBase64, encodeHex } from "../core/byte-text.ts"
import { field, type JsonObject } from "../core/json.ts"
import { base64Field } from "./document.ts"
import { SealError } from "./errors.ts"
import { openDocument, sealDocument } from "./sealed-document.ts"
import { isShareOf, type SealedRelease, seatOf, verifyContext } from "./sealed-release.ts"

/** A share that a device holds open. Whoever has it erases it after use. */
export interface TakenShare {
  /** The context that the device computed, 32 bytes. */
  readonly ctx: Uint8Array
  readonly holder: string
  /** The device's public key, 32 bytes. */
  readonly device: Uint8Array
  /** The holder's secret (32 bytes), or the device's part of it (33). */
  readonly share: Uint8Array
  /** Whether the release lets it be sealed to post-quantum recipients only. */
  readonly isPostQuantum: boolean
}

/** Who takes a share. */
export interface ShareTaker {
  /** Its public key, 32 bytes. */
  readonly device: Uint8Array
  /** Its age identity's secret. */
  readonly secret: string
}

/**
 * Makes the age file that brings a device its share.
 * @throws {@link SealError} `RECIPIENT_INVALID`
 */
export async function makeShareFile(
  share: Omit<TakenShare, "isPostQuantum">,
  recipient: string,
): Promise<Uint8Array> {
  return await sealDocument(fieldsOf(share), recipient)
}

/**
 * Takes the share of a device from a release that it has verified.
 * @throws {@link SealError} `CONTEXT_WRONG`, `HOLDERS_WRONG`, `IDENTITY_INVALID`,
 * `SHARE_NOT_FOR_THIS_DEVICE`, `SHARE_NOT_FOR_THIS_RELEASE`
 * @see protocol/key-schedule.md §5, taking a share
 */
export async function takeShare(
  release: SealedRelease,
  { device, secret }: ShareTaker,
): Promise<TakenShare> {
  const ctx = verifyContext(release) // step 1
  const seat = seatOf(release, device)
  if (seat === undefined) throw notForDevice("the release has no share for this device")
  const document = await openDocument(seat.device.share, secret, (cause) =>
    notForDevice("the share does not open", cause),
  ) // step 2
  // Step 3.
  const expected = { ctx, holder: seat.holder.name, device }
  if (document === undefined || !isOwnedBy(document, expected)) {
    throw notForRelease("it names another release, holder or device")
  }
  const share = base64Field(document, "share")
  if (share === undefined || !isShareOf(share, seat, ctx)) {
    throw notForRelease("its commitment does not hold")
  }
  return { ...expected, share, isPostQuantum: release.fields.isPostQuantum }
}

/** Gives the fields that a share's document and a grant's have in common. */
export function fieldsOf({ ctx, holder, device, share }: Omit<TakenShare, "isPostQuantum">): {
  readonly ctx: string
  readonly holder: string
  readonly device: string
  readonly share: string
} {
  return {
    ctx: encodeHex(ctx),
    holder,
    device: encodeHex(device),
    share: encodeBase64(share),
  }
}

/** Tells whether a document names this release, holder and device. */
export function isOwnedBy(
  document: JsonObject,
  { ctx, holder, device }: Pick<TakenShare, "ctx" | "holder" | "device">,
): boolean {
  return (
    field(document, "ctx") === encodeHex(ctx) &&
    field(document, "holder") === holder &&
    field(document, "device") === encodeHex(device)
  )
}

function notForDevice(reason: string, cause?: unknown): SealError {
  return new SealError("SHARE_NOT_FOR_THIS_DEVICE", reason, { cause })
}

function notForRelease(reason: string): SealError {
  return new SealError("SHARE_NOT_FOR_THIS_RELEASE", `a share is refused: ${reason}`)
}
