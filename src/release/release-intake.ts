/**
 * Takes in the releases that the fleet lists, each by itself: one that is refused stops no other
 * (protocol/release.md §5, accepting a release).
 * @module
 */
import { digestOf, hexOf } from "../core/digest.ts"
import { codeOf, messageOf } from "../core/errors.ts"
import type { Logger } from "../core/log.ts"
import type { CurrentPolicy, Membership } from "../fleet/fleet.ts"
import { releasesRole } from "../trust/tuf/fleet-role.ts"
import type { SignedTarget } from "../trust/tuf/tuf-client.ts"
import { type AssetVersion, formatAssetVersion } from "./asset-name.ts"
import { ReleaseError } from "./errors.ts"
import type { EvidenceFiles } from "./evidence-files.ts"
import { acceptRelease, type ReadRelease } from "./release-acceptance.ts"
import { assetOfPath, isRollback } from "./release-listing.ts"
import type { ReleaseEntry, ReleaseShelf } from "./release-shelf.ts"

export interface ReleaseIntakeDeps {
  readonly membership: Membership
  readonly files: EvidenceFiles
  readonly shelf: ReleaseShelf
  readonly log: Logger
}

/** What a fleet lists, and what became of it. */
export class ReleaseIntake {
  readonly #deps: ReleaseIntakeDeps
  /** Paths that were listed when they were last looked at; undefined: never. */
  #listed: ReadonlySet<string> | undefined
  /** What was refused for good under the files that counted then, so that it is not read again. */
  readonly #refused = new Map<string, string>()

  private constructor(deps: ReleaseIntakeDeps, listed: ReadonlySet<string> | undefined) {
    this.#deps = deps
    this.#listed = listed
  }

  static async open(deps: ReleaseIntakeDeps): Promise<ReleaseIntake> {
    return new ReleaseIntake(deps, await deps.files.listed())
  }

  /** Looks at everything that is listed now. @returns what is new here */
  async refresh(): Promise<readonly ReleaseEntry[]> {
    const { membership, files, log } = this.#deps
    const before = this.#listed
    const listed = new Set<string>()
    const fresh: ReleaseEntry[] = []
    for (const target of membership.targets()) {
      const asset = assetOfPath(target.path)
      if (asset === undefined) continue
      try {
        this.#verifyOrder(asset, before)
        listed.add(target.path)
        const entry = await this.#take(asset, target)
        if (entry !== undefined) fresh.push(entry)
      } catch (error) {
        const fields = { release: formatAssetVersion(asset), code: codeOf(error) }
        log.warn({ ...fields, reason: messageOf(error) }, "a release is refused")
      }
    }
    if (before === undefined || !isSameSet(before, listed)) await files.writeListed(listed)
    this.#listed = listed
    return fresh
  }

  #verifyOrder(asset: AssetVersion, before: ReadonlySet<string> | undefined): void {
    if (this.#deps.shelf.get(asset) !== undefined || !isRollback(asset, before)) return
    const message = `${formatAssetVersion(asset)} came after a later one was listed`
    throw new ReleaseError("RELEASE_ROLLBACK", message)
  }

  /** @returns the release if it was not here */
  async #take(asset: AssetVersion, target: SignedTarget): Promise<ReleaseEntry | undefined> {
    const { membership, shelf } = this.#deps
    const known = shelf.get(asset)
    if (known !== undefined && hexOf(digestOf(known.envelope)) === target.sha256) return undefined
    const policy = await membership.policy(asset.namespace)
    const mark = `${target.sha256} ${target.roleVersion} ${policy?.digest}`
    if (this.#refused.get(target.path) === mark) return undefined
    try {
      const { read, envelope } = await this.#read(asset, target, policy)
      this.#refused.delete(target.path)
      if (known !== undefined) {
        await shelf.renew(known, read.release, envelope)
        return undefined
      }
      return await shelf.add(read.release, envelope, { wasAccepted: read.isUnderPolicy })
    } catch (error) {
      if (!isPassing(error)) this.#refused.set(target.path, mark)
      throw error
    }
  }

  async #read(
    asset: AssetVersion,
    target: SignedTarget,
    policy: CurrentPolicy | undefined,
  ): Promise<{ readonly read: ReadRelease; readonly envelope: Uint8Array }> {
    const { membership, shelf } = this.#deps
    const text = formatAssetVersion(asset)
    if (policy === undefined) {
      throw new ReleaseError("POLICY_MISSING", `namespace ${asset.namespace} has no policy`)
    }
    const file = await membership.readTarget(target.path)
    const holders = membership.roleHolders(releasesRole(asset.namespace))
    if (file === undefined || holders === undefined || file.isStale || policy.isStale) {
      throw new ReleaseError("FLEET_STALE", `what lists ${text} has run out, or is not here`)
    }
    const read = acceptRelease(file.bytes, asset, {
      fleet: membership.fleet,
      keys: holders.keys,
      policy: policy.policy,
      policyDigest: policy.digest,
      nowMs: membership.nowMs(),
      known: shelf.fileKeys(asset.namespace),
    })
    const memory = shelf.memoryOf(asset)
    if (memory !== undefined && memory.digest !== read.release.digest) {
      throw new ReleaseError("SEQUENCE_TAKEN", `another ${text} was seen before`)
    }
    return { read, envelope: file.bytes }
  }
}

/** What may be right at another time, with the same files. */
function isPassing(error: unknown): boolean {
  const code = codeOf(error)
  return (
    code === undefined || ["RELEASE_NOT_YET", "FLEET_STALE", "SOURCE_UNAVAILABLE"].includes(code)
  )
}

function isSameSet(one: ReadonlySet<string>, other: ReadonlySet<string>): boolean {
  return one.size === other.size && [...one].every((path) => other.has(path))
}
