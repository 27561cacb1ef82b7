/**
 * What a node says that its witnesses have left behind, or that hears none of them (protocol/beacon.md
 * §5, judging).
 * @module
 */
import type { HeldBack, Unheard } from "./beacon-judge.ts"
import { FleetError } from "./errors.ts"

/** What its operator should look at, and what stops nothing. */
export interface FleetWarning {
  readonly code: "WITNESSES_UNHEARD"
  /** For the operator: what it is, and what ends it. */
  readonly message: string
}

/** The error of a node that knows that it has not what is newest. */
export function heldBackError({ count, total, lacks }: HeldBack): FleetError {
  const message = `${count} of the fleet's ${total} witnesses have something newer than this node (${lacks.join(", ")}), and it gets none of it: it begins nothing new until it has; what runs goes on; see whom it can reach, and if these witnesses are wrong, name others`
  return new FleetError("FLEET_HELD_BACK", message, { details: { count, total, lacks } })
}

/**
 * Checks that a node is not known to lack what is newest in its fleet.
 * @throws {@link FleetError} `FLEET_HELD_BACK`
 */
export function verifyNotHeldBack(node: { heldBack(): HeldBack | undefined }): void {
  const heldBack = node.heldBack()
  if (heldBack !== undefined) throw heldBackError(heldBack)
}

/** Gives what is to be said of a node; nothing when it hears enough witnesses. */
export function warningsOf(
  node: { unheard(): Unheard | undefined } | undefined,
): readonly FleetWarning[] {
  const unheard = node?.unheard()
  if (unheard === undefined) return []
  const { heard, needed, total } = unheard
  const message = `${heard} of the fleet's ${total} witnesses have been heard of in the last hour, and it takes ${needed} to know that nothing newer is kept from this node: it may be cut off, or its clock is wrong; nothing is stopped by that`
  return [{ code: "WITNESSES_UNHEARD", message }]
}
