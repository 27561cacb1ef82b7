/**
 * Whom a release is for, as its publisher says it: groups by name, nodes by peer id
 * (protocol/release.md §4, audience).
 * @module
 */
import type { AccessList } from "../fleet/access-list.ts"
import { AUDIENCE_MAX } from "./audience.ts"
import { ReleaseError } from "./errors.ts"

const NODE_PREFIX = "node:"
const GROUP_PREFIX = "group:"

/**
 * Gives the entries of an audience, sorted as bytes: groups at their present epoch.
 * @param names - `NAME` or `group:NAME`, and `node:PEERID`
 * @throws {@link ReleaseError} `AUDIENCE_UNKNOWN`, `PUBLISH_INVALID`
 */
export function resolveAudience(
  names: readonly string[],
  { members, groups, revoked }: AccessList,
): readonly string[] {
  const entries = names.map((name) => {
    if (name.startsWith(NODE_PREFIX)) {
      const peer = name.slice(NODE_PREFIX.length)
      if (members.has(peer) && !revoked.has(peer)) return name
      throw unknown(`node ${JSON.stringify(peer.slice(0, 64))} is not in the access list`)
    }
    const plain = name.startsWith(GROUP_PREFIX) ? name.slice(GROUP_PREFIX.length) : name
    const group = groups.get(plain)
    if (group !== undefined) return `${GROUP_PREFIX}${group.name}:${group.epoch}`
    throw unknown(`there is no group ${JSON.stringify(plain.slice(0, 64))} in the access list`)
  })
  const distinct = [...new Set(entries)]
  if (distinct.length < 1 || distinct.length > AUDIENCE_MAX) {
    const message = `a sealed release has an audience of 1 to ${AUDIENCE_MAX}, not ${distinct.length}`
    throw new ReleaseError("PUBLISH_INVALID", message)
  }
  return distinct.sort((one, other) => Buffer.compare(Buffer.from(one), Buffer.from(other)))
}

function unknown(reason: string): ReleaseError {
  return new ReleaseError("AUDIENCE_UNKNOWN", reason)
}
