/**
 * The port to a node's releases: publishing, approving, staging, opening
 * (adapters: `publisher.ts`, `opener.ts` and others; protocol/release.md §5).
 * @module
 */
import type { Digest } from "../core/digest.ts"
import type { JsonObject } from "../core/json.ts"
import type { Labels } from "../fleet/access-field.ts"
import type { PeerId } from "../net/net.ts"
import type { Policy } from "../trust/policy.ts"
import type { Approval } from "./approval.ts"
import type { AssetVersion } from "./asset-name.ts"
import type { Decision } from "./decision.ts"
import type { ProvenGrant } from "./grant-list.ts"
import type { Release } from "./release.ts"
import type { FileVersion, Signed } from "./signed.ts"
import type { Withdrawal } from "./withdrawal.ts"

/** A release that this node has accepted. */
export interface KnownRelease {
  readonly release: Signed<Release>
  /** Its file as it is signed. */
  readonly envelope: Uint8Array
  /** True once this reader accepted it while its policy was current (`counting.ts`). */
  readonly wasAccepted: boolean
}

/** An approval that is kept, with what was signed. */
export interface KeptApproval {
  readonly approval: Signed<Approval>
  readonly envelope: Uint8Array
}

/** All that is kept for a release. */
export interface KeptEvidence {
  readonly approvals: readonly KeptApproval[]
  readonly withdrawals: readonly {
    readonly said: Signed<Withdrawal>
    readonly envelope: Uint8Array
  }[]
}

/** Releases, and what was said of them. Kept on the disk; carried between nodes in any order. */
export interface ReleaseBook {
  /** Sorted by name, newest sequence first. */
  list(): readonly KnownRelease[]
  /** @param asset - without a sequence: the newest */
  find(asset: Omit<AssetVersion, "sequence"> & { sequence?: number }): KnownRelease | undefined
  evidence(release: KnownRelease): KeptEvidence
  /** Decides by what is kept and the current policy, and remembers `approved` and `withdrawn`. */
  decide(release: KnownRelease): Promise<Decision>
  /** The current policy of its namespace. @throws ReleaseError `POLICY_NOT_CURRENT` */
  policyOf(release: KnownRelease): Promise<{ policy: Policy; file: FileVersion }>
  /** Asks connected peers for approvals and withdrawals that are not here. */
  gather(release: KnownRelease, options: { signal: AbortSignal }): Promise<void>
  /** Single grants of an approval for audience entries, checked against it: kept, else asked of peers. */
  grants(
    release: KnownRelease,
    approval: KeptApproval,
    entries: readonly string[],
    options: { signal: AbortSignal },
  ): Promise<readonly ProvenGrant[]>
  /**
   * Takes an approval in, with its list of grants, and tells the peers.
   * @throws ReleaseError, TrustError what is wrong with it
   */
  addApproval(envelope: Uint8Array, grants: Uint8Array | undefined): Promise<KeptApproval>
  addWithdrawal(envelope: Uint8Array): Promise<void>
  /** Reads what the fleet lists anew. */
  refresh(): Promise<void>
  onChange(listener: (asset: AssetVersion) => void): () => void
}

/** Paths of this machine that are for nodes with some labels. */
export interface VariantPaths {
  readonly slots: Labels
  /** Absolute paths of files and folders. */
  readonly paths: readonly string[]
}

/** What is published. */
export interface PublishRequest {
  readonly namespace: string
  readonly name: string
  /** Absolute paths of files and folders on this machine. */
  readonly paths: readonly string[]
  /** An image in the place of paths: its manifests and blobs become the files. */
  readonly image?: string
  readonly visibility: "sealed" | "fleet" | "public"
  /** Groups by name, or `node:PEERID`. */
  readonly audience: readonly string[]
  readonly gate: "open" | "hold" | "none"
  readonly lifeMs?: number
  readonly floor?: number
  /**
   * Releases that are known here and have to be active before this one, 0 … 16. Left out of one that is
   * issued anew: those of the earlier one.
   */
  readonly requires?: readonly AssetVersion[]
  readonly inspectors?: readonly string[]
  /** Labels of the variant that these files are; empty: for all. */
  readonly slots?: Labels
  /**
   * Variants of their own files, in the place of `slots`: nodes choose by their labels. Then `paths`
   * belong to each of them.
   */
  readonly variants?: readonly VariantPaths[]
  /** The sequence whose files are issued anew; no file is read or moved. */
  readonly reissues?: number
  /** Marks the archives among the files, so that opening unpacks them. */
  readonly unpack?: boolean
  /** How nodes make it run, whatever a plan says; read by who activates. */
  readonly activation?: JsonObject
}

/** Progress of long work. */
export interface Watch {
  readonly signal: AbortSignal
  readonly onProgress: (progress: {
    readonly phase: string
    readonly doneBytes: number
    readonly totalBytes: number
  }) => void
}

