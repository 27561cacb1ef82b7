/**
 * Takes in what was said of releases: from this node's own side, also before the release is known, and
 * from peers (protocol/release.md §5, reading the others).
 * @module
 */
import type { Digest } from "../core/digest.ts"
import { codeOf } from "../core/errors.ts"
import type { Logger } from "../core/log.ts"
import type { Membership } from "../fleet/fleet.ts"
import type { PeerId } from "../net/net.ts"
import { TrustError } from "../trust/errors.ts"
import type { Approval } from "./approval.ts"
import { formatAssetVersion } from "./asset-name.ts"
import { faultOfApproval, isWithdrawalOf, type Standpoint } from "./counting.ts"
import { EarlyEvidence, type EarlyStatement } from "./early-evidence.ts"
import { ReleaseError } from "./errors.ts"
import {
  evidenceKeys,
  keysInside,
  type ReadEvidence,
  readEvidence,
  subjectOfEvidence,
} from "./evidence.ts"
import type { GrantShelf, ShelfPlace } from "./grant-shelf.ts"
import { nameOfRelease } from "./release.ts"
import { type ReleaseDecider, targetsKeysOf } from "./release-decider.ts"
import type { ReleaseEntry, ReleaseShelf } from "./release-shelf.ts"
import type { KeptApproval } from "./releases.ts"
import { isSameRelease } from "./signed.ts"

export interface EvidenceIntakeDeps {
  readonly membership: Membership
  readonly shelf: ReleaseShelf
  readonly grants: GrantShelf
  readonly decider: ReleaseDecider
  readonly log: Logger
  /** Runs one change of the book at a time. */
  readonly inTurn: <T>(work: () => Promise<T>) => Promise<T>
}

/** A statement that was new. */
export interface NewEvidence {
  readonly entry: ReleaseEntry
  readonly evidence: ReadEvidence
}

export class EvidenceIntake {
  readonly #deps: EvidenceIntakeDeps
  readonly #early = new EarlyEvidence()

  constructor(deps: EvidenceIntakeDeps) {
    this.#deps = deps
  }

  /**
   * Reads what came from this node's own side: the release that it names may be unknown.
   * @throws {@link ReleaseError} `APPROVAL_INVALID`, `WITHDRAWAL_INVALID`, `POLICY_MISSING`;
   * {@link TrustError} `SIGNATURE_MISSING` when no device of the policy has signed, and others
   */
  async read(envelope: Uint8Array): Promise<ReadEvidence> {
    const { membership } = this.#deps
    const { fleet } = membership
    const evidence = readEvidence(envelope, { keys: keysInside(envelope), fleet })
    const { namespace } = subjectOfEvidence(evidence).release.asset
    const current = await membership.policy(namespace)
    if (current === undefined) {
      throw new ReleaseError("POLICY_MISSING", `namespace ${namespace} has no policy`)
    }
    const keys = evidenceKeys(current.policy, targetsKeysOf(membership))
    const { signers } = evidence.kind === "approval" ? evidence.approval : evidence.said
    if ([...signers].some((key) => keys.has(key))) return evidence
    const message = `nobody who counts in namespace ${namespace} has signed it`
    throw new TrustError("SIGNATURE_MISSING", message)
  }

