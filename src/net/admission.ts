/**
 * Whom a node of a fleet knows (protocol/fleet.md §5): identity decides, so any host may come.
 * @module
 */
import type { Admission, PeerId } from "./net.ts"

/** A node without a fleet: everybody is admitted. */
export const NO_FLEET: Admission = { isFleet: () => false, isAdmitted: () => true }

/** Tells whether a peer gets more here than a closed connection. */
export function isAdmittedBy(admission: Admission, peer: PeerId): boolean {
  return !admission.isFleet() || admission.isAdmitted(peer)
}
