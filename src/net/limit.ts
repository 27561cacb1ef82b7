/**
 * Every bound of this room that more than one of its files needs, with its unit in its name.
 * @module
 */

/** Largest gossip message. */
export const GOSSIP_BYTES_MAX: number = 64 * 1024
/** Bans that are remembered; the one that ends first gives way. */
export const BANS_MAX = 1024
/** Peers that are kept connected beyond those of the configuration. */
export const KEPT_PEERS_MAX = 256
/** Addresses of one invite that are tried. */
export const JOIN_ADDRESSES_MAX = 16
/** Requests of one peer and protocol that may run here at once; further ones wait unread. */
export const REQUESTS_PER_PEER_MAX = 64
/** Bytes that a data channel buffers in each direction before it asks to wait. */
export const CHANNEL_BUFFER_BYTES: number = 1024 * 1024
/** Streams of one request protocol that a peer may hold open here. */
export const REQUEST_STREAMS_PER_PEER_MAX = 4
/** A TLS handshake on a socket that stands; long, since a busy machine is not an unreachable one. */
export const HANDSHAKE_TIMEOUT_MS = 15_000
/** What an un-enrolled node sends with its invite, and what it gets for it (protocol/fleet.md §5). */
export const JOIN_REQUEST_BYTES_MAX: number = 16 * 1024
export const JOIN_ANSWER_BYTES_MAX: number = 32 * 1024 * 1024
/** Invites that are being redeemed here at once. */
export const JOINS_MAX = 8
/** All of one join, from the proof of the key on; long, since lists are signed and files are sent. */
export const JOIN_EXCHANGE_TIMEOUT_MS = 120_000
/** What one relayed connection may carry, both ways together, and how long it may last. */
export const RELAYED_BYTES_MAX: number = 64 * 1024 ** 3
export const RELAYED_MS_MAX = 7_200_000
/** What all relayed data channels of a node send together, unless it is told otherwise. */
export const RELAYED_BYTES_PER_SECOND: number = 2 * 1024 * 1024
