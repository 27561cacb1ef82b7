/**
 * What peers may have this node do, and where the blobs that an origin gave belong.
 * @module
 */
import type { Digest } from "../core/digest.ts"
import { messageOf } from "../core/errors.ts"
import type { PeerId } from "../net/net.ts"
import { createBlobRights, OPEN_ACCESS } from "../swarm/access.ts"
import type { DeliveryDeps } from "./limit.ts"
import type { OriginRef } from "./origin.ts"

/** The rights in elections. Without a fleet everybody has them all. */
export interface ElectionRights {
  /** Whether a peer may fetch from a repository: then this node may read there for it, and it for this node. */
  mayRead(peer: PeerId, ref: OriginRef): boolean
  /** Whether a peer may have a blob that is here. */
  mayFetch(peer: PeerId, digest: Digest): boolean
  /** The origin answers for a blob: it belongs there, unless it is here under another name. */
  noteAnswer(digest: Digest, ref: OriginRef): void
  /** The origin showed that it has the very bytes. */
  noteProof(digest: Digest, ref: OriginRef): void
}

/** Decides by the access list; nothing is decided where this node itself may not fetch. */
export function createElectionRights(
  deps: Pick<DeliveryDeps, "net" | "log" | "access" | "places">,
): ElectionRights {
  const { net, log, access = OPEN_ACCESS, places } = deps
  const rights = createBlobRights({ selfId: net.id, access, places })
  const noted = (digest: Digest, noting: Promise<void> | undefined) => {
    noting?.catch((error: unknown) => {
      log.warn({ digest, error: messageOf(error) }, "the place of a blob could not be kept")
    })
  }
  return {
    mayRead(peer, ref) {
      if (!access.isFleet()) return true
      const where = placeOf(ref)
      return access.may(peer, "fetch", where) && access.may(net.id, "fetch", where)
    },
    mayFetch: rights.mayFetch,
    noteAnswer: (digest, ref) => noted(digest, places?.propose(digest, placeOf(ref))),
    noteProof: (digest, ref) => noted(digest, places?.add(digest, placeOf(ref))),
  }
}

function placeOf({ registry, repository }: OriginRef): string {
  return `${registry}/${repository}`
}
