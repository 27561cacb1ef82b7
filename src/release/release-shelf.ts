/**
 * The releases that a node has accepted and what was said of them, in memory and on the disk. Nothing
 * is decided here; what is found out is remembered (protocol/release.md §5).
 * @module
 */

import { encodeHex } from "../core/byte-text.ts"
import type { Digest } from "../core/digest.ts"
import { assert, codeOf } from "../core/errors.ts"
import type { Logger } from "../core/log.ts"
import type { Approval } from "./approval.ts"
import { type AssetVersion, formatAssetVersion } from "./asset-name.ts"
import { ReleaseError } from "./errors.ts"
import {
  type KeptWithdrawal,
  keysInside,
  type ReadEvidence,
  readEvidence,
  subjectOfEvidence,
  surplusOf,
  WITHDRAWALS_MAX,
} from "./evidence.ts"
import type { EvidenceFiles, KeptFiles, ReleaseMemory } from "./evidence-files.ts"
import type { GrantShelf } from "./grant-shelf.ts"
import { type KnownFileKeys, nameOfRelease, type Release, readRelease } from "./release.ts"
import { byNameAndAge } from "./release-listing.ts"
import type { KeptApproval, KnownRelease } from "./releases.ts"
import { isSameRelease, type Signed } from "./signed.ts"

/** One release with all that is kept of it. */
export interface ReleaseEntry {
  release: Signed<Release>
  envelope: Uint8Array
  memory: ReleaseMemory
  /** By the digests of their statements. */
  readonly approvals: Map<Digest, KeptApproval>
  readonly withdrawals: Map<Digest, KeptWithdrawal>
}

export interface ReleaseShelfDeps {
  readonly files: EvidenceFiles
  readonly grants: GrantShelf
  readonly log: Logger
}

/** The releases of one fleet. */
export class ReleaseShelf {
  readonly #deps: ReleaseShelfDeps
  readonly #entries = new Map<string, ReleaseEntry>()
  /** What is remembered of releases that are not here any more, too. */
  readonly #memories = new Map<string, ReleaseMemory>()

  private constructor(deps: ReleaseShelfDeps) {
    this.#deps = deps
  }

  /** Reads what is kept. What is broken is left out, and told. */
  static async open(
    deps: ReleaseShelfDeps,
    options: { readonly fleet: string },
  ): Promise<ReleaseShelf> {
    const shelf = new ReleaseShelf(deps)
    const onBroken = (name: string, error: unknown) =>
      deps.log.warn({ name, code: codeOf(error) }, "what was kept of a release is broken")
    for (const kept of await deps.files.load(onBroken)) {
      try {
        shelf.#restore(kept, options.fleet)
      } catch (error) {
        onBroken(formatAssetVersion(kept.asset), error)
      }
    }
    return shelf
  }

