/**
 * The fingerprint of a node: what its operator compares before it is admitted (protocol/fleet.md §4).
 * @module
 */
import { encodeHex } from "../core/byte-text.ts"
import { sha256 } from "../core/digest.ts"
import { lengthPrefixed } from "../core/length-prefix.ts"
import type { PeerId } from "../net/net.ts"

const LABEL = "sealift/fingerprint/v1"
/** Bytes that are shown: whoever wants another node with the same ones makes 2^128 keys. */
const SHOWN_BYTES = 16
const GROUP = /.{4}/g

/**
 * Gives the fingerprint of a node in a fleet: 8 groups of 4 hex digits with spaces between.
 * @param fleet - the fleet id, 64 lower-case hex digits
 */
export function fingerprintOf(fleet: string, peer: PeerId): string {
  const hash = sha256(lengthPrefixed(LABEL, Buffer.from(fleet, "hex"), peer))
  const groups = encodeHex(hash.subarray(0, SHOWN_BYTES)).match(GROUP)
  return (groups ?? []).join(" ")
}
