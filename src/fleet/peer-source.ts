/**
 * Another node as a source of TUF files: it is not trusted (protocol/fleet.md §5, the TUF exchange).
 * @module
 */
import type { Clock } from "../core/clock.ts"
import { requestWithin } from "../net/deadline.ts"
import { refusalCode } from "../net/errors.ts"
import type { PeerId, PeerNetwork } from "../net/net.ts"
import { type TufSource, tooLarge } from "../trust/tuf/tuf-source.ts"
import { encodeFileRequest, TUF_PROTOCOL } from "./tuf-message.ts"

/** A file has 4 MiB at most; a peer that needs longer for one is no help. */
const FILE_TIMEOUT_MS = 15_000

/** What is needed to ask. */
export interface PeerSourceDeps {
  readonly net: Pick<PeerNetwork, "request">
  readonly clock: Clock
}

/** Gives the files that a peer has accepted. */
export function peerSource(deps: PeerSourceDeps, peer: PeerId): TufSource {
  return {
    read: async (name, { bytesMax, signal }) => {
      const body = encodeFileRequest({ name, bytesMax })
      const asked = { peer, protocol: TUF_PROTOCOL, body, timeoutMs: FILE_TIMEOUT_MS }
      try {
        return await requestWithin(deps, asked, { signal })
      } catch (error) {
        signal?.throwIfAborted()
        const code = refusalCode(error)
        if (code === "TUF_FILE_UNKNOWN") return undefined
        throw code === "TUF_TOO_LARGE" ? tooLarge(name, bytesMax) : error
      }
    },
  }
}

/** Peers that are asked for one file. */
const SOURCES_MAX = 4

/** Gives the sources that are connected at the moment. */
export function peerSources(
  deps: PeerSourceDeps & { readonly net: Pick<PeerNetwork, "peers"> },
): readonly TufSource[] {
  return deps.net
    .peers()
    .slice(0, SOURCES_MAX)
    .map(({ id }) => peerSource(deps, id))
}
