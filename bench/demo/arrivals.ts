/**
 * Who gave a node what: read from the node's own log, one line per blob that arrived.
 * @module
 */
import type { NodeProcess } from "../node-process.ts"

/** The message of the line that `delivery` writes when a blob is whole. */
const ARRIVED = "a blob arrived"

/** Bytes of blobs that one node received, by sender. */
export interface Receipts {
  readonly fromOrigin: number
  /** By peer id. */
  readonly fromPeers: ReadonlyMap<string, number>
}

interface ArrivalLine {
  readonly msg: string
  readonly fromOriginBytes: number
  readonly sources: Readonly<Record<string, number>>
}

/** Sums up all arrivals that a node has logged so far. */
export function readReceipts(node: NodeProcess): Receipts {
  const fromPeers = new Map<string, number>()
  let fromOrigin = 0
  for (const text of node.logLines()) {
    const line = parseArrival(text)
    if (line === undefined) continue
    fromOrigin += line.fromOriginBytes
    for (const [peer, bytes] of Object.entries(line.sources)) {
      fromPeers.set(peer, (fromPeers.get(peer) ?? 0) + bytes)
    }
  }
  return { fromOrigin, fromPeers }
}

/** Gives an arrival, or undefined for any other line, or a part of one. */
function parseArrival(text: string): ArrivalLine | undefined {
  if (!text.startsWith("{") || !text.endsWith("}")) return undefined
  const line = JSON.parse(text) as Partial<ArrivalLine>
  return line.msg === ARRIVED ? (line as ArrivalLine) : undefined
}
