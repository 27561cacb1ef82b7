/**
 * What can go wrong with belonging to a fleet (protocol/fleet.md).
 * @module
 */
import { CodedError } from "../core/errors.ts"

/** Codes of the fleet. */
export type FleetErrorCode =
  /** An access list whose form or sense is wrong (fleet.md §4). */
  | "ACCESS_INVALID"
  /** An access list of another fleet (fleet.md §5, accepting a list). */
  | "FLEET_WRONG"
  /** An access list that is older than the accepted one, or another of its version (§5). */
  | "ACCESS_ROLLBACK"
  /** A group's epoch is below the accepted one (§5). */
  | "EPOCH_ROLLBACK"
  /** A device's public file whose form or proof is wrong (policy.md §4, a device's public file). */
  | "DEVICE_INVALID"
  /** A device's key file that others may read, that is none, or that does not open. */
  | "DEVICE_KEY_INVALID"
  /** A device's key file would be written where something is. */
  | "DEVICE_EXISTS"
  /** This node is in a fleet already, or keeps one that it cannot read. */
  | "FLEET_EXISTS"
  /** A file of `DATA/fleet` is broken, or others may read it. */
  | "FLEET_HOME_INVALID"
  /** This node is in no fleet, or the newest access list does not name it (fleet.md §6). */
  | "NOT_ENROLLED"
  /** A role's key is not on this node. */
  | "ROLE_KEY_MISSING"
  /** A peer id that is none, or whose key may not be registered (fleet.md §4). */
  | "PEER_INVALID"
  /** A node that the access list does not name. */
  | "PEER_UNKNOWN"
  /** A group's name that is none, or that the access list does not have. */
  | "GROUP_UNKNOWN"
  /** What was asked for would make a policy, an access list or an invite that no reader takes. */
  | "FLEET_REQUEST_INVALID"
  /** A policy that is older than one that was accepted here (policy.md §5, replacing a policy). */
  | "POLICY_ROLLBACK"
  /** A text that is no invite (fleet.md §4, the invite). */
  | "INVITE_INVALID"
  /** An invite that nobody gave out here, was used, or has run out; one answer to who asks (§5). */
  | "INVITE_REFUSED"
  /** An invite whose time is over, as its own text says. */
  | "INVITE_EXPIRED"
  /** An enrolment that its node has not signed, or of another invite (fleet.md §4). */
  | "ENROLMENT_INVALID"
  /** A file of TUF that this node does not have (fleet.md §5, the TUF exchange). */
  | "TUF_FILE_UNKNOWN"
  /** A bundle of TUF files whose form is wrong (fleet.md §4, fleet files). */
  | "FLEET_FILES_INVALID"
  /** Another desk has published meanwhile, so that what was signed here does not count. */
  | "DESK_CONFLICT"
  /** A draft whose form is wrong, or copies of different drafts (tuf-profile.md §4, drafts). */
  | "DRAFT_INVALID"
  /** A draft of a file that has been followed by another meanwhile. */
  | "DRAFT_OUTDATED"
  /** A key that has signed another file of the same version before. */
  | "DRAFT_CONFLICT"
  /** A key that has signed the draft already: another one is to be asked. */
  | "DRAFT_SIGNED"
  /** A desk that has met no node of its fleet since it started: what it keeps may be old. */
  | "DESK_UNMET"
  /** A node key's statement whose form, signature, fleet, counter, recipient or time is wrong (§5). */
  | "NODE_KEY_INVALID"
  /** A life sign whose form, signature or fleet is wrong (§5). */
  | "LIFE_SIGN_INVALID"
  /** Another node runs with this node's identity (§5, restored and cloned state). */
  | "NODE_CLONED"
  /** What this node keeps is older than what it has told its peers, and it has not caught up (§5). */
  | "NODE_RESTORED"
  /** No anchor gives the secret of an epoch: forbidden, unknown and absent are one answer (§5). */
  | "EPOCH_REFUSED"
  /** A secret's file that others may read, that is none, or that is another fleet's or group's. */
  | "SECRET_FILE_INVALID"
  /** A list of witnesses that is older than one that was accepted here (witness.md §5). */
  | "WITNESSES_ROLLBACK"
  /** A node that shall be a witness gives no key, or one that it cannot sign with (witness.md §5). */
  | "WITNESS_KEY_REFUSED"
  /** The clock and the witnesses of time are too far apart: nothing new is begun (witness.md §5). */
  | "CLOCK_BLOCKED"
  /** A beacon whose form, signature or fleet is wrong (beacon.md §5). */
  | "BEACON_INVALID"
  /** Enough witnesses have something newer than this node: nothing new is begun (beacon.md §5). */
  | "FLEET_HELD_BACK"

export class FleetError extends CodedError<FleetErrorCode> {}
