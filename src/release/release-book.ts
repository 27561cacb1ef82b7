/**
 * The book of a node's releases: what the fleet lists, what was said of it, and what follows
 * (adapter of `releases.ts`, protocol/release.md §5).
 * @module
 */
import type { Clock } from "../core/clock.ts"
import type { Digest } from "../core/digest.ts"
import { codeOf } from "../core/errors.ts"
import type { Logger } from "../core/log.ts"
import { Serial } from "../core/serial.ts"
import type { Membership } from "../fleet/fleet.ts"
import type { PeerId, PeerNetwork } from "../net/net.ts"
import type { Policy } from "../trust/policy.ts"
import type { TufFiles } from "../trust/tuf/tuf-source.ts"
import type { AssetVersion } from "./asset-name.ts"
import type { Decision } from "./decision.ts"
import { ReleaseError } from "./errors.ts"
import type { ReadEvidence } from "./evidence.ts"
import { EvidenceExchange } from "./evidence-exchange.ts"
import { EvidenceFiles } from "./evidence-files.ts"
import { EvidenceIntake, placeOf } from "./evidence-intake.ts"
import { ENTRIES_MAX } from "./evidence-message.ts"
import { GrantExchange } from "./grant-exchange.ts"
import type { ProvenGrant } from "./grant-list.ts"
import { GrantShelf } from "./grant-shelf.ts"
import { ReleaseDecider } from "./release-decider.ts"
import { ReleaseIntake } from "./release-intake.ts"
import { isSameName } from "./release-listing.ts"
import { knownRelease, type ReleaseEntry, ReleaseShelf } from "./release-shelf.ts"
import type { KeptApproval, KeptEvidence, KnownRelease, ReleaseBook } from "./releases.ts"
import type { FileVersion } from "./signed.ts"

/** Audiences of at most so many entries: their grants are fetched with the approval. */
const PREFETCHED_MAX = 16

export interface ReleaseBookDeps {
  readonly membership: Membership
  readonly net: PeerNetwork
  readonly clock: Clock
  readonly log: Logger
  /** Of the data directory (`diskFiles`); the book writes below `releases`. */
  readonly files: TufFiles
  /** Told of each approval and withdrawal that came to be kept, whoever brought it. */
  readonly onEvidence?: ((evidence: ReadEvidence) => void) | undefined
}

/** A book with a lifetime. */
export class FleetReleaseBook implements ReleaseBook {
  readonly #deps: ReleaseBookDeps
  readonly #shelf: ReleaseShelf
  readonly #releases: ReleaseIntake
  readonly #decider: ReleaseDecider
  readonly #intake: EvidenceIntake
  readonly #grants: GrantShelf
  readonly #evidence: EvidenceExchange
  readonly #exchange: GrantExchange
  readonly #turns = new Serial<"book">()
  readonly #listeners = new Set<(asset: AssetVersion) => void>()
  readonly #closing = new AbortController()

  /** Opens what is kept. Call {@link start} to meet peers, and {@link refresh} to read the fleet's list. */
  static async open(deps: ReleaseBookDeps): Promise<FleetReleaseBook> {
    const files = new EvidenceFiles(deps.files)
    const grants = new GrantShelf(files)
    const { fleet } = deps.membership
    const shelf = await ReleaseShelf.open({ ...deps, files, grants }, { fleet })
    const intake = await ReleaseIntake.open({ ...deps, files, shelf })
    return new FleetReleaseBook(deps, { shelf, intake, grants })
  }

  private constructor(
    deps: ReleaseBookDeps,
    parts: { shelf: ReleaseShelf; intake: ReleaseIntake; grants: GrantShelf },
  ) {
    this.#deps = deps
    this.#shelf = parts.shelf
    this.#releases = parts.intake
    this.#grants = parts.grants
    this.#decider = new ReleaseDecider({ ...deps, ...parts })
    const inTurn = <T>(work: () => Promise<T>) => this.#turns.run("book", work)
    this.#intake = new EvidenceIntake({ ...deps, ...parts, decider: this.#decider, inTurn })
    this.#exchange = new GrantExchange(deps)
    const keeper = {
      live: () => this.#live(),
      statements: (release: Digest) => this.#statements(release),
      take: (statement: Uint8Array, release: Digest, from: PeerId) =>
        this.#takeFromPeer(statement, release, from),
    }
    const { fleet } = deps.membership
    this.#evidence = new EvidenceExchange({ ...deps, keeper }, { fleet })
  }

