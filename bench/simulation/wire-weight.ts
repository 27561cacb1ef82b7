/**
 * What a message of the simulated wire weighs in truth. The simulation carries blocks that are shorter
 * than real ones, and fewer of them; see `reduced-scale.ts`.
 * @module
 */
import { BLOCK_BYTES, PIECE_BYTES_MIN } from "../../src/core/limits.ts"
import { EXTENDED, HANDSHAKE_BYTES, MESSAGE } from "../../src/swarm/wire-messages.ts"

/** Of the real world: BEP 3's block, and the smallest piece of protocol/metainfo.md. */
const REAL_BLOCK_BYTES: number = 16 * 1024
const REAL_PIECE_BYTES: number = 256 * 1024
/** Bytes that one byte of a block stands for; 1 where nothing is reduced. */
export const SCALE: number = REAL_PIECE_BYTES / PIECE_BYTES_MIN
/** Real blocks that one block stands for. */
export const BLOCKS: number = (BLOCK_BYTES * SCALE) / REAL_BLOCK_BYTES

/** Bytes that left a node, by what they were; without the headers of TCP/IP. */
export interface ControlBytes {
  /** Blocks: no control at all. */
  blocks: number
  /** Heads of blocks. */
  heads: number
  /** Requests, cancels, rejects. */
  requests: number
  haves: number
  /** Signed piece lists. */
  lists: number
  /** Chokes, interests, suggestions, and what opens and closes. */
  turns: number
  /** Who has what, who stands where: requests and answers of the control plane. */
  mails: number
}

export function noBytes(): ControlBytes {
  return { blocks: 0, heads: 0, requests: 0, haves: 0, lists: 0, turns: 0, mails: 0 }
}

/**
 * Adds up what a write of whole messages would be in the real world.
 * @returns real bytes
 */
export function weigh(chunk: Buffer, counted: ControlBytes): number {
  let weight = 0
  let at = 0
  if (chunk[0] === HANDSHAKE_HEAD) {
    counted.turns += HANDSHAKE_BYTES
    weight += HANDSHAKE_BYTES
    at = HANDSHAKE_BYTES
  }
  while (at < chunk.length) {
    const length = 4 + chunk.readUInt32BE(at)
    weight += weighOne(chunk, at, length, counted)
    at += length
  }
  return weight
}

/** First byte of a handshake; as a length it would be 318 MB. */
const HANDSHAKE_HEAD = 19

function weighOne(chunk: Buffer, at: number, length: number, counted: ControlBytes): number {
  switch (chunk[at + 4]) {
    case MESSAGE.piece: {
      const blockBytes = (length - 13) * SCALE
      const headBytes = 13 * Math.ceil(blockBytes / REAL_BLOCK_BYTES)
      counted.blocks += blockBytes
      counted.heads += headBytes
      return blockBytes + headBytes
    }
    case MESSAGE.request:
    case MESSAGE.cancel:
    case MESSAGE.reject: {
      const blockBytes = chunk.readUInt32BE(at + 13) * SCALE
      const weight = length * Math.ceil(blockBytes / REAL_BLOCK_BYTES)
      counted.requests += weight
      return weight
    }
    case MESSAGE.have:
      counted.haves += length
      return length
    case MESSAGE.extended:
      counted[chunk[at + 5] === EXTENDED.pieceList ? "lists" : "turns"] += length
      return length
    default:
      counted.turns += length
      return length
  }
}
