/**
 * The messages in which nodes tell each other what they hold (protocol/holdings.md).
 * @module
 */
import { type Digest, digestOfRaw, rawOf, SHA256_BYTES } from "../core/digest.ts"
import { BLOB_BYTES_MAX } from "../core/limits.ts"
import { SwarmError } from "./errors.ts"

/** Most entries of one message: 820 KB. */
export const HOLDINGS_ENTRIES_MAX = 20_000

const VERSION = 1
const HEAD_BYTES = 6
const ENTRY_BYTES: number = SHA256_BYTES + 9

/**
 * `summary` replaces all that was told before; `delta` adds to it; `ask` wants an answer; `offer` asks
 * the receiver to keep copies.
 */
export type HoldingsKind = "summary" | "delta" | "ask" | "offer"
const KINDS: readonly HoldingsKind[] = ["summary", "delta", "ask", "offer"]

/** What a node has of a blob. */
export type HoldingState = "gone" | "partial" | "complete"
const STATES: readonly HoldingState[] = ["gone", "partial", "complete"]

export interface Holding {
  readonly digest: Digest
  readonly sizeBytes: number
  readonly state: HoldingState
}

export interface HoldingsMessage {
  readonly kind: HoldingsKind
  readonly holdings: readonly Holding[]
}

/** Encodes a message of at most {@link HOLDINGS_ENTRIES_MAX} entries. */
export function encodeHoldings(message: HoldingsMessage): Uint8Array {
  const { kind, holdings } = message
  const bytes = Buffer.alloc(HEAD_BYTES + holdings.length * ENTRY_BYTES)
  bytes[0] = VERSION
  bytes[1] = KINDS.indexOf(kind)
  bytes.writeUInt32BE(holdings.length, 2)
  let at = HEAD_BYTES
  for (const { digest, sizeBytes, state } of holdings) {
    bytes.set(rawOf(digest), at)
    bytes.writeBigUInt64BE(BigInt(sizeBytes), at + SHA256_BYTES)
    bytes[at + SHA256_BYTES + 8] = STATES.indexOf(state)
    at += ENTRY_BYTES
  }
  return bytes
}

/**
 * Parses a message from another node.
 * @throws {@link SwarmError} `HOLDINGS_INVALID`
 */
export function parseHoldings(bytes: Uint8Array): HoldingsMessage {
  if (bytes.length < HEAD_BYTES || bytes[0] !== VERSION) throw invalid("not version 1")
  const kind = KINDS[bytes[1]!]
  if (kind === undefined) throw invalid(`kind ${bytes[1]}`)
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const count = view.getUint32(2)
  if (count > HOLDINGS_ENTRIES_MAX) throw invalid(`${count} entries`)
  if (bytes.length !== HEAD_BYTES + count * ENTRY_BYTES) throw invalid("length")
  const holdings: Holding[] = []
  for (let at = HEAD_BYTES; at < bytes.length; at += ENTRY_BYTES) {
    const sizeBytes = Number(view.getBigUint64(at + SHA256_BYTES))
    const state = STATES[bytes[at + SHA256_BYTES + 8]!]
    if (sizeBytes > BLOB_BYTES_MAX || state === undefined) throw invalid("entry")
    const digest = digestOfRaw(bytes.subarray(at, at + SHA256_BYTES))
    holdings.push({ digest, sizeBytes, state })
  }
  return { kind, holdings }
}

function invalid(what: string): SwarmError {
  return new SwarmError("HOLDINGS_INVALID", `holdings message: ${what}`)
}
