/**
 * The shapes of the control API (docs/api.md): JSON over HTTP/1 on a Unix socket, for the command
 * line and for programs on the same machine.
 * @module
 */

import type { Digest } from "../core/digest.ts"
import type { FlightReport } from "../delivery/delivery.ts"
import type { PeerSource } from "../net/net.ts"
import type { BlobStat, Pin, StoreUsage, SweepReport, VerifyFinding } from "../store/store.ts"
import type { SwarmStats } from "../swarm/swarm.ts"
import type { TrafficClass } from "../swarm/traffic-class.ts"
import type { NamedBy } from "./image-source.ts"

/** Body of every answer that is not 2xx, and last line of a stream that failed. */
export interface ErrorBody {
  readonly error: {
    readonly code: string
    readonly message: string
    readonly details?: Readonly<Record<string, unknown>> | undefined
  }
}

/** `GET /v1/id`, and the content of `DATA/node.json`. */
export interface NodeDescription {
  readonly peerId: string
  /** Base URL of the front door. */
  readonly http: string
  /** Multiaddrs with `/p2p/ID`. */
  readonly p2p: readonly string[]
  /** Path of the control socket. */
  readonly control: string
  readonly pid: number
  readonly version: string
}

/** Why a node begins nothing new. */
export interface Blocked {
  readonly code: string
  /** For the operator: what it is, and what ends it. */
  readonly message: string
}

/** What the operator should look at; nothing is stopped by it. */
export interface Warning {
  readonly code: string
  /** For the operator: what it is, and what ends it. */
  readonly message: string
}

/** `GET /v1/status`. */
export interface StatusReport extends NodeDescription {
  readonly data: string
  readonly isReady: boolean
  readonly uptimeSeconds: number
  readonly rssBytes: number
  readonly store: StoreUsage
  readonly swarm: SwarmStats
  readonly peerCount: number
  readonly flightCount: number
  /** Blobs that any BitTorrent client may have, and the port for clients while it is open. */
  readonly public: { readonly torrentCount: number; readonly port?: number }
  /** Why this node opens, grants and signs nothing; empty: nothing is in the way. */
  readonly blocked: readonly Blocked[]
  /** What is to be looked at; empty: nothing. */
  readonly warnings: readonly Warning[]
}

/** `GET /v1/peers`. */
export interface PeersReport {
  readonly peers: readonly {
    readonly id: string
    readonly addresses: readonly string[]
    readonly sources: readonly PeerSource[]
    /** IP address of the other end; left out when it is reached through a relay only. */
    readonly host?: string | undefined
    readonly connectedSinceMs: number
    readonly roundTripMs: number | undefined
    readonly trafficClass: TrafficClass
    /** The zone that it says it stands in. */
    readonly zone?: string | undefined
  }[]
  readonly bans: readonly {
    readonly peer: string
    readonly reason: string
    readonly untilMs: number
  }[]
}

/** `GET /v1/config`: one setting with the place that gave it. */
export interface ConfigReport {
  readonly entries: readonly {
    readonly key: string
    readonly value: unknown
    readonly source: string
  }[]
}

/** Limits in bytes per second; 0: lifted, left out: none. */
export interface LimitValues {
  readonly up?: number | undefined
  readonly down?: number | undefined
  readonly lanUp?: number | undefined
  readonly lanDown?: number | undefined
  readonly wanUp?: number | undefined
  readonly wanDown?: number | undefined
  readonly metered: boolean
}

/** `GET /v1/limits`; `POST` sets some of the values, `DELETE` takes back what was set. */
export interface LimitsReport {
  readonly inForce: LimitValues
  /** What was set while the node ran. */
  readonly override?: LimitValues | undefined
  /** When the schedule may change something. */
  readonly nextChangeMs?: number | undefined
  /** Bytes of data channels and origins since the start, by class. */
  readonly passedBytes: {
    readonly up: Readonly<Record<TrafficClass, number>>
    readonly down: Readonly<Record<TrafficClass, number>>
  }
}

/** `GET /v1/flights`. */
export interface FlightsReport {
  readonly flights: readonly FlightReport[]
}

/** One blob of `GET /v1/blobs`. */
export interface BlobRow {
  readonly digest: Digest
  readonly sizeBytes: number
  readonly isComplete: boolean
  readonly pieceCount: number
  readonly pieceTotal: number
  readonly isPinned: boolean
  readonly isShared: boolean
  readonly lastUsedMs: number
}

/** Lines of `GET /v1/blobs`: the blobs, then what they use together. */
export type BlobLine =
  | ({ readonly type: "blob" } & BlobRow)
  | ({ readonly type: "result" } & StoreUsage)
  | ErrorLine

/** One image of `GET /v1/images`: a tag that this node knows. */
export interface ImageRow {
  readonly ref: string
  readonly digest: Digest
  readonly mediaType: string
  /** Sum of the manifests and blobs that are named and here, bytes. */
  readonly presentBytes: number
  readonly isPinned: boolean
}

export interface ImagesReport {
  readonly images: readonly ImageRow[]
  /** True when there are more than one answer may hold. */
  readonly isTruncated: boolean
}

/** Body of `POST /v1/get` and `/v1/stage`. */
export interface ImageRequest {
  readonly ref: string
  /** `linux/arm64`, `linux/arm/v7`; this machine's when left out. */
  readonly platform?: string
  /** Every platform of an index. */
  readonly allPlatforms?: boolean
  /**
   * Keeps all of it from being swept after the last line until the client closes the connection (at
   * most {@link HOLD_MS_MAX}), so that it can be read or pinned meanwhile.
   */
  readonly hold?: boolean
}