  /** Begins to answer peers and to ask them. */
  start(): void {
    this.#exchange.serve(async ({ approval, entries }) => {
      const entry = this.#shelf.byApproval(approval)
      const kept = entry?.approvals.get(approval)
      if (entry === undefined || kept === undefined) return []
      return await this.#grants.find(placeOf(entry, kept), entries)
    })
    this.#evidence.start()
  }

  stop(): void {
    this.#closing.abort(new Error("the book is closed"))
    this.#evidence.stop()
  }

  list(): readonly KnownRelease[] {
    return this.#shelf.all().map(knownRelease)
  }

  find(asset: Omit<AssetVersion, "sequence"> & { sequence?: number }): KnownRelease | undefined {
    const { sequence } = asset
    if (sequence !== undefined) {
      const entry = this.#shelf.get({ ...asset, sequence })
      return entry && knownRelease(entry)
    }
    return this.list().find(({ release }) => isSameName(release.said.asset, asset))
  }

  evidence(release: KnownRelease): KeptEvidence {
    const { approvals, withdrawals } = this.#shelf.entryOf(release)
    return { approvals: [...approvals.values()], withdrawals: [...withdrawals.values()] }
  }

  async decide(release: KnownRelease): Promise<Decision> {
    const entry = this.#shelf.entryOf(release)
    return await this.#turns.run("book", () => this.#decider.decide(entry))
  }

  async policyOf({ release }: KnownRelease): Promise<{ policy: Policy; file: FileVersion }> {
    const { namespace } = release.said.asset
    const current = await this.#deps.membership.policy(namespace)
    if (current === undefined) {
      throw new ReleaseError("POLICY_NOT_CURRENT", `namespace ${namespace} has no policy now`)
    }
    const { policy, digest } = current
    return { policy, file: { version: policy.version, digest } }
  }

  async gather(release: KnownRelease, options: { signal: AbortSignal }): Promise<void> {
    await this.#evidence.gather(this.#shelf.entryOf(release).release.digest, options)
  }

  async grants(
    release: KnownRelease,
    approval: KeptApproval,
    entries: readonly string[],
    { signal }: { signal: AbortSignal },
  ): Promise<readonly ProvenGrant[]> {
    const place = placeOf(this.#shelf.entryOf(release), approval)
    const wanted = entries.filter((entry) => place.audience.includes(entry))
    const found = [...(await this.#grants.find(place, wanted))]
    const missing = wanted.filter((entry) => !found.some(({ to }) => to === entry))
    for (let at = 0; at < missing.length; at += ENTRIES_MAX) {
      const asked = missing.slice(at, at + ENTRIES_MAX)
      for (const grant of await this.#exchange.ask(approval.approval, asked, { signal })) {
        await this.#grants.add(place, grant)
        found.push(grant)
      }
    }
    return found
  }

  async addApproval(envelope: Uint8Array, grants: Uint8Array | undefined): Promise<KeptApproval> {
    const evidence = await this.#intake.read(envelope)
    if (evidence.kind !== "approval") {
      throw new ReleaseError("APPROVAL_INVALID", "a withdrawal in the place of an approval")
    }
    await this.#add(evidence, grants)
    return evidence
  }

  async addWithdrawal(envelope: Uint8Array): Promise<void> {
    const evidence = await this.#intake.read(envelope)
    if (evidence.kind !== "withdrawal") {
      throw new ReleaseError("WITHDRAWAL_INVALID", "an approval in the place of a withdrawal")
    }
    await this.#add(evidence, undefined)
  }

  async refresh(): Promise<void> {
    const fresh = await this.#turns.run("book", () => this.#releases.refresh())
    for (const entry of fresh) {
      await this.#intake.adopt(entry)
      this.#tell(entry)
      this.#evidence.want(entry.release.digest)
    }
  }

  /** Gives a list of grants as it was handed in here; undefined when it was not. */
  async grantList(release: KnownRelease, approval: KeptApproval): Promise<Uint8Array | undefined> {
    return await this.#grants.list(placeOf(this.#shelf.entryOf(release), approval))
  }

  onChange(listener: (asset: AssetVersion) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  async #takeFromPeer(statement: Uint8Array, release: Digest, from: PeerId): Promise<boolean> {
    const found = await this.#intake.takeFromPeer(statement, release, from)
    if (found === undefined) return false
    this.#deps.onEvidence?.(found.evidence)
    this.#tell(found.entry)
    if (found.evidence.kind === "approval") void this.#prefetch(found.entry, found.evidence, from)
    return true
  }

  /** Keeps what came from this node's own side, and tells the fleet. */
  async #add(evidence: ReadEvidence, grants: Uint8Array | undefined): Promise<void> {
    const found = await this.#intake.add(evidence, grants)
    if (found === undefined) return
    this.#deps.onEvidence?.(found.evidence)
    this.#tell(found.entry)
    await this.#evidence.announce(found.entry.release.digest)
  }

  /** The grants of a short audience go along with the approval: who signed may soon be gone. */
  async #prefetch(entry: ReleaseEntry, approval: KeptApproval, from: PeerId): Promise<void> {
    const place = placeOf(entry, approval)
    if (place.audience.length === 0 || place.audience.length > PREFETCHED_MAX) return
    const { signal } = this.#closing
    try {
      const options = { first: from, signal }
      const found = await this.#exchange.ask(approval.approval, place.audience, options)
      for (const grant of found) await this.#grants.add(place, grant)
    } catch (error) {
      if (!signal.aborted) this.#deps.log.debug({ code: codeOf(error) }, "no grants beforehand")
    }
  }

  #live(): readonly Digest[] {
    const nowMs = this.#deps.membership.nowMs()
    return this.#shelf
      .all()
      .filter(({ release, memory }) => {
        return memory.withdrawn === undefined && release.said.expiresAtMs >= nowMs
      })
      .toSorted((one, other) => other.release.said.createdAtMs - one.release.said.createdAtMs)
      .map(({ release }) => release.digest)
  }

  /** Withdrawals first: an answer may be too short for all. */
  #statements(release: Digest): ReadonlyMap<Digest, Uint8Array> {
    const entry = this.#shelf.byDigest(release)
    const kept = [...(entry?.withdrawals ?? []), ...(entry?.approvals ?? [])]
    return new Map(kept.map(([digest, { envelope }]) => [digest, envelope]))
  }

  #tell({ release }: ReleaseEntry): void {
    for (const listener of [...this.#listeners]) listener(release.said.asset)
  }
}
