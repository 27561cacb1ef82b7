/**
 * What clients of a public torrent tell of one another (BEP 11): compact lists of addresses.
 * @module
 */
import { type BencodeValue, parseBencode } from "../bencode.ts"
import type { PeerAddress } from "./torrent-link.ts"

/** Addresses of one message that are read (BEP 11: at most 50 of each family). */
const ADDRESSES_MAX = 100
const MESSAGE_BYTES_MAX = 16 * 1024
const FOUR_BYTES = 6
const SIX_BYTES = 18

/** Reads the added addresses of a message; none of one that is malformed. */
export function parseExchange(payload: Uint8Array): readonly PeerAddress[] {
  if (payload.length > MESSAGE_BYTES_MAX) return []
  try {
    const message = parseBencode(payload)
    if (!(message instanceof Map)) return []
    const four = parseCompact(message.get("added"), FOUR_BYTES)
    return [...four, ...parseCompact(message.get("added6"), SIX_BYTES)].slice(0, ADDRESSES_MAX)
  } catch {
    // A client that cannot spell is of use all the same.
    return []
  }
}

/**
 * Reads compact addresses (BEP 23 of 6 bytes each, BEP 7 of 18); those with port 0 are left out.
 * @returns none for a value of another kind, or of a length that does not fit
 */
export function parseCompact(
  value: BencodeValue | undefined,
  eachBytes: 6 | 18,
): readonly PeerAddress[] {
  if (!(value instanceof Uint8Array) || value.length % eachBytes !== 0) return []
  const addresses: PeerAddress[] = []
  const bytes = Buffer.from(value.buffer, value.byteOffset, value.length)
  for (let at = 0; at < bytes.length && addresses.length < ADDRESSES_MAX; at += eachBytes) {
    const portAt = at + eachBytes - 2
    const port = bytes.readUInt16BE(portAt)
    const host = hostOf(bytes.subarray(at, portAt))
    if (port !== 0) addresses.push({ host, port })
  }
  return addresses
}

function hostOf(bytes: Buffer): string {
  if (bytes.length === 4) return bytes.join(".")
  const groups = Array.from({ length: 8 }, (_, group) => bytes.readUInt16BE(group * 2))
  return groups.map((group) => group.toString(16)).join(":")
}
