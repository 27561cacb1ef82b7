/**
 * A gate's grant that came by file: for which release it is, before it is taken
 * (protocol/release.md §5, counting a gate's grant).
 * @module
 */
import type { Fleet } from "../fleet/fleet.ts"
import { countingDevices } from "../trust/policy.ts"
import type { PublicKey } from "../trust/public-key.ts"
import { formatAssetVersion } from "./asset-name.ts"
import { ReleaseError } from "./errors.ts"
import type { GateTarget } from "./gate-asking.ts"
import { readGateGrant } from "./gate-grant.ts"
import type { ReleaseBook } from "./releases.ts"

/**
 * Reads an envelope by the keys of every gate that is known here, and finds its release. Whether that
 * gate is the release's own is for who takes it.
 * @throws {@link ReleaseError} `NOT_IN_AUDIENCE` without a fleet, `RELEASE_UNKNOWN`,
 * `GATE_GRANT_INVALID`; {@link TrustError} as `readStatement`
 */
export async function readGateGrantHere(
  { book, fleet }: { readonly book: ReleaseBook; readonly fleet: Fleet },
  envelope: Uint8Array,
): Promise<GateTarget> {
  const { membership } = fleet
  if (membership === undefined) {
    throw new ReleaseError("NOT_IN_AUDIENCE", "this node is in no fleet")
  }
  const namespaces = new Set(book.list().map(({ release }) => release.said.asset.namespace))
  const keys = new Set<PublicKey>()
  for (const namespace of namespaces) {
    const gate = (await membership.policy(namespace))?.policy.gate
    for (const { key } of gate === undefined ? [] : countingDevices(gate)) keys.add(key)
  }
  const { said } = readGateGrant(envelope, { keys, fleet: membership.fleet })
  const { asset, digest } = said.release
  const known = book.find(asset)
  if (known?.release.digest !== digest) {
    throw new ReleaseError("RELEASE_UNKNOWN", `${formatAssetVersion(asset)} is not known here`)
  }
  const { release } = known
  const { content } = release.said
  if (content.visibility !== "sealed") {
    throw new ReleaseError("GATE_GRANT_INVALID", `${formatAssetVersion(asset)} is not sealed`)
  }
  const { policy } = await book.policyOf(known)
  const { sealed } = content
  return { known, release, sealed, policy, node: membership.peer, nowMs: membership.nowMs() }
}
