/**
 * Every bound of this room that more than one of its files needs, with its unit in its name.
 * @module
 */

/** Largest gossip message. */
export const GOSSIP_BYTES_MAX: number = 64 * 1024
/** Bans that are remembered; the one that ends first gives way. */
export const BANS_MAX = 1024
/** Requests of one peer and protocol that may run here at once; further ones wait unread. */
export const REQUESTS_PER_PEER_MAX = 64
/** Bytes that a data channel buffers in each direction before it asks to wait. */
export const CHANNEL_BUFFER_BYTES: number = 1024 * 1024
/** Streams of one request protocol that a peer may hold open here. */
export const REQUEST_STREAMS_PER_PEER_MAX = 4
/** A TLS handshake on a socket that stands; long, since a busy machine is not an unreachable one. */
export const HANDSHAKE_TIMEOUT_MS = 15_000
/** What one relayed connection may carry, both ways together, and how long it may last. */
export const RELAYED_BYTES_MAX: number = 64 * 1024 ** 3
export const RELAYED_MS_MAX = 7_200_000
/** What all relayed data channels of a node send together, unless it is told otherwise. */
export const RELAYED_BYTES_PER_SECOND: number = 2 * 1024 * 1024