  /**
   * Keeps a statement that was read, with its list of grants.
   * @returns undefined when it is here already, or its release is not known yet
   * @throws {@link ReleaseError} when it does not count, or its grants are not those that were signed
   */
  async add(
    evidence: ReadEvidence,
    grants: Uint8Array | undefined,
  ): Promise<NewEvidence | undefined> {
    const { release, digest } = subjectOfEvidence(evidence)
    const entry = this.#deps.shelf.get(release.asset)
    if (entry !== undefined) return await this.#keep(entry, evidence, grants)
    const terms = { release: release.digest, nowMs: this.#deps.membership.nowMs() }
    this.#early.add(digest, { envelope: evidence.envelope, grants }, terms)
    return undefined
  }

  /** Uses what came before its release. */
  async adopt(entry: ReleaseEntry): Promise<void> {
    for (const early of this.#early.take(entry.release.digest)) await this.#adoptOne(early)
  }

  /** Takes what a peer gave: only of the release that was asked for, and by keys that may count. */
  async takeFromPeer(
    statement: Uint8Array,
    release: Digest,
    from: PeerId,
  ): Promise<NewEvidence | undefined> {
    const { membership, shelf, log } = this.#deps
    const entry = shelf.byDigest(release)
    const current = entry && (await membership.policy(entry.release.said.asset.namespace))
    if (entry === undefined || current === undefined) return undefined
    try {
      const keys = evidenceKeys(current.policy, targetsKeysOf(membership))
      const evidence = readEvidence(statement, { keys, fleet: membership.fleet })
      return await this.#keep(entry, evidence, undefined)
    } catch (error) {
      log.debug({ peer: from, code: codeOf(error) }, "evidence that does not count")
      return undefined
    }
  }

  async #adoptOne({ envelope, grants }: EarlyStatement): Promise<void> {
    try {
      await this.add(await this.read(envelope), grants)
    } catch (error) {
      this.#deps.log.warn({ code: codeOf(error) }, "what came before its release does not count")
    }
  }

  async #keep(
    entry: ReleaseEntry,
    evidence: ReadEvidence,
    grants: Uint8Array | undefined,
  ): Promise<NewEvidence | undefined> {
    const { decider, shelf, inTurn } = this.#deps
    const place = evidence.kind === "approval" ? placeOf(entry, evidence) : undefined
    const isNew = await inTurn(async () => {
      const standpoint = await decider.standpoint(entry)
      if (standpoint === undefined) {
        throw new ReleaseError("POLICY_NOT_CURRENT", "there is no policy to count it by now")
      }
      verifyWorth(entry, evidence, standpoint)
      const counts = (approval: Approval) =>
        faultOfApproval(approval, entry.release, standpoint) === undefined
      if (place !== undefined && grants !== undefined) this.#deps.grants.check(place, grants)
      const isKept = await shelf.keep(entry, evidence, counts)
      if (place !== undefined && grants !== undefined) {
        await this.#deps.grants.addList(place, grants)
      }
      if (isKept) await decider.decide(entry)
      return isKept
    })
    return isNew ? { entry, evidence } : undefined
  }
}

/** Gives where the grants of an approval stand. */
export function placeOf(entry: ReleaseEntry, { approval }: KeptApproval): ShelfPlace {
  const { asset, content } = entry.release.said
  const audience = content.visibility === "sealed" ? content.sealed.fields.audience : []
  return { asset, approval, audience }
}

/** Refuses what will never count for a release; that its time has not come is no reason. */
function verifyWorth(entry: ReleaseEntry, evidence: ReadEvidence, standpoint: Standpoint): void {
  const { release } = entry
  const text = formatAssetVersion(release.said.asset)
  if (evidence.kind === "withdrawal") {
    if (isWithdrawalOf(evidence.said, release, standpoint)) return
    throw new ReleaseError("WITHDRAWAL_INVALID", `it is by nobody who may withdraw ${text}`)
  }
  const { said } = evidence.approval
  if (!isSameRelease(said.release, nameOfRelease(release))) {
    throw new ReleaseError("APPROVAL_INVALID", `it is of another ${text} than the one here`)
  }
  const fault = faultOfApproval(said, release, standpoint)
  if (fault === undefined || fault === "not-yet") return
  if (fault === "not-of-the-party") {
    const message = `device ${said.device} does not approve for ${said.party}`
    throw new ReleaseError("DEVICE_NOT_OF_PARTY", message)
  }
  throw new ReleaseError("APPROVAL_INVALID", `it does not count for ${text}: ${fault}`)
}
