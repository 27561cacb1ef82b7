/**
 * Makes releases: seals and stores the files, hands out shares, signs, and has the desk list it
 * (adapter of `releases.ts`, protocol/release.md, protocol/key-schedule.md §5, publishing).
 * @module
 */
import { randomUUID } from "node:crypto"
import { mkdir, readdir, rm } from "node:fs/promises"
import { join } from "node:path"
import type { Digest } from "../core/digest.ts"
import { Serial } from "../core/serial.ts"
import type { Membership } from "../fleet/fleet.ts"
import type { FleetDesk } from "../fleet/fleet-desk.ts"
import type { PayloadPool } from "../seal/payload-pool.ts"
import { erase } from "../seal/release-key.ts"
import type { BlobStore } from "../store/store.ts"
import type { Signer } from "../trust/signing-key.ts"
import { releasesRole } from "../trust/tuf/fleet-role.ts"
import { type AssetVersion, formatAssetVersion } from "./asset-name.ts"
import { type ContentWork, type LayImage, type MadeContent, makeContent } from "./content-making.ts"
import { ReleaseError } from "./errors.ts"
import { keysInside, readEvidence, subjectOfEvidence } from "./evidence.ts"
import type { FileKeyStore } from "./file-key-store.ts"
import { termsOf, verifyRequest, verifyUnchanged } from "./publishing-terms.ts"
import {
  carriedFiles,
  encodeRelease,
  nameOfRelease,
  type Release,
  type Requirement,
} from "./release.ts"
import { LISTED_MAX, surplusReleases } from "./release-dropping.ts"
import { assetOfPath, isSameName, releasePath } from "./release-listing.ts"
import { verifyUnderPolicy } from "./release-policy.ts"
import type {
  KnownRelease,
  PublishedRelease,
  Publisher,
  PublishRequest,
  ReleaseBook,
  Watch,
} from "./releases.ts"
import { requirementsOf } from "./requirement-choice.ts"
import { isSameRelease } from "./signed.ts"
import { signDraft } from "./signing.ts"
import { encodeWithdrawal } from "./withdrawal.ts"

const LIFE_MS_DEFAULT: number = 365 * 86_400_000
const SEALING_FOLDER = "sealing"

export interface PublisherDeps {
  readonly membership: Membership
  readonly desk: Pick<FleetDesk, "publishTarget" | "signersOf">
  readonly book: ReleaseBook
  readonly store: BlobStore
  /** Its owner closes it. */
  readonly pool: PayloadPool
  readonly keys: FileKeyStore
  /** Notes under which namespace a blob may be fetched. */
  readonly places: { add(digest: Digest, place: string): void | Promise<void> }
  /** Without it images cannot be published. */
  readonly layImage?: LayImage
  readonly onPublished?: ((made: PublishedRelease) => void) | undefined
}

export interface PublisherOptions {
  /** `DATA/staging`. */
  readonly stagingFolder: string
  /** How many releases of a namespace are listed before those go that are over; 384 unless told. */
  readonly listedMax?: number
}

/** A publication under way. */
interface PublishingWork extends ContentWork {
  readonly requires: readonly Requirement[]
}

export class FleetPublisher implements Publisher {
  readonly #deps: PublisherDeps
  readonly #folder: string
  readonly #listedMax: number
  readonly #turns = new Serial<"publish">()

  /** Opens a publisher; what a crash left of its work is removed. */
  static async open(deps: PublisherDeps, options: PublisherOptions): Promise<FleetPublisher> {
    const folder = join(options.stagingFolder, SEALING_FOLDER)
    await mkdir(folder, { recursive: true, mode: 0o700 })
    for (const name of await readdir(folder)) {
      await rm(join(folder, name), { recursive: true, force: true })
    }
    return new FleetPublisher(deps, folder, options)
  }

  private constructor(
    deps: PublisherDeps,
    folder: string,
    { listedMax = LISTED_MAX }: PublisherOptions,
  ) {
    this.#deps = deps
    this.#folder = folder
    this.#listedMax = listedMax
  }

  async publish(request: PublishRequest, watch: Watch): Promise<PublishedRelease> {
    verifyRequest(request)
    // One at a time: the next one needs the next sequence.
    const publishing = () => this.#publish(this.#completed(request), watch)
    const made = await this.#turns.run("publish", publishing)
    this.#deps.onPublished?.(made)
    return made
  }

  async withdraw(release: KnownRelease, reason: string, by: Uint8Array | undefined): Promise<void> {
    const { desk, book, membership } = this.#deps
    const { fleet } = membership
    const named = nameOfRelease(release.release)
    if (by !== undefined) {
      const evidence = readEvidence(by, { keys: keysInside(by), fleet })
      if (!isSameRelease(subjectOfEvidence(evidence).release, named)) {
        const message = `it is no withdrawal of ${formatAssetVersion(named.asset)}`
        throw new ReleaseError("WITHDRAWAL_INVALID", message)
      }
      return await book.addWithdrawal(by)
    }
    const draft = encodeWithdrawal({ fleet, release: named, by: { kind: "targets" }, reason })
    await book.addWithdrawal((await signDraft(draft, await desk.signersOf("targets"))).envelope)
  }

