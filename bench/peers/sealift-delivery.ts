/**
 * The delivery of a fetching side: all comes from peers, and no limit of a client ends it early.
 * @module
 */
import type { Delivery } from "../../src/delivery/delivery.ts"
import { OriginError } from "../../src/delivery/errors.ts"
import type { Origin } from "../../src/delivery/origin.ts"
import { createDelivery } from "../../src/delivery/road.ts"
import { type SealiftPeer, TOOLS } from "./sealift-peer.ts"

/** A transfer that takes longer hangs. */
export const TRANSFER_MS_MAX = 600_000
const NO_ORIGIN: Origin = {
  serves: () => false,
  fetchBlob: () => Promise.reject(new OriginError("ORIGIN_FORBIDDEN", "there is no origin")),
}

/** Makes the delivery as a node does, without an origin. */
export function createPeerDelivery({ store, net, swarm }: SealiftPeer): Delivery {
  const limits = { answerMs: TRANSFER_MS_MAX, breakMs: TRANSFER_MS_MAX }
  return createDelivery({ ...TOOLS, store, net, swarm, origin: NO_ORIGIN }, { limits })
}
