/**
 * The shapes of the control API that concern releases (docs/api.md). Reports are those of
 * `releases.ts`, with the text that names the release.
 * @module
 */
import type { ArchiveMark } from "../core/archive-mark.ts"
import type { JsonObject } from "../core/json.ts"
import type { Labels } from "../fleet/access-field.ts"
import type { PolicyReceipt } from "../fleet/fleet-desk.ts"
import type {
  PublishedRelease,
  ReleaseReport,
  VariantPaths,
  VerifyReport,
} from "../release/releases.ts"
import type { Blocked, ErrorLine, ImageVerifyReport } from "./api.ts"
import type { PartyRequest } from "./fleet-api.ts"

/** A release, and what it is called: `acme/model@1`. */
export type Named<Report> = Report & { readonly ref: string }

/** `GET /v1/releases`. */
export interface ReleasesReport {
  readonly releases: readonly Named<ReleaseReport>[]
  /** True when there are more than one answer may hold. */
  readonly isTruncated: boolean
  /** Why this node opens none of them; empty while nothing is known against it. */
  readonly blocked: readonly Blocked[]
}

/** What a party signs, beside what a report has. */
export interface ReleaseContent {
  readonly fleet: string
  readonly policy: {
    readonly version: number
    readonly digest: string
    readonly isCurrent: boolean
  }
  /** The access list that this node knows. */
  readonly access:
    | {
        readonly version: number
        readonly issuedAtMs: number
        readonly isStale: boolean
      }
    | undefined
  /** Who holds a share, in order; of a release that is not sealed the parties, with none. */
  readonly holders: readonly {
    readonly name: string
    readonly threshold: number
    readonly devices: readonly string[]
  }[]
  /** Left out for a release that is not sealed. */
  readonly isPostQuantum: boolean | undefined
  readonly inspectors: readonly string[]
  /** Of what the torrents carry; names of sealed files are in the bag. */
  readonly contents: readonly {
    readonly digest: string
    readonly sizeBytes: number
    readonly path?: string
    /** Of an archive that is unpacked when the release is opened. */
    readonly unpack?: ArchiveMark
  }[]
  readonly variants: readonly { readonly slots: Labels; readonly files: readonly number[] }[]
  readonly requires: readonly { readonly release: string; readonly digest: string }[]
  /** How nodes make it run, whatever a plan says (protocol/rollout.md §4). */
  readonly activation: JsonObject | undefined
  readonly floor: number | undefined
  readonly reissues: number | undefined
}

/** `GET /v1/release?ref=`. */
export type ReleaseDetails = Named<ReleaseReport> & ReleaseContent

/** Body of `POST /v1/releases`. */
export interface PublishBody {
  /** `NAMESPACE/NAME`. */
  readonly name: string
  /** Absolute, on the node's machine. */
  readonly paths?: readonly string[] | undefined
  /** An image in the place of paths. */
  readonly image?: string | undefined
  readonly visibility?: "sealed" | "fleet" | "public" | undefined
  readonly audience?: readonly string[] | undefined
  readonly gate?: "open" | "hold" | "none" | undefined
  readonly lifeMs?: number | undefined
  readonly floor?: number | undefined
  /** `NAMESPACE/NAME@SEQUENCE` each: releases that must be active before it. */
  readonly requires?: readonly string[] | undefined
  readonly inspectors?: readonly string[] | undefined
  readonly slots?: Labels | undefined
  /** In the place of `slots`; `paths` then belong to each of them. */
  readonly variants?: readonly VariantPaths[] | undefined
  readonly reissues?: number | undefined
  /** Opening unpacks the archives among the files. */
  readonly unpack?: boolean | undefined
  /** What would stand under `activate` of a plan; it stands in that one's place. */
  readonly activation?: object | undefined
  /** Written as the policy if the namespace has none, else they must be its parties. */
  readonly parties?: readonly PartyRequest[] | undefined
}

/** A line of progress of long work on a release. */
export interface ReleaseProgressLine {
  readonly type: "progress"
  readonly phase: string
  readonly doneBytes: number
  readonly totalBytes: number
}

/** Lines of `POST /v1/releases`. */
export type PublishLine =
  /** A policy was written for the namespace, before anything was published. */
  | ({ readonly type: "policy" } & PolicyReceipt)
  | ReleaseProgressLine
  | ({ readonly type: "result" } & Named<PublishedRelease>)
  | ErrorLine

/** Lines of `POST /v1/release/stage`. */
export type StageLine =
  | ReleaseProgressLine
  | ({ readonly type: "result" } & Named<ReleaseReport>)
  | ErrorLine

/** Where a release was opened. */
export interface OpenedRelease {
  readonly ref: string
  readonly path: string
  readonly files: number
  /** The group that may read it; left out: the node's user alone. */
  readonly group?: string
  /** A folder on the way to it that the group cannot go through. */
  readonly closed?: string
}

/** Lines of `POST /v1/release/open`. */
export type OpenLine =
  | ReleaseProgressLine
  | ({ readonly type: "result" } & OpenedRelease)
  | ErrorLine

/** Lines of `POST /v1/release/verify`. */
export type ReleaseVerifyLine =
  | ReleaseProgressLine
  | ({ readonly type: "result" } & Named<VerifyReport>)
  | ErrorLine

/** Lines of `POST /v1/image/verify`. */
export type ImageVerifyLine =
  | ReleaseProgressLine
  | ({ readonly type: "result" } & ImageVerifyReport)
  | ErrorLine

/** What became of an approval that came in. */
export interface ApprovalReceipt {
  readonly ref: string
  readonly party: string
  readonly device: string
  /** Parties that have not approved yet. */
  readonly missing: readonly string[]
  /** Of a sealed release: `hold` is opened by plans only. */
  readonly gate: string | undefined
}

/** Body of `POST /v1/release/withdraw`. */
export interface WithdrawBody {
  readonly ref: string
  readonly reason: string
  /** A withdrawal that a device has signed, base64; left out: by the targets role of this node. */
  readonly envelope?: string | undefined
}

/** What came in by file. */
export interface ImportReceipt {
  readonly ref: string
}
