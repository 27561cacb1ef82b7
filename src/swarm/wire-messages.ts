/**
 * The messages of the BitTorrent wire: BEP 3, BEP 6 (fast), BEP 10 (extended), and the numbers of our
 * own extended messages (protocol/wire-extension.md).
 * @module
 */
import { createHash } from "node:crypto"
import { BLOCK_BYTES } from "../core/limits.ts"

/** Message ids. */
export const MESSAGE = {
  choke: 0,
  unchoke: 1,
  interested: 2,
  notInterested: 3,
  have: 4,
  bitfield: 5,
  request: 6,
  piece: 7,
  cancel: 8,
  port: 9,
  suggest: 13,
  haveAll: 14,
  haveNone: 15,
  reject: 16,
  allowedFast: 17,
  extended: 20,
} as const

/** Ids of extended messages; on a channel they are fixed, so that nobody waits for a handshake. */
export const EXTENDED = {
  /** BEP 10's own. */
  handshake: 0,
  open: 1,
  opened: 2,
  refused: 3,
  close: 4,
  context: 5,
  pieceList: 6,
  dontHave: 7,
  /** Not on channels: BEP 9, with standard clients. */
  metadata: 8,
  /** The same: BEP 11. */
  exchange: 9,
} as const

/** Names of the extended messages in the extended handshake. */
export const CHANNEL_EXTENSIONS: Readonly<Record<string, number>> = {
  lt_donthave: EXTENDED.dontHave,
  sl_close: EXTENDED.close,
  sl_context: EXTENDED.context,
  sl_open: EXTENDED.open,
  sl_opened: EXTENDED.opened,
  sl_piece_list: EXTENDED.pieceList,
  sl_refused: EXTENDED.refused,
}

/** Length of a handshake in bytes. */
export const HANDSHAKE_BYTES = 68
/** Length of everything of a `piece` message before its block. */
export const PIECE_HEAD_BYTES = 13
/** Length of a whole `request`, `cancel` or `reject` message. */
export const REQUEST_BYTES = 17
/** Largest block that is served: standard clients ask 16 KiB; some asked more, long ago. */
export const SERVED_BLOCK_BYTES_MAX: number = 8 * BLOCK_BYTES

const PROTOCOL = Buffer.from("\x13BitTorrent protocol", "latin1")

/** The info-hash of a channel, which carries many torrents (protocol/wire-extension.md, Handshake). */
export const CHANNEL_INFO_HASH: Uint8Array = createHash("sha1")
  .update("sealift/channel/v1")
  .digest()

/** What a handshake says. */
export interface Handshake {
  readonly infoHash: Uint8Array
  readonly peerId: Uint8Array
  /** BEP 6. */
  readonly hasFast: boolean
  /** BEP 10. */
  readonly hasExtended: boolean
}

/** Encodes a handshake that offers BEP 6 and BEP 10. */
export function encodeHandshake(infoHash: Uint8Array, peerId: Uint8Array): Uint8Array {
  const bytes = Buffer.alloc(HANDSHAKE_BYTES)
  PROTOCOL.copy(bytes)
  bytes[25] = 0x10
  bytes[27] = 0x04
  bytes.set(infoHash, 28)
  bytes.set(peerId, 48)
  return bytes
}

/** Parses the first 68 bytes of a connection; undefined if they are no handshake. */
export function parseHandshake(bytes: Uint8Array): Handshake | undefined {
  if (bytes.length !== HANDSHAKE_BYTES) return undefined
  if (Buffer.compare(bytes.subarray(0, PROTOCOL.length), PROTOCOL) !== 0) return undefined
  return {
    infoHash: bytes.slice(28, 48),
    peerId: bytes.slice(48, 68),
    hasFast: (bytes[27]! & 0x04) !== 0,
    hasExtended: (bytes[25]! & 0x10) !== 0,
  }
}
