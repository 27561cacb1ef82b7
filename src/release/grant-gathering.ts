/**
 * Gathers the parties' shares for one node: of each party as many as its threshold says
 * (protocol/release.md §5, opening 4).
 * @module
 */
import { CodedError, codeOf, messageOf } from "../core/errors.ts"
import type { Logger } from "../core/log.ts"
import { GATE } from "../core/name.ts"
import type { EpochSecrets, NodeKeys } from "../fleet/node-key-port.ts"
import type { AgeIdentity } from "../seal/age-key.ts"
import type { GrantedShare, TakenGrant } from "../seal/grant.ts"
import { erase } from "../seal/release-key.ts"
import type { ShareHolder } from "../seal/sealed-release.ts"
import type { Policy } from "../trust/policy.ts"
import type { PublicKey } from "../trust/public-key.ts"
import type { OwnEntry } from "./audience-standing.ts"
import { faultOfApproval } from "./counting.ts"
import { ReleaseError } from "./errors.ts"
import type { GateGrantFiles } from "./gate-grant-files.ts"
import { verifyProvenGrant } from "./grant-list.ts"
import { type SealedTarget, takeByAny, takeKept } from "./grant-taking.ts"
import type { KeptApproval, KnownRelease, ReleaseBook } from "./releases.ts"

export interface GatheringDeps {
  readonly book: ReleaseBook
  readonly nodeKeys: NodeKeys
  readonly epochs: EpochSecrets
  readonly files: GateGrantFiles
  readonly log: Logger
}

/** For whom shares are gathered. */
export interface GatheringRequest extends SealedTarget {
  readonly known: KnownRelease
  readonly policy: Policy
  /** Devices whose approvals count, as it was decided. */
  readonly devices: ReadonlySet<PublicKey>
  /** What this node is meant by, at least one. */
  readonly entries: readonly OwnEntry[]
}

export interface GatheringOptions {
  readonly signal: AbortSignal
  /** Whether it is only tried, and what is missing now is nothing to warn of. */
  readonly isTrial?: boolean
}

/**
 * Gathers shares.
 * @returns those of all parties; for the caller to erase
 * @throws {@link ReleaseError} `NOT_GRANTED` with the holders that are missing;
 * {@link SealError} `SHARE_WRONG` when a device granted another share than it was given
 */
export async function gatherShares(
  deps: GatheringDeps,
  request: GatheringRequest,
  options: GatheringOptions,
): Promise<readonly GrantedShare[]> {
  const gathering = new Gathering(deps, request, options)
  try {
    return await gathering.run()
  } catch (error) {
    gathering.erase()
    throw error
  }
}

/** Gives the approvals whose grants may be taken: decided to count, and not over. */
export function usableApprovals(
  book: ReleaseBook,
  {
    known,
    policy,
    devices,
    nowMs,
  }: Pick<GatheringRequest, "known" | "policy" | "devices" | "nowMs">,
): readonly KeptApproval[] {
  return book.evidence(known).approvals.filter(({ approval: { said } }) => {
    if (!devices.has(said.device)) return false
    const fault = faultOfApproval(said, known.release, { policy, nowMs })
    // It was decided before: an approved release stays approved when a device is retired.
    return fault === undefined || fault === "not-of-the-party"
  })
}

/** One node's way through the approvals of one release. */
class Gathering {
  readonly #deps: GatheringDeps
  readonly #request: GatheringRequest
  readonly #signal: AbortSignal
  readonly #isTrial: boolean
  readonly #taken: TakenGrant[] = []
  /** Why grants of a holder could not be taken. */
  readonly #faults = new Map<string, CodedError>()
  readonly #epochIdentities = new Map<string, Promise<AgeIdentity>>()

  constructor(
    deps: GatheringDeps,
    request: GatheringRequest,
    { signal, isTrial = false }: GatheringOptions,
  ) {
    this.#deps = deps
    this.#request = request
    this.#signal = signal
    this.#isTrial = isTrial
  }

