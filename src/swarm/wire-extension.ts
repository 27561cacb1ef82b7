/**
 * Our own extended messages on a channel (protocol/wire-extension.md): open a torrent by digest,
 * answer, refuse, close. Their payloads are fixed-width binary.
 * @module
 */
import { Bitfield, isBitfield } from "../core/bitfield.ts"
import { type Digest, digestOfRaw, rawOf, SHA256_BYTES } from "../core/digest.ts"
import { BLOB_BYTES_MAX } from "../core/limits.ts"
import { pieceLayout } from "../core/piece.ts"
import { type BencodeValue, dictionaryOf, encodeBencode, parseBencode } from "./bencode.ts"
import { CHANNEL_EXTENSIONS } from "./wire-messages.ts"

/** Requests that a node keeps queued for one torrent of one peer; more is a fault. */
export const REQUESTS_QUEUED_MAX = 8192

const FLAG_COMPLETE = 1
const FLAG_CHOKED = 2
const FLAGS_KNOWN: number = FLAG_COMPLETE | FLAG_CHOKED
const OPENED_HEAD_BYTES = 13

/** The wish to fetch a blob under a number. */
export interface Open {
  readonly torrent: number
  readonly digest: Digest
}

/** The answer to {@link Open} when the blob may be had. */
export interface Opened {
  readonly torrent: number
  readonly sizeBytes: number
  readonly isChoked: boolean
  /** What the answering node has; a copy. */
  readonly pieces: Bitfield
}

export function encodeOpen(open: Open): Uint8Array {
  const bytes = Buffer.alloc(4 + SHA256_BYTES)
  bytes.writeUInt32BE(open.torrent)
  bytes.set(rawOf(open.digest), 4)
  return bytes
}

/** Parses an `open`; undefined if it is malformed. */
export function parseOpen(payload: Uint8Array): Open | undefined {
  if (payload.length !== 4 + SHA256_BYTES) return undefined
  return { torrent: numberAt(payload, 0), digest: digestOfRaw(payload.subarray(4)) }
}

export function encodeOpened(opened: Opened): Uint8Array {
  const { isFull, bytes } = opened.pieces
  const head = Buffer.alloc(OPENED_HEAD_BYTES)
  head.writeUInt32BE(opened.torrent)
  head.writeBigUInt64BE(BigInt(opened.sizeBytes), 4)
  head[12] = (isFull ? FLAG_COMPLETE : 0) | (opened.isChoked ? FLAG_CHOKED : 0)
  return isFull ? head : Buffer.concat([head, bytes])
}

/** Parses an `opened`; undefined if it is malformed. */
export function parseOpened(payload: Uint8Array): Opened | undefined {
  if (payload.length < OPENED_HEAD_BYTES) return undefined
  const sizeBytes = Number(viewOf(payload).getBigUint64(4))
  const flags = payload[12]!
  if (sizeBytes > BLOB_BYTES_MAX || (flags & ~FLAGS_KNOWN) !== 0) return undefined
  const { count } = pieceLayout(sizeBytes)
  const rest = payload.subarray(OPENED_HEAD_BYTES)
  const isComplete = (flags & FLAG_COMPLETE) !== 0
  if (isComplete ? rest.length !== 0 : !isBitfield(count, rest)) return undefined
  const pieces = isComplete ? Bitfield.full(count) : new Bitfield(count, rest)
  const isChoked = (flags & FLAG_CHOKED) !== 0
  return { torrent: numberAt(payload, 0), sizeBytes, isChoked, pieces }
}

/** Encodes a payload that is a torrent's number, or a piece's: refused, close, context, dontHave. */
export function encodeNumber(value: number): Uint8Array {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}

/** Parses such a payload; undefined if it is malformed. */
export function parseNumber(payload: Uint8Array): number | undefined {
  return payload.length === 4 ? numberAt(payload, 0) : undefined
}

/** Encodes the extended handshake of a channel (BEP 10). */
export function encodeChannelHandshake(version: string): Uint8Array {
  return encodeBencode(
    dictionaryOf({
      m: dictionaryOf({ ...CHANNEL_EXTENSIONS }),
      reqq: REQUESTS_QUEUED_MAX,
      v: `Sealift ${version}`,
    }),
  )
}

/**
 * Tells whether an extended handshake agrees with the fixed ids of a channel: each name of ours that
 * it knows has our id. Names that it lacks are messages that it will ignore.
 */
export function isChannelHandshake(payload: Uint8Array): boolean {
  const names = extensionNames(payload)
  if (names === undefined) return false
  return Object.entries(CHANNEL_EXTENSIONS).every(([name, id]) => names.get(name) === id)
}

/** Reads the `m` dictionary of an extended handshake; undefined if it is malformed. */
export function extensionNames(payload: Uint8Array): ReadonlyMap<string, BencodeValue> | undefined {
  try {
    const handshake = parseBencode(payload)
    const names = handshake instanceof Map ? handshake.get("m") : undefined
    return names instanceof Map ? names : undefined
  } catch {
    // A fault of the other side is a value here: the caller gives the connection up.
    return undefined
  }
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

function numberAt(bytes: Uint8Array, offset: number): number {
  return viewOf(bytes).getUint32(offset)
}
