/**
 * A node's permanent identity as a signer of statements, and the keys of other nodes
 * (protocol/keys.md §5, protocol/fleet.md §4).
 * @module
 */
import { memoize } from "../core/memoize.ts"
import { publicKeyOf } from "../net/identity.ts"
import type { PeerId, PeerNetwork } from "../net/net.ts"
import { type PublicKey, publicKeyOfRaw } from "../trust/public-key.ts"
import type { Signer } from "../trust/signing-key.ts"
import { NODES_MAX } from "./access-list.ts"

/**
 * Gives the signer of a node. What a statement's envelope signs begins with `DSSEv1`, so it is nothing
 * else that this identity signs.
 * @throws TrustError `KEY_WEAK`; NetError `ADDRESS_INVALID` when the node has no true peer id
 */
export function peerSigner(net: Pick<PeerNetwork, "id" | "sign">): Signer {
  return {
    publicKey: publicKeyOfPeer(net.id),
    sign: async (bytes, options) => {
      options?.signal?.throwIfAborted()
      return await net.sign(bytes)
    },
  }
}

/**
 * Registers the key inside a peer id, so that its signatures may count. The first time costs about as
 * much as checking a signature.
 * @throws TrustError `KEY_WEAK`; NetError `ADDRESS_INVALID` when it is no peer id of an Ed25519 key
 */
export function publicKeyOfPeer(peer: PeerId): PublicKey {
  return registered(peer)
}

const registered: (peer: PeerId) => PublicKey = memoize(
  (peer) => publicKeyOfRaw(publicKeyOf(peer)),
  NODES_MAX,
)
