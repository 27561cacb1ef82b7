/**
 * Grants: a share sealed for one recipient of the audience, and taken by a node
 * (protocol/key-schedule.md §4, §5).
 * @module
 */
import { encodeHex } from "../core/byte-text.ts"
import { asCount, field, type JsonObject } from "../core/json.ts"
import { verifyRecipient } from "./age-key.ts"
import { base64Field } from "./document.ts"
import { SealError } from "./errors.ts"
import { openDocument, sealDocument } from "./sealed-document.ts"
import { isShareOf, type SealedRelease, seatOf, verifyContext } from "./sealed-release.ts"
import { fieldsOf, isOwnedBy, type TakenShare } from "./share.ts"

/** Whom a share is granted to. */
export interface GrantTerms {
  /** SHA-256 of the release statement, 32 bytes. */
  readonly release: Uint8Array
  /** From the access list that the device verified, and from nowhere else. */
  readonly recipient: string
  /** Last moment, in milliseconds since 1970. */
  readonly notAfter: number
}

/** What a node knows of a grant before it opens it. */
export interface ExpectedGrant {
  readonly release: SealedRelease
  /** SHA-256 of the release statement, 32 bytes. */
  readonly digest: Uint8Array
  readonly holder: string
  /** Public key of the device that signed it, 32 bytes. */
  readonly device: Uint8Array
}

/** Who takes a grant, and when. */
export interface GrantTaker {
  readonly recipient: string
  /** The age identity's secret that belongs to the recipient. */
  readonly secret: string
  /** Trusted time in milliseconds since 1970. */
  readonly now: number
}

/** A share, and whose it is. */
export interface GrantedShare {
  readonly holder: string
  /** Public key of the device that gave it, 32 bytes. */
  readonly device: Uint8Array
  /** The holder's secret (32 bytes), or the device's part of it (33). */
  readonly share: Uint8Array
}

/** A share that a node was granted. Whoever has it erases it after use. */
export interface TakenGrant extends GrantedShare {
  readonly notAfter: number
}

/**
 * Seals a share for one recipient.
 * @throws {@link SealError} `RECIPIENT_INVALID`; `RECIPIENT_NOT_POST_QUANTUM` when the release asks
 * for post-quantum recipients
 */
export async function makeGrant(
  taken: TakenShare,
  { release, recipient, notAfter }: GrantTerms,
): Promise<Uint8Array> {
  verifyRecipient(recipient, taken)
  const { ctx, ...owned } = fieldsOf(taken)
  const fields = { ctx, release: encodeHex(release), ...owned, recipient, notAfter }
  return await sealDocument(fields, recipient)
}

/**
 * Takes a grant.
 * @throws {@link SealError} `CONTEXT_WRONG`, `HOLDERS_WRONG`, `IDENTITY_INVALID`,
 * `GRANT_NOT_FOR_THIS_NODE`, `GRANT_NOT_FOR_THIS_RELEASE`, `GRANT_EXPIRED`, and `SHARE_WRONG` with
 * the holder and the device that gave it
 * @see protocol/key-schedule.md §5, taking a grant
 */
export async function takeGrant(
  file: Uint8Array,
  expected: ExpectedGrant,
  taker: GrantTaker,
): Promise<TakenGrant> {
  const { release, holder, device } = expected
  const ctx = verifyContext(release) // step 1
  const document = await openDocument(file, taker.secret, notForNode) // step 2
  const seat = seatOf(release, device)
  // Step 3.
  const isExpected =
    document !== undefined &&
    isOwnedBy(document, { ctx, holder, device }) &&
    isMeantFor(document, expected, taker)
  if (!isExpected || seat?.holder.name !== holder) throw notForRelease()
  // Step 4.
  const notAfter = asCount(field(document, "notAfter"))
  if (notAfter === undefined) throw notForRelease()
  if (taker.now > notAfter) {
    throw new SealError("GRANT_EXPIRED", `a grant of ${holder} ended at ${notAfter}`)
  }
  // Step 5.
  const share = base64Field(document, "share")
  if (share === undefined || !isShareOf(share, seat, ctx)) throw wrongShare(holder, device)
  return { holder, device, share, notAfter }
}

function isMeantFor(
  document: JsonObject,
  { digest }: ExpectedGrant,
  { recipient }: GrantTaker,
): boolean {
  return (
    field(document, "release") === encodeHex(digest) && field(document, "recipient") === recipient
  )
}

function notForNode(cause: unknown): SealError {
  return new SealError("GRANT_NOT_FOR_THIS_NODE", "a grant does not open", { cause })
}

function notForRelease(): SealError {
  const message = "a grant names another release, holder, device or recipient"
  return new SealError("GRANT_NOT_FOR_THIS_RELEASE", message)
}

function wrongShare(holder: string, device: Uint8Array): SealError {
  const details = { holder, device: encodeHex(device) }
  const message = `device ${details.device} of ${holder} granted a wrong share`
  return new SealError("SHARE_WRONG", message, { details })
}
