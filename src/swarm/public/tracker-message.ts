/**
 * Messages of WebTorrent trackers: JSON over a WebSocket, info-hashes and ids as text of one character
 * per byte (protocol/public-torrent.md, WebSocket trackers).
 * @module
 */
import { SDP_CHARS_MAX } from "./rtc-peers.ts"

/** Longest message from a tracker, bytes: an offer and its frame. */
export const TRACKER_MESSAGE_BYTES_MAX: number = 64 * 1024
const ID_BYTES = 20
const OFFER_ID_CHARS_MAX = 64

/** What a tracker says. */
export type TrackerMessage =
  | { readonly kind: "interval"; readonly infoHash: string; readonly seconds: number }
  | { readonly kind: "failure"; readonly infoHash: string | undefined; readonly reason: string }
  | ({ readonly kind: "offer" } & Signal)
  | ({ readonly kind: "answer" } & Signal)

/** A description from another client. */
export interface Signal {
  /** 20 bytes, hex. */
  readonly infoHash: string
  /** Who sent it, as the tracker has it. */
  readonly peerId: string
  /** As the tracker has it. */
  readonly offerId: string
  readonly sdp: string
}

/** Reads a message; undefined for one that is malformed or says nothing of use. */
export function parseTrackerMessage(text: string): TrackerMessage | undefined {
  const fields = fieldsOf(text)
  if (fields === undefined || fields.action !== "announce") return undefined
  const infoHash = hexOf(fields.info_hash)
  const reason = fields["failure reason"]
  if (typeof reason === "string") return { kind: "failure", infoHash, reason: reason.slice(0, 200) }
  if (infoHash === undefined) return undefined
  for (const kind of ["offer", "answer"] as const) {
    const sdp = sdpOf(fields[kind], kind)
    const { peer_id: peerId, offer_id: offerId } = fields
    if (sdp === undefined || typeof peerId !== "string" || typeof offerId !== "string") continue
    if (peerId.length !== ID_BYTES || offerId.length > OFFER_ID_CHARS_MAX) return undefined
    return { kind, infoHash, peerId, offerId, sdp }
  }
  const seconds = fields.interval
  if (typeof seconds !== "number" || !Number.isFinite(seconds)) return undefined
  return { kind: "interval", infoHash, seconds }
}

/** Writes bytes as such trackers want them: one character each. */
export function binaryText(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("latin1")
}

function fieldsOf(text: string): Readonly<Record<string, unknown>> | undefined {
  if (text.length > TRACKER_MESSAGE_BYTES_MAX) return undefined
  try {
    const value: unknown = JSON.parse(text)
    const isTable = typeof value === "object" && value !== null && !Array.isArray(value)
    return isTable ? (value as Readonly<Record<string, unknown>>) : undefined
  } catch {
    // A tracker that cannot spell has nothing to say.
    return undefined
  }
}

function hexOf(value: unknown): string | undefined {
  if (typeof value !== "string" || value.length !== ID_BYTES) return undefined
  return /^[\0-\xff]*$/.test(value) ? Buffer.from(value, "latin1").toString("hex") : undefined
}

function sdpOf(value: unknown, kind: "offer" | "answer"): string | undefined {
  if (typeof value !== "object" || value === null) return undefined
  if (!("sdp" in value) || !("type" in value) || value.type !== kind) return undefined
  const { sdp } = value
  return typeof sdp === "string" && sdp.length <= SDP_CHARS_MAX ? sdp : undefined
}
