/**
 * What can go wrong in the swarm. Faults of remote peers on the wire are values ({@link WireFault}),
 * never exceptions.
 * @module
 */
import { CodedError } from "../core/errors.ts"

/** Codes of the swarm. */
export type SwarmErrorCode =
  /** Bytes that are not canonical bencoding, or over its limits (BEP 3). */
  | "BENCODE_INVALID"
  /** A SHA-1 list or info dictionary that does not fit the blob (protocol/metainfo.md). */
  | "METAINFO_INVALID"
  /** A holdings message that is malformed or over its limits (protocol/holdings.md). */
  | "HOLDINGS_INVALID"
  /** A blob that is not made public: not here, or it must not leave this node. */
  | "PUBLIC_REFUSED"
  /** The port for standard clients cannot be opened. */
  | "PUBLIC_PORT_IN_USE"
  /** A tracker that cannot be reached, refuses, or answers nonsense. */
  | "TRACKER_FAILED"
  /** A web seed that answers something else than the range that was asked. */
  | "WEB_SEED_FAILED"
  /** A WebRTC connection cannot be made. */
  | "RTC_FAILED"
  /** A message about a zone that is malformed (protocol/zone.md). */
  | "ZONE_INVALID"
  /** The swarm is stopped. */
  | "SWARM_STOPPED"

export class SwarmError extends CodedError<SwarmErrorCode> {}

/** Why a wire connection is given up: what the other side did against the protocol. */
export type WireFaultCode =
  /** The first 68 bytes are no BitTorrent handshake, or name another info-hash. */
  | "HANDSHAKE_INVALID"
  /** A message of a length that its kind cannot have, or over the limit. */
  | "MESSAGE_LENGTH_INVALID"
  /** An extended message that cannot be read. */
  | "EXTENSION_INVALID"
  /** A piece, block or torrent number out of bounds. */
  | "INDEX_INVALID"
  /** More requests, torrents or unasked blocks than allowed. */
  | "LIMIT_EXCEEDED"

/** A fault of the other side. */
export interface WireFault {
  readonly code: WireFaultCode
  readonly message: string
}
