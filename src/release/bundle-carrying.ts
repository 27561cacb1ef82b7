/**
 * Writes releases for the road, and takes in what such a file brings
 * (adapter of `releases.ts`, protocol/release.md §4, a release for the road).
 * @module
 */

import type { Clock } from "../core/clock.ts"
import { codeOf } from "../core/errors.ts"
import type { Logger } from "../core/log.ts"
import { FleetError } from "../fleet/errors.ts"
import type { Membership } from "../fleet/fleet.ts"
import { collectFleetFiles, sourceOfFiles } from "../fleet/fleet-files.ts"
import type { NodeKeys } from "../fleet/node-key-port.ts"
import { startDeadline } from "../net/deadline.ts"
import type { NamedBytes } from "../trust/tuf/publication.ts"
import type { SignedTarget } from "../trust/tuf/tuf-client.ts"
import type { TufSource } from "../trust/tuf/tuf-source.ts"
import { type AssetVersion, formatAssetVersion } from "./asset-name.ts"
import { peersOf } from "./audience-recipients.ts"
import { ReleaseError } from "./errors.ts"
import type { FleetReleaseBook } from "./release-book.ts"
import { encodeBundle, parseBundle, type ReleaseBundle } from "./release-bundle.ts"
import { releasePath } from "./release-listing.ts"
import type { KnownRelease, ReleaseBundles } from "./releases.ts"

/** Target files of other releases go along up to this: they make a whole mirror where they fit. */
const OTHERS_BYTES_MAX: number = 8 * 1024 * 1024
/** A node whose key cannot be had by then is named by the device as one without. */
const NODE_KEYS_MS_MAX = 5_000
const NODE_KEYS_AT_ONCE = 16

export interface ReleaseBundlesDeps {
  readonly membership: Membership
  readonly book: Pick<
    FleetReleaseBook,
    "refresh" | "find" | "evidence" | "grantList" | "addApproval" | "addWithdrawal"
  >
  readonly nodeKeys: Pick<NodeKeys, "of" | "gather" | "accept">
  /** Refreshes the fleet's files from a source that nobody trusts. */
  readonly refreshFleet: (source: TufSource) => Promise<void>
  readonly clock: Clock
  readonly log: Logger
}

export class FleetReleaseBundles implements ReleaseBundles {
  readonly #deps: ReleaseBundlesDeps

  constructor(deps: ReleaseBundlesDeps) {
    this.#deps = deps
  }

  async export(release: KnownRelease): Promise<Uint8Array> {
    const { membership, book } = this.#deps
    const { asset, content } = release.release.said
    const { approvals, withdrawals } = book.evidence(release)
    const carried: ReleaseBundle["approvals"][number][] = []
    for (const kept of approvals) {
      carried.push({ approval: kept.envelope, grants: await book.grantList(release, kept) })
    }
    const audience = content.visibility === "sealed" ? content.sealed.fields.audience : []
    return encodeBundle({
      fleet: membership.fleet,
      name: membership.name.slice(0, 64),
      asset,
      files: await this.#files(asset),
      nodeKeys: await this.#nodeKeys(peersOf(audience)),
      approvals: carried,
      withdrawals: withdrawals.map(({ envelope }) => envelope),
    })
  }

  async import(file: Uint8Array): Promise<AssetVersion> {
    const { membership, book } = this.#deps
    const bundle = parseBundle(file)
    const { fleet, asset } = bundle
    if (fleet !== membership.fleet) {
      const message = `a release of fleet ${fleet}, and this node is in ${membership.fleet}`
      throw new FleetError("FLEET_WRONG", message)
    }
    const fault = await this.#takeFiles(bundle)
    await book.refresh()
    if (book.find(asset) === undefined) {
      const message = `${formatAssetVersion(asset)} is not among the releases that count here`
      throw fault ?? new ReleaseError("RELEASE_UNKNOWN", message)
    }
    await this.#takeNodeKeys(bundle)
    for (const { approval, grants } of bundle.approvals) {
      await this.#quietly("approval", () => book.addApproval(approval, grants))
    }
    for (const withdrawal of bundle.withdrawals) {
      await this.#quietly("withdrawal", () => book.addWithdrawal(withdrawal))
    }
    return asset
  }

  /** What the release needs, and the rest while it is little. */
  async #files(asset: AssetVersion): Promise<readonly NamedBytes[]> {
    const { membership } = this.#deps
    const isNeeded = ({ path }: SignedTarget) =>
      path === releasePath(asset) || !path.startsWith("releases/")
    const targets = () => {
      const all = membership.targets()
      const otherBytes = all
        .filter((target) => !isNeeded(target))
        .reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
      return otherBytes <= OTHERS_BYTES_MAX ? all : all.filter(isNeeded)
    }
    return await collectFleetFiles({ source: membership.source, targets })
  }

  async #nodeKeys(peers: ReadonlySet<string>): Promise<readonly Uint8Array[]> {
    const { nodeKeys, clock, log } = this.#deps
    const found: Uint8Array[] = []
    const { signal, clear } = startDeadline(clock, NODE_KEYS_MS_MAX)
    await nodeKeys.gather([...peers], { signal }).catch((error: unknown) => {
      log.debug({ code: codeOf(error) }, "no node keys of many at once")
    })
    const queue = peers.values()
    const workers = Array.from({ length: NODE_KEYS_AT_ONCE }, async () => {
      for (const peer of queue) {
        try {
          const key = await nodeKeys.of(peer, { signal })
          if (key !== undefined) found.push(key.statement)
        } catch (error) {
          // The device names the node; a supplement can be made when its key is known.
          log.debug({ peer, code: codeOf(error) }, "no node key for a bundle")
        }
      }
    })
    await Promise.all(workers).finally(clear)
    return found
  }

  /** @returns what went wrong: it matters only if the release is not known after it */
  async #takeFiles({ files }: ReleaseBundle): Promise<unknown> {
    try {
      await this.#deps.refreshFleet(sourceOfFiles(files))
      return undefined
    } catch (error) {
      // This node may be further, or the file may bring the release and not all others.
      this.#deps.log.debug({ code: codeOf(error) }, "a bundle's files are not newer, or not all")
      return error
    }
  }

  async #takeNodeKeys(bundle: ReleaseBundle): Promise<void> {
    for (const statement of bundle.nodeKeys) {
      await this.#quietly("node key", () => this.#deps.nodeKeys.accept(statement))
    }
  }

  /** One statement that does not count keeps none of the others out. */
  async #quietly(what: string, take: () => Promise<unknown>): Promise<void> {
    try {
      await take()
    } catch (error) {
      this.#deps.log.warn({ what, code: codeOf(error) }, "a statement in a bundle does not count")
    }
  }
}