  async run(): Promise<readonly GrantedShare[]> {
    const approvals = usableApprovals(this.#deps.book, this.#request)
    const missing: string[] = []
    for (const holder of this.#request.sealed.holders) {
      if (holder.name === GATE) continue
      const own = approvals.filter(({ approval }) => approval.said.party === holder.name)
      if (!(await this.#gather(holder, own))) missing.push(holder.name)
    }
    if (missing.length > 0) throw this.#notGranted(missing)
    return this.#taken
  }

  erase(): void {
    erase(this.#taken.map(({ share }) => share))
  }

  /** @returns whether there were enough */
  async #gather(holder: ShareHolder, approvals: readonly KeptApproval[]): Promise<boolean> {
    const given = new Set<PublicKey>()
    for (const kept of approvals) {
      if (given.size === holder.threshold) break
      const { device } = kept.approval.said
      if (given.has(device)) continue
      const taken = await this.#take(kept)
      if (taken === undefined) continue
      this.#taken.push(taken)
      given.add(device)
    }
    return given.size === holder.threshold
  }

  async #take(kept: KeptApproval): Promise<TakenGrant | undefined> {
    const { party: holder, device, notAfterMs } = kept.approval.said
    const what = { target: this.#request, giver: { holder, device, notAfterMs } }
    const again = await takeKept(this.#deps, what)
    if (again !== undefined) return again
    const { known, entries } = this.#request
    const texts = entries.map(({ to }) => to)
    const signal = this.#signal
    try {
      const grants = await this.#deps.book.grants(known, kept, texts, { signal })
      for (const entry of entries) {
        const grant = grants.find(({ to }) => to === entry.to)
        if (grant === undefined) continue
        verifyProvenGrant(grant, kept.approval)
        const taken = await this.#noting(holder, () =>
          takeByAny(grant.file, what, this.#identitiesOf(entry)),
        )
        if (taken !== undefined) return taken
      }
    } catch (error) {
      this.#note(holder, error)
    }
    return undefined
  }

  async #noting<T>(holder: string, work: () => Promise<T>): Promise<T | undefined> {
    try {
      return await work()
    } catch (error) {
      this.#note(holder, error)
      return undefined
    }
  }

  /** Another device of the holder may have a grant that is right: only what is no answer ends it. */
  #note(holder: string, error: unknown): void {
    this.#signal.throwIfAborted()
    if (!(error instanceof CodedError)) throw error
    const level = this.#isTrial ? "debug" : "warn"
    this.#deps.log[level]({ holder, code: error.code }, "a grant cannot be taken")
    const isWorse = error.code === "SHARE_WRONG" || !this.#faults.has(holder)
    if (isWorse) this.#faults.set(holder, error)
  }

  async *#identitiesOf({ group }: OwnEntry): AsyncGenerator<AgeIdentity> {
    if (group === undefined) {
      yield* await this.#deps.nodeKeys.identities()
      return
    }
    let fault: unknown
    for (const epoch of group.epochs) {
      try {
        yield await this.#epochIdentity(group.name, epoch)
      } catch (error) {
        if (codeOf(error) !== "EPOCH_REFUSED") throw error
        fault = error
      }
    }
    // None opened it, and one that could not be had might have.
    if (fault !== undefined) throw fault
  }

  #epochIdentity(group: string, epoch: number): Promise<AgeIdentity> {
    const key = `${group}:${epoch}`
    const asked = this.#epochIdentities.get(key)
    if (asked !== undefined) return asked
    const asking = this.#deps.epochs.of(group, epoch, { signal: this.#signal })
    this.#epochIdentities.set(key, asking)
    return asking
  }

  #notGranted(holders: readonly string[]): Error {
    const faults = holders.flatMap((name) => this.#faults.get(name) ?? [])
    // Whoever signed the approval gave it: that is worth more than that something is missing.
    const wrong = faults.find(({ code }) => code === "SHARE_WRONG")
    if (wrong !== undefined) return wrong
    const [cause] = faults
    const reason = cause === undefined ? "" : `: ${messageOf(cause)}`
    const message = `no grant for this node by ${holders.join(", ")} can be had${reason}`
    const details = { holders, ...(cause !== undefined && { reason: cause.code }) }
    return new ReleaseError("NOT_GRANTED", message, { cause, details })
  }
}