/** How a release is opened. */
export interface OpeningChoice {
  /** Who may read it, by name or number, in the place of the node's own setting. */
  readonly group?: string | undefined
  /** True: all archives are unpacked; false: none is. Left out: those that the publisher marked. */
  readonly unpack?: boolean | undefined
}

/** A release that was made. */
export interface PublishedRelease {
  readonly asset: AssetVersion
  readonly digest: Digest
  readonly files: number
  readonly sizeBytes: number
  readonly parties: readonly string[]
  readonly audience: readonly string[]
  /** Of a sealed release. */
  readonly gate: PublishRequest["gate"] | undefined
  readonly isPostQuantum: boolean
  /** Files that keep the ciphertext of the release before. */
  readonly reusedFiles: number
}

/** Makes releases. */
export interface Publisher {
  /** @throws ReleaseError, FleetError */
  publish(request: PublishRequest, watch: Watch): Promise<PublishedRelease>
  /** @param by - the envelope of a withdrawal, made with a device; undefined: by the targets role here */
  withdraw(release: KnownRelease, reason: string, by: Uint8Array | undefined): Promise<void>
}

/** How far a release is on this node. */
export type ReleaseState =
  | "announced"
  | "fetching"
  | "staged"
  | "approved"
  | "keyed"
  | "opened"
  | "withdrawn"
  | "expired"
  /** No variant is for this node, its policy is not current, or another runs with its identity. */
  | "blocked"
  /** What this node keeps was put back from a copy, and it has not caught up. */
  | "restored"

/** A release as the command line shows it. */
export interface ReleaseReport {
  readonly asset: AssetVersion
  readonly digest: Digest
  readonly state: ReleaseState
  readonly createdAtMs: number
  readonly expiresAtMs: number
  readonly visibility: "sealed" | "fleet" | "public"
  readonly gate: string | undefined
  readonly audience: readonly string[]
  readonly policyVersion: number
  readonly files: number
  readonly sizeBytes: number
  readonly stagedBytes: number
  readonly parties: readonly {
    readonly name: string
    readonly isApproved: boolean
    readonly approvals: readonly { readonly device: string; readonly accessVersion: number }[]
  }[]
  readonly decision: Decision["kind"]
  readonly missing: readonly string[]
  readonly openedAt: string | undefined
}

/** What `verify` found. */
export interface VerifyReport extends ReleaseReport {
  /** The rules that were met, one line each. */
  readonly rules: readonly { readonly rule: string; readonly isMet: boolean; readonly by: string }[]
  readonly wrongFiles: readonly string[]
}

/** A release that was opened. */
export interface Opened {
  readonly path: string
  readonly files: number
  /** The group that may read it; left out: the node's user alone. */
  readonly group?: string
  /** A folder on the way to it that the group cannot go through. */
  readonly closed?: string
}

/** Brings, checks and opens releases. */
export interface Opener {
  report(release: KnownRelease): Promise<ReleaseReport>
  /** Brings and verifies the files that this node's labels choose; opens nothing. */
  stage(release: KnownRelease, watch: Watch): Promise<ReleaseReport>
  /**
   * Brings and tries what opens an approved release, but for the gate's share; nothing is opened, and no
   * share is kept. What cannot be had now `open` looks for again.
   */
  prepare(release: KnownRelease, options: { readonly signal: AbortSignal }): Promise<void>
  /**
   * Opens into a folder that is made for it, whole or not at all.
   * @throws ReleaseError `APPROVALS_MISSING`, `NOT_GRANTED`, `GATE_MISSING`, `RELEASE_WITHDRAWN`,
   * `ARCHIVE_REFUSED`, `OPENED_GROUP_INVALID` …; FleetError `NODE_CLONED`, `NODE_RESTORED`
   */
  open(release: KnownRelease, folder: string, watch: Watch & OpeningChoice): Promise<Opened>
  verify(release: KnownRelease, options: { isDeep: boolean } & Watch): Promise<VerifyReport>
  /** The gate's grant for a node, by hand: the envelope. @throws ReleaseError `GATE_REFUSED` */
  grantGate(release: KnownRelease, node: PeerId): Promise<Uint8Array>
  /** Takes in a gate's grant that came by file. */
  takeGateGrant(envelope: Uint8Array): Promise<AssetVersion>
}

/** Releases on the road: a file with all that an offline device needs. */
export interface ReleaseBundles {
  /** A `.release` file: release, root chain, policy, access list, node keys, approvals. */
  export(release: KnownRelease): Promise<Uint8Array>
  /** Takes in what a bundle brings: fleet files, the release, approvals. */
  import(bundle: Uint8Array): Promise<AssetVersion>
}
