/**
 * Ahead of an opening: all that does not hang on the gate's share is brought and tried, so that nothing
 * but that share is waited for once a wave is released (protocol/release.md §5, opening).
 * @module
 */
import type { Clock } from "../core/clock.ts"
import type { Digest } from "../core/digest.ts"
import { codeOf } from "../core/errors.ts"
import type { SelfStanding } from "../fleet/self-standing.ts"
import { startDeadline } from "../net/deadline.ts"
import { erase } from "../seal/release-key.ts"
import { type GatheringDeps, gatherShares, usableApprovals } from "./grant-gathering.ts"
import {
  approvedHere,
  decideNow,
  ownEntries,
  type StandingDeps,
  standingOf,
} from "./opening-standing.ts"
import type { KnownRelease } from "./releases.ts"
import type { UnsealingRequest } from "./unsealing.ts"

/** Grants and secrets of groups are waited for so long. */
const BRING_TIMEOUT_MS = 10_000
/** Releases of which it is remembered that nothing is missing. */
const PREPARED_MAX = 256

export interface PreparingDeps extends StandingDeps, GatheringDeps {
  readonly clock: Clock
  /** Left out: nothing can be known against this node. */
  readonly self?: SelfStanding | undefined
}

export interface PreparingOptions {
  readonly signal: AbortSignal
  /** Whether peers are asked first for what was said of the release; else what is here decides. */
  readonly isAsking: boolean
}

export class OpeningPreparer {
  readonly #deps: PreparingDeps
  /** What was tried, in words, by the release's digest: nothing of it needs to be tried again. */
  readonly #prepared = new Map<Digest, string>()

  constructor(deps: PreparingDeps) {
    this.#deps = deps
  }

  /**
   * Brings what is missing, and tries it. The shares are erased again: what stays is what an opening
   * would have kept. What cannot be had now an opening will look for itself.
   * @throws nothing but the signal's reason
   */
  async bring(known: KnownRelease, { signal, isAsking }: PreparingOptions): Promise<void> {
    const { clock, log } = this.#deps
    const deadline = startDeadline(clock, BRING_TIMEOUT_MS, signal)
    try {
      const request = await this.#request(known, { signal: deadline.signal, isAsking })
      if (request !== undefined) await this.#try(request, deadline)
    } catch (error) {
      signal.throwIfAborted()
      log.debug({ code: codeOf(error) }, "not all that opens a release is here yet")
    } finally {
      deadline.clear()
    }
  }

  /** Forgets a release: it is open. */
  forget({ release }: KnownRelease): void {
    this.#prepared.delete(release.digest)
  }

  /** @returns undefined when it is not approved by what is here */
  async #request(
    known: KnownRelease,
    { signal, isAsking }: PreparingOptions,
  ): Promise<UnsealingRequest | undefined> {
    await this.#deps.self?.verify()
    const standing = await standingOf(this.#deps, known)
    const devices = isAsking
      ? await decideNow(this.#deps, known, { signal })
      : await approvedHere(this.#deps, known)
    return devices && { known, standing, devices }
  }

  async #try(request: UnsealingRequest, { signal }: { readonly signal: AbortSignal }) {
    const { known, standing, devices } = request
    const { release } = known
    const { content } = release.said
    const entries = ownEntries(this.#deps, release.said, standing)
    if (content.visibility !== "sealed") return
    const approvals = usableApprovals(this.#deps.book, { known, devices, ...standing })
    const of = approvals.map(({ approval }) => approval.digest)
    const text = [standing.list.digest, standing.policy.version, ...of].join(" ")
    if (this.#prepared.get(release.digest) === text) return
    // Of every approval, not only of as many as are needed: their givers may go.
    const texts = entries.map(({ to }) => to)
    for (const kept of approvals) await this.#deps.book.grants(known, kept, texts, { signal })
    const { sealed } = content
    const target = { known, release, sealed, devices, entries, ...standing }
    const shares = await gatherShares(this.#deps, target, { signal, isTrial: true })
    erase(shares.map(({ share }) => share))
    this.#remember(release.digest, text)
  }

  #remember(release: Digest, text: string): void {
    this.#prepared.delete(release)
    this.#prepared.set(release, text)
    const [oldest] = this.#prepared.keys()
    if (this.#prepared.size > PREPARED_MAX) this.#prepared.delete(oldest!)
  }
}
