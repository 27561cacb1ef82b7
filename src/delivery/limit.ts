/**
 * The times and sizes of delivery, and what it stands on.
 * @module
 */
import type { Clock } from "../core/clock.ts"
import { STALL_MS_MAX, UPSTREAM_ANSWER_MS_MAX } from "../core/limits.ts"
import type { Logger } from "../core/log.ts"
import type { Metrics } from "../core/metrics.ts"
import type { PeerId, PeerNetwork } from "../net/net.ts"
import type { BlobPlaces } from "../store/blob-places.ts"
import type { BlobStore } from "../store/store.ts"
import type { Access } from "../swarm/access.ts"
import type { Shaping } from "../swarm/shaping.ts"
import type { Swarm } from "../swarm/swarm.ts"
import type { Origin, OriginRef } from "./origin.ts"

/** What delivery stands on. */
export interface DeliveryDeps {
  readonly store: BlobStore
  readonly swarm: Swarm
  readonly net: PeerNetwork
  readonly origin: Origin
  readonly clock: Clock
  readonly log: Logger
  readonly metrics: Metrics
  /** Limits what comes from origins; nothing is limited when left out. */
  readonly shaping?: Shaping | undefined
  /** What peers may by the fleet's access list; without a fleet, and when left out, everything. */
  readonly access?: Access | undefined
  /** Where blobs belong; in a fleet one without a place is given to nobody. */
  readonly places?: BlobPlaces | undefined
}

export interface DeliveryLimits {
  /** Of all blobs, in place of what their sizes give; all nodes must agree on it. For tests. */
  readonly segmentBytes: number | undefined
  /** A source that gives nothing for this long loses its work to another. */
  readonly stallMs: number
  /** The same, while other blobs of its origin grow: its link is full, and everybody waits for a turn. */
  readonly busyStallMs: number
  /** Within this time a reader has its first bytes, or an error, unless something moves. */
  readonly answerMs: number
  /** A stream that has begun is broken after this time without progress from any source. */
  readonly breakMs: number
  /** The same, when a peer says that this node has to wait for its turn, or other blobs of its origin grow. */
  readonly queueMs: number
  /** A flight for which nobody waits goes on for this long. */
  readonly graceMs: number
}

/** How delivery is set up. */
export interface DeliveryOptions {
  readonly limits?: Partial<DeliveryLimits>
  /** Tells whether a peer may make this node fetch from that repository; all may when left out. */
  readonly mayAsk?: (peer: PeerId, ref: OriginRef) => boolean
  /** Tells whether a connected peer takes part in elections; all do when left out. */
  readonly isMember?: (peer: PeerId) => boolean
}

export const DELIVERY_LIMITS: DeliveryLimits = {
  segmentBytes: undefined,
  stallMs: STALL_MS_MAX,
  busyStallMs: 3 * STALL_MS_MAX,
  answerMs: UPSTREAM_ANSWER_MS_MAX,
  breakMs: 10_000,
  queueMs: 60_000,
  graceMs: 5_000,
}

/** A flight looks around at least this often. */
export const TICK_MS = 250
