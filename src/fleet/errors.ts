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

export class FleetError extends CodedError<FleetErrorCode> {}
