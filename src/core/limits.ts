/**
 * Every bound that more than one room shares, with its unit in its name. A bound that one file alone
 * uses stands in that file.
 * @module
 */

const KIB = 1024
const MIB = 1024 * KIB
const GIB = 1024 * MIB

/** BitTorrent's unit of request (BEP 3: 2^14). */
export const BLOCK_BYTES: number = 16 * KIB
/** Smallest and largest piece; see `core/piece.ts`. */
export const PIECE_BYTES_MIN: number = 256 * KIB
export const PIECE_BYTES_MAX: number = 4 * MIB
/** Largest blob that is accepted, from anywhere. */
export const BLOB_BYTES_MAX: number = 1024 * GIB
/** Largest manifest that is accepted (OCI distribution spec, end-7: at least 4 MiB). */
export const MANIFEST_BYTES_MAX: number = 4 * MIB
/** Largest control message between peers: one request or one answer. */
export const CONTROL_MESSAGE_BYTES_MAX: number = 4 * MIB
/** Most parties of a policy or a release, devices of one of them, and inspectors. */
export const PARTIES_MAX = 16
export const DEVICES_MAX = 16
export const INSPECTORS_MAX = 16
/** Largest JSON document from a local client or an upstream that is not a manifest. */
export const JSON_BYTES_MAX: number = 4 * MIB
/** Deepest nesting of such a document. */
export const JSON_DEPTH_MAX = 64
/**
 * Within this time the front door has an answer or an upstream's fault. Clients are promised five
 * seconds; the rest is for the way to them on a busy machine.
 */
export const UPSTREAM_ANSWER_MS_MAX = 4_500
/** A peer or an origin that makes no progress for this long loses its requests to another. */
export const STALL_MS_MAX = 2_000
