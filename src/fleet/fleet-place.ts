/**
 * How far the files of a fleet have come, by their versions: what a witness says in its beacon, and what
 * a node compares it with (protocol/beacon.md §4).
 * @module
 */

/** What has a version of its own; the first decides before the others. */
export const PLACE_NAMES = ["root", "timestamp", "snapshot", "targets", "access", "plan"] as const

export type PlaceName = (typeof PLACE_NAMES)[number]

/** Versions that count somewhere; 0: nothing of it was accepted yet, or there is none. */
export type FleetPlace = Readonly<Record<PlaceName, number>>

/**
 * Tells what somebody has newer than it is here.
 * @returns nothing where it is as new here, or newer
 */
export function lackedOf(here: FleetPlace, there: FleetPlace): readonly PlaceName[] {
  // protocol/beacon.md §4: a new root may begin other versions anew, so they compare only under one root.
  if (there.root !== here.root) return there.root > here.root ? ["root"] : []
  return PLACE_NAMES.filter((name) => there[name] > here[name])
}

export function isSamePlace(one: FleetPlace, other: FleetPlace): boolean {
  return PLACE_NAMES.every((name) => one[name] === other[name])
}