  /** Sorted by name, the newest sequence first. */
  all(): readonly ReleaseEntry[] {
    const asset = ({ release }: ReleaseEntry) => release.said.asset
    return [...this.#entries.values()].sort((one, other) => byNameAndAge(asset(one), asset(other)))
  }

  get(asset: AssetVersion): ReleaseEntry | undefined {
    return this.#entries.get(formatAssetVersion(asset))
  }

  byDigest(digest: Digest): ReleaseEntry | undefined {
    for (const entry of this.#entries.values()) if (entry.release.digest === digest) return entry
    return undefined
  }

  byApproval(digest: Digest): ReleaseEntry | undefined {
    for (const entry of this.#entries.values()) if (entry.approvals.has(digest)) return entry
    return undefined
  }

  /**
   * Gives the entry of a release that somebody has in hand.
   * @throws {@link ReleaseError} `RELEASE_UNKNOWN`
   */
  entryOf({ release }: Pick<KnownRelease, "release">): ReleaseEntry {
    const entry = this.get(release.said.asset)
    if (entry?.release.digest === release.digest) return entry
    const text = formatAssetVersion(release.said.asset)
    throw new ReleaseError("RELEASE_UNKNOWN", `${text} is not known here`)
  }

  memoryOf(asset: AssetVersion): ReleaseMemory | undefined {
    return this.#memories.get(formatAssetVersion(asset))
  }

  /** Gives the file keys' commitments of the releases of a namespace that were found approved. */
  fileKeys(namespace: string): KnownFileKeys {
    const known = new Map<string, Uint8Array>()
    for (const { release, memory } of this.#entries.values()) {
      const { asset, content } = release.said
      if (asset.namespace !== namespace || memory.approved === undefined) continue
      if (content.visibility !== "sealed") continue
      for (const { cipher, commitment } of content.sealed.files) {
        known.set(encodeHex(cipher), commitment)
      }
    }
    return (cipher) => known.get(encodeHex(cipher))
  }

  /** Keeps a release that was accepted; what was said of it comes later. */
  async add(
    release: Signed<Release>,
    envelope: Uint8Array,
    { wasAccepted }: { readonly wasAccepted: boolean },
  ): Promise<ReleaseEntry> {
    const { asset } = release.said
    const before = this.memoryOf(asset)
    const memory: ReleaseMemory = {
      digest: release.digest,
      wasAccepted: wasAccepted || before?.wasAccepted === true,
      approved: before?.approved,
      withdrawn: before?.withdrawn,
    }
    await this.#deps.files.writeRelease(asset, envelope)
    const entry = newEntry(release, envelope, memory)
    await this.remember(entry, memory)
    this.#entries.set(formatAssetVersion(asset), entry)
    return entry
  }

  /** Keeps a release as it was signed once more: it says the same, by keys that count now. */
  async renew(entry: ReleaseEntry, release: Signed<Release>, envelope: Uint8Array): Promise<void> {
    assert(release.digest === entry.release.digest, "what is signed once more says the same")
    await this.#deps.files.writeRelease(release.said.asset, envelope)
    entry.release = release
    entry.envelope = envelope
  }

  /** Writes down what was found out, before it counts. */
  async remember(entry: ReleaseEntry, memory: ReleaseMemory): Promise<void> {
    const { asset } = entry.release.said
    await this.#deps.files.writeMemory(asset, memory)
    entry.memory = memory
    this.#memories.set(formatAssetVersion(asset), memory)
  }

  /**
   * Keeps a statement.
   * @param counts - tells whether an approval counts now
   * @returns false when it is here already
   * @throws {@link ReleaseError} `EVIDENCE_FULL`
   */
  async keep(
    entry: ReleaseEntry,
    evidence: ReadEvidence,
    counts: (approval: Approval) => boolean,
  ): Promise<boolean> {
    const { digest } = subjectOfEvidence(evidence)
    if (entry.approvals.has(digest) || entry.withdrawals.has(digest)) return false
    const { asset } = entry.release.said
    if (evidence.kind === "approval") await this.#makeRoom(entry, evidence.approval.said, counts)
    else if (entry.withdrawals.size >= WITHDRAWALS_MAX) throw full("withdrawals", entry)
    await this.#deps.files.writeStatement(asset, { ...evidence, digest }, evidence.envelope)
    place(entry, evidence)
    return true
  }

  async #makeRoom(
    entry: ReleaseEntry,
    next: Approval,
    counts: (approval: Approval) => boolean,
  ): Promise<void> {
    const kept = [...entry.approvals].map(([digest, { approval }]) => [digest, approval] as const)
    const surplus = surplusOf(
      kept.map(([, { said }]) => said),
      next,
      counts,
    )
    if (surplus === undefined) return
    if (surplus === next) throw full("approvals", entry)
    const [digest] = kept.find(([, { said }]) => said === surplus)!
    await this.#deps.files.removeApproval(entry.release.said.asset, digest)
    this.#deps.grants.forget(digest)
    entry.approvals.delete(digest)
  }

  #restore({ asset, memory, envelope, statements }: KeptFiles, fleet: string): void {
    const text = formatAssetVersion(asset)
    this.#memories.set(text, memory)
    if (envelope === undefined) return
    const trust = { keys: keysInside(envelope), fleet }
    const release = readRelease(envelope, trust, () => undefined)
    const isSame =
      release.digest === memory.digest && formatAssetVersion(release.said.asset) === text
    if (!isSame) throw new ReleaseError("RELEASE_STATE_INVALID", `another release lies in ${text}`)
    const entry = newEntry(release, envelope, memory)
    for (const statement of statements) this.#restoreStatement(entry, statement, fleet)
    this.#entries.set(text, entry)
  }

  #restoreStatement(entry: ReleaseEntry, statement: Uint8Array, fleet: string): void {
    try {
      const evidence = readEvidence(statement, { keys: keysInside(statement), fleet })
      const { release } = subjectOfEvidence(evidence)
      if (isSameRelease(release, nameOfRelease(entry.release))) place(entry, evidence)
    } catch (error) {
      // It is asked for anew, as if it had never come.
      this.#deps.log.warn({ code: codeOf(error) }, "a statement that was kept is broken")
    }
  }
}

/** Gives a release as others see it. */
export function knownRelease({ release, envelope, memory }: ReleaseEntry): KnownRelease {
  return { release, envelope, wasAccepted: memory.wasAccepted }
}

function newEntry(
  release: Signed<Release>,
  envelope: Uint8Array,
  memory: ReleaseMemory,
): ReleaseEntry {
  return { release, envelope, memory, approvals: new Map(), withdrawals: new Map() }
}

function place(entry: ReleaseEntry, evidence: ReadEvidence): void {
  const { digest } = subjectOfEvidence(evidence)
  const { envelope } = evidence
  if (evidence.kind === "approval") {
    entry.approvals.set(digest, { approval: evidence.approval, envelope })
  } else entry.withdrawals.set(digest, { said: evidence.said, envelope })
}

function full(what: string, { release }: ReleaseEntry): ReleaseError {
  const text = formatAssetVersion(release.said.asset)
  return new ReleaseError("EVIDENCE_FULL", `there are as many ${what} of ${text} as are kept`)
}
