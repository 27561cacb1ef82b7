/**
 * Plans as they are made on a node: what a file says, and what is known where it is made; which plans
 * they take the place of, and whom they would reach (protocol/rollout.md §5, which plan counts).
 * @module
 */
import { FleetError } from "../fleet/errors.ts"
import { isMember, type Membership } from "../fleet/fleet.ts"
import type { PeerId, PeerNetwork } from "../net/net.ts"
import { type AssetVersion, formatAssetVersion } from "../release/asset-name.ts"
import type { ReleaseBook } from "../release/releases.ts"
import type { NamedRelease } from "../release/signed.ts"
import type { RolloutContent } from "./content.ts"
import { RolloutError } from "./errors.ts"
import type { Plan } from "./plan.ts"
import type { PlanTerms } from "./plan-file.ts"
import { planOfPath, planPath } from "./plan-path.ts"
import type { PlanReceipt } from "./rollout.ts"
import type { RolloutBook } from "./rollout-book.ts"
import { rosterOf } from "./wave-choosing.ts"

export interface PlanMakerDeps {
  readonly membership: Membership
  readonly net: Pick<PeerNetwork, "id">
  readonly releases: ReleaseBook
  readonly book: RolloutBook
  readonly content: RolloutContent
}

export class PlanMaker {
  readonly #deps: PlanMakerDeps

  constructor(deps: PlanMakerDeps) {
    this.#deps = deps
  }

  /** Gives the plan that some terms make now. @throws {@link RolloutError} `PLAN_INVALID` */
  planOf(terms: PlanTerms): Plan {
    const { membership, net } = this.#deps
    const { name, controller = net.id, lifeMs } = terms
    this.#verifyController(controller)
    // One moment each: of two plans of a channel it says which one is newer.
    const createdAtMs = Math.max(membership.nowMs(), this.#newestMs() + 1)
    return {
      ...terms,
      fleet: membership.fleet,
      version: this.#nextVersion(name),
      createdAtMs,
      expiresAtMs: createdAtMs + lifeMs,
      controller,
      releases: terms.releases.map((asset) => this.#namedRelease(asset)),
    }
  }

  /**
   * Checks that a plan that was drafted is still the next one.
   * @throws FleetError `DRAFT_OUTDATED`; {@link RolloutError} `PLAN_EXPIRED`, `PLAN_INVALID`
   */
  verifyNext({ name, version, createdAtMs, expiresAtMs, controller, releases }: Plan): void {
    const { membership } = this.#deps
    if (version !== this.#nextVersion(name) || createdAtMs <= this.#newestMs()) {
      const message = `another plan was made since plan ${version} of ${name} was drafted: draft it anew`
      throw new FleetError("DRAFT_OUTDATED", message)
    }
    if (membership.nowMs() > expiresAtMs) {
      throw new RolloutError("PLAN_EXPIRED", `plan ${version} of ${name} is over: draft it anew`)
    }
    this.#verifyController(controller)
    for (const { asset, digest } of releases) {
      if (this.#namedRelease(asset).digest === digest) continue
      const text = formatAssetVersion(asset)
      throw new RolloutError("PLAN_INVALID", `releases: ${text} is another one here`)
    }
  }

  #verifyController(peer: PeerId): void {
    if (isMember(this.#deps.membership, peer)) return
    throw new RolloutError("PLAN_INVALID", `controller: ${peer} is not in the fleet`)
  }

  /** When the newest plan here was made; 0 where there is none. */
  #newestMs(): number {
    return Math.max(0, ...this.#deps.book.plans().map(({ plan }) => plan.said.createdAtMs))
  }

  #namedRelease(asset: Omit<AssetVersion, "sequence"> & { sequence?: number }): NamedRelease {
    const known = this.#deps.releases.find(asset)
    if (known !== undefined)
      return { asset: known.release.said.asset, digest: known.release.digest }
    const text = formatAssetVersion({ sequence: 1, ...asset })
    throw new RolloutError("PLAN_INVALID", `releases: ${text} is not known here: publish it first`)
  }

  #nextVersion(name: string): number {
    const { membership, book } = this.#deps
    const listed = membership.targets().flatMap(({ path }) => planOfPath(path) ?? [])
    const kept = book.plans().map(({ named }) => named)
    const versions = [...listed, ...kept].flatMap((one) => (one.name === name ? [one.version] : []))
    return Math.max(0, ...versions) + 1
  }

  /**
   * Another rollout of the channel goes on: it is ended first, or this is its next version.
   * @throws {@link RolloutError} `CHANNEL_BUSY`
   */
  verifyChannel(plan: Plan): void {
    const { book } = this.#deps
    const busy = book.active().find((known) => {
      const { said } = known.plan
      if (said.channel !== plan.channel || said.name === plan.name) return false
      return ["running", "paused"].includes(book.view(known).phase)
    })
    if (busy === undefined) return
    const { name } = busy.named
    const message = `channel ${plan.channel} has rollout ${name}, which is not over: let it end, or abort it`
    throw new RolloutError("CHANNEL_BUSY", message, { details: { rollout: name } })
  }

  /** Plans of the channel that the new one takes the place of. */
  replacedBy(plan: Plan): readonly string[] {
    return this.#deps.book
      .active()
      .filter(({ plan: { said } }) => said.channel === plan.channel)
      .map(({ named }) => planPath(named))
  }

  /** Gives who would be in which wave, if it started now. @throws {@link RolloutError} `PLAN_INVALID` */
  outlineOf(plan: Plan): Omit<PlanReceipt, "digest"> {
    const { membership, content } = this.#deps
    const list = membership.access()?.list
    if (list === undefined)
      throw new RolloutError("PLAN_INVALID", "there is no access list here yet")
    const choice = rosterOf(plan, list, (peer) => content.isFor(plan.releases, peer))
    const { name, version, channel, controller, releases, expiresAtMs } = plan
    const waves = plan.waves.map((wave, index) => ({
      name: wave.name,
      nodes: choice.waves[index] ?? [],
    }))
    return {
      name,
      version,
      channel,
      controller,
      releases,
      waves,
      others: choice.others,
      expiresAtMs,
    }
  }
}
