/**
 * What can go wrong when things are sealed or opened.
 * @module
 */
import { CodedError } from "../core/errors.ts"

/** Codes of sealing and opening. */
export type SealErrorCode =
  /** A length that no payload, or no plaintext, has (protocol/sealed-payload.md §4, §7). */
  | "PAYLOAD_LENGTH_INVALID"
  /** A chunk does not open: other bytes, another place, another end or another key (§5). */
  | "PAYLOAD_CORRUPT"
  /** The file that is being sealed changed meanwhile (§5). */
  | "PAYLOAD_CHANGED"
  /** Not the context of the release's fields, or no sorted audience (protocol/key-schedule.md §5). */
  | "CONTEXT_WRONG"
  /** Not the parties in order and the gate, or one that can never be enough (§5). */
  | "HOLDERS_WRONG"
  /** One ciphertext has two file keys (§5). */
  | "FILE_KEY_CONFLICT"
  /** No age recipient that is known here (§4). */
  | "RECIPIENT_INVALID"
  /** A classical recipient where post-quantum ones are asked for (§4). */
  | "RECIPIENT_NOT_POST_QUANTUM"
  /** No age identity that is known here (§4). */
  | "IDENTITY_INVALID"
  /** An age file that is broken, too large, for somebody else, or for several (§4). */
  | "AGE_FILE_NOT_OPENED"
  /** No share for this device, or one that it cannot open (§5). */
  | "SHARE_NOT_FOR_THIS_DEVICE"
  /** A share of another release, holder or device (§5). */
  | "SHARE_NOT_FOR_THIS_RELEASE"
  /** A grant that this node cannot open (§5). */
  | "GRANT_NOT_FOR_THIS_NODE"
  /** A grant of another release, holder, device or recipient (§5). */
  | "GRANT_NOT_FOR_THIS_RELEASE"
  /** A grant whose time is over (§5). */
  | "GRANT_EXPIRED"
  /** Holders of whom there are too few shares (§5). */
  | "SHARES_MISSING"
  /** A share or part that its commitment does not hold for (§5). */
  | "SHARE_WRONG"
  /** A release key that its commitment does not hold for (§5). */
  | "RELEASE_KEY_WRONG"
  /** An inspector's file that does not open with this key, or is of another release (§5). */
  | "NOT_FOR_THIS_INSPECTOR"
  /** A bag that does not open, or whose files are not the release's (§5). */
  | "BAG_INVALID"
  /** A file key that its commitment does not hold for (§5). */
  | "FILE_KEY_WRONG"

export class SealError extends CodedError<SealErrorCode> {}