  async #publish(request: PublishRequest, watch: Watch): Promise<PublishedRelease> {
    const { membership, desk, book } = this.#deps
    const { fleet } = membership
    const { namespace, name } = request
    const terms = await termsOf(membership, request)
    // Asked for before the work: who may not publish here hears it at once.
    const signers = await desk.signersOf(releasesRole(namespace))
    await book.refresh()
    const requires = requirementsOf(request, book)
    const asset = { namespace, name, sequence: this.#nextSequence(request) }
    const folder = join(this.#folder, randomUUID())
    await mkdir(folder, { mode: 0o700 })
    try {
      const work = { request, asset, terms, requires, fleet, watch, folder }
      const made = await makeContent({ layImage: undefined, ...this.#deps }, work)
      return await this.#list(work, made, signers)
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
  }

  /** Signs and lists a release whose content is in the store; else nothing of it stays. */
  async #list(
    work: PublishingWork,
    made: MadeContent,
    signers: readonly Signer[],
  ): Promise<PublishedRelease> {
    const { membership, book } = this.#deps
    const release = this.#releaseOf(work, made)
    try {
      const { policy, digest } = work.terms.current
      verifyUnderPolicy(release, { policy, digest })
      verifyUnchanged(work.terms, await termsOf(membership, work.request))
      work.watch.signal.throwIfAborted()
      const signed = await signDraft(encodeRelease(release), signers)
      await this.#hold(release, made)
      const { namespace } = work.asset
      const drop = await surplusReleases(this.#deps, namespace, { listedMax: this.#listedMax })
      await this.#deps.desk.publishTarget(releasePath(work.asset), signed.envelope, { drop })
      await book.refresh()
      return reportOf(release, signed.digest, made.reusedFiles)
    } catch (error) {
      if (!this.#isListed(release)) await this.#drop(release, made)
      throw error
    } finally {
      erase(made.bag.map(({ key }) => key))
      made.close()
    }
  }

  #releaseOf(
    { request, asset, terms, requires }: PublishingWork,
    { content, variants }: MadeContent,
  ): Release {
    const { membership } = this.#deps
    const { policy, digest } = terms.current
    const createdAtMs = membership.nowMs()
    return {
      fleet: membership.fleet,
      asset,
      createdAtMs,
      expiresAtMs: createdAtMs + (request.lifeMs ?? LIFE_MS_DEFAULT),
      floor: request.floor,
      policy: { version: policy.version, digest },
      parties: policy.parties.map(({ name }) => name),
      content,
      variants,
      requires,
      activation: request.activation,
      reissues: request.reissues,
    }
  }

  /** Pins the blobs, and says where they may be fetched. */
  async #hold(release: Release, { bag }: MadeContent): Promise<void> {
    const { store, places, keys } = this.#deps
    const { asset } = release
    const digests = [...new Set(carriedFiles(release).map(({ digest }) => digest))]
    const here = digests.filter((digest) => store.stat(digest) !== undefined)
    await store.pin({ name: pinOf(asset), digests: here })
    for (const digest of here) await store.share(digest, true)
    for (const digest of digests) await places.add(digest, asset.namespace)
    if (release.content.visibility === "sealed") await keys.write(asset, bag)
  }

  /** Takes back what was held for a release that was not listed in the end. */
  async #drop({ asset }: Release, made: MadeContent): Promise<void> {
    const { store, keys } = this.#deps
    await store.unpin(pinOf(asset))
    await keys.remove(asset)
    await made.undo()
  }

  #isListed({ asset }: Release): boolean {
    const path = releasePath(asset)
    return this.#deps.membership.targets().some((target) => target.path === path)
  }

  /**
   * What is issued anew is for whom it was before, and runs as it did, unless told: groups at their
   * present epoch. What a plan had to release stays held: a lost party is no reason to open it.
   * @throws ReleaseError `RELEASE_UNKNOWN`
   */
  #completed(request: PublishRequest): PublishRequest {
    const { namespace, name, reissues: sequence, visibility, audience } = request
    if (sequence === undefined) return request
    const said = this.#deps.book.find({ namespace, name, sequence })?.release.said
    if (said === undefined) {
      const text = formatAssetVersion({ namespace, name, sequence })
      throw new ReleaseError("RELEASE_UNKNOWN", `${text} is not known here`)
    }
    const { content, activation, floor } = said
    const whole = {
      ...(activation !== undefined && { activation }),
      ...(floor !== undefined && { floor }),
      ...request,
    }
    if (visibility !== "sealed" || content.visibility !== "sealed") return whole
    const { fields } = content.sealed
    const gate = request.gate === "open" && fields.gate === "hold" ? "hold" : request.gate
    if (audience.length > 0) return { ...whole, gate }
    const names = fields.audience.map((entry) => entry.replace(/^group:([^:]+):.*$/, "$1"))
    return { ...whole, gate, audience: names }
  }

  #nextSequence(request: PublishRequest): number {
    const { membership, book } = this.#deps
    const listed = membership.targets().flatMap(({ path }) => assetOfPath(path) ?? [])
    const known = book.list().map(({ release }) => release.said.asset)
    const own = [...listed, ...known].filter((asset) => isSameName(asset, request))
    return Math.max(0, ...own.map(({ sequence }) => sequence)) + 1
  }
}

function pinOf(asset: AssetVersion): string {
  return `release:${formatAssetVersion(asset)}`
}

function reportOf(release: Release, digest: Digest, reusedFiles: number): PublishedRelease {
  const { asset, parties, content } = release
  const files = carriedFiles(release)
  const fields = content.visibility === "sealed" ? content.sealed.fields : undefined
  return {
    asset,
    digest,
    files: files.length,
    sizeBytes: files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
    parties,
    audience: fields?.audience ?? [],
    gate: fields?.gate,
    isPostQuantum: fields?.isPostQuantum ?? true,
    reusedFiles,
  }
}