/** Longest time that `hold` keeps an image, milliseconds. */
export const HOLD_MS_MAX = 3_600_000

/** An OCI descriptor, as far as it is used here. */
export interface Descriptor {
  readonly digest: Digest
  readonly mediaType: string
  readonly sizeBytes: number
  readonly platform?: string
}

/** What a look at an image found: `POST /v1/image/verify`. */
export interface ImageVerifyReport {
  readonly ref: string
  readonly digest: Digest
  readonly mediaType: string
  /** False when an index has platforms that were not chosen. */
  readonly isWhole: boolean
  readonly namedBy: NamedBy
  /** Manifests and blobs, and their bytes. */
  readonly parts: number
  readonly totalBytes: number
  readonly missing: readonly Digest[]
  readonly wrong: readonly Digest[]
}

/** A line of progress of an image on its way. */
export interface ProgressLine {
  readonly type: "progress"
  readonly ref: string
  readonly doneBytes: number
  readonly totalBytes: number
  readonly fromPeersBytes: number
  readonly fromOriginBytes: number
  readonly blobs: readonly {
    readonly digest: Digest
    readonly sizeBytes: number
    readonly doneBytes: number
    readonly state: FlightReport["state"] | "waiting"
  }[]
}

/** The last line of an image's stream: it is all here, every byte verified. */
export interface ImageLine {
  readonly type: "result"
  readonly ref: string
  /** What the reference named: an index or a manifest. */
  readonly digest: Digest
  readonly mediaType: string
  /** False when the index has platforms that were not chosen. */
  readonly isWhole: boolean
  /** The index, if any, and the manifests of the chosen platforms; each is a blob too. */
  readonly manifests: readonly Descriptor[]
  /** Configs and layers, each once. */
  readonly blobs: readonly Descriptor[]
  readonly totalBytes: number
  readonly fromPeersBytes: number
  readonly fromOriginBytes: number
}

export interface ErrorLine extends ErrorBody {
  readonly type: "error"
}

export type ImageStreamLine = ProgressLine | ImageLine | ErrorLine

/** `GET /v1/pins`; `POST /v1/pins` takes one pin and answers it. */
export interface PinsReport {
  readonly pins: readonly Pin[]
}

/** `DELETE /v1/images`: what went. */
export interface RemovalReport {
  readonly ref: string
  readonly removed: readonly Digest[]
  /** What stayed because another image, a pin or a reader needs it. */
  readonly kept: readonly Digest[]
  readonly freedBytes: number
}

/** `POST /v1/gc`. */
export type GcReport = SweepReport & { readonly usage: StoreUsage }

/** Lines of `POST /v1/verify`. */
export type VerifyLine =
  | ({ readonly type: "finding" } & VerifyFinding)
  | {
      readonly type: "result"
      readonly blobCount: number
      readonly faultCount: number
      readonly checkedBytes: number
      readonly isRepaired: boolean
    }
  | ErrorLine

/** One blob of `GET /v1/torrent`. */
export interface TorrentRow {
  readonly digest: Digest
  readonly sizeBytes: number
  /** SHA-1 of the info dictionary, 40 hex digits. */
  readonly infoHash: string
  readonly magnet: string
  /** The `.torrent` file, base64. */
  readonly torrent: string
  /** Whether any BitTorrent client may have it from this node. */
  readonly isPublic: boolean
}

/** `GET /v1/torrent`, and `POST /v1/torrent`, which makes public or takes that back. */
export interface TorrentReport {
  readonly ref: string
  /** TCP port on which clients are served; left out while nothing is. */
  readonly port?: number
  readonly torrents: readonly TorrentRow[]
}

/** Body of `POST /v1/torrent`. */
export interface TorrentRequest extends Omit<ImageRequest, "hold"> {
  readonly isPublic: boolean
}

/** `GET /v1/public`: what is public, here or not. */
export interface PublicReport {
  readonly port?: number
  readonly torrents: readonly {
    readonly digest: Digest
    /** False while the blob is not here, not whole, or must not leave the node. */
    readonly isSeeded: boolean
    readonly infoHash?: string
    readonly sizeBytes?: number
  }[]
}

/** Body of `POST /v1/torrent/get`: a magnet link, or a `.torrent` file as base64. */
export interface TorrentGetRequest {
  readonly magnet?: string
  readonly torrent?: string
  /** Clients to ask, `HOST:PORT`. */
  readonly peers?: readonly string[]
  /** As for images. */
  readonly hold?: boolean
}

/** Lines of `POST /v1/torrent/get`. */
export type TorrentStreamLine =
  | {
      readonly type: "progress"
      readonly digest?: Digest
      readonly doneBytes: number
      /** 0 while the clients have not told it. */
      readonly totalBytes: number
      readonly clientCount: number
    }
  | TorrentLine
  | ErrorLine

/** The last of them: the blob is here, whole and verified. */
export interface TorrentLine {
  readonly type: "result"
  readonly digest: Digest
  readonly sizeBytes: number
  readonly infoHash: string
}

/** Makes the row of a blob. */
export function blobRowOf(stat: BlobStat): BlobRow {
  return {
    digest: stat.digest,
    sizeBytes: stat.layout.sizeBytes,
    isComplete: stat.isComplete,
    pieceCount: stat.pieceCount,
    pieceTotal: stat.layout.count,
    isPinned: stat.isPinned,
    isShared: stat.isShared,
    lastUsedMs: stat.lastUsedMs,
  }
}
