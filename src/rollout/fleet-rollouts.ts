/**
 * The rollouts of a node in its fleet: adapter of `rollout.ts` over the book, the controllers and the
 * node's own part (protocol/rollout.md §5).
 * @module
 */
import type { Membership } from "../fleet/fleet.ts"
import type { FleetDesk } from "../fleet/fleet-desk.ts"
import type { PeerId, PeerNetwork } from "../net/net.ts"
import type { AssetVersion } from "../release/asset-name.ts"
import { formatAssetVersion } from "../release/asset-name.ts"
import type { ReleaseBook } from "../release/releases.ts"
import { type NamedRelease } from "../release/signed.ts"
import { signDraft } from "../release/signing.ts"
import { PLAN_ROLE } from "../trust/tuf/fleet-role.ts"
import type { RolloutContent } from "./content.ts"
import type { ActByHand, RolloutController } from "./controller.ts"
import { RolloutError } from "./errors.ts"
import type { NodeRollouts } from "./node-rollouts.ts"
import type { Plan } from "./plan.ts"
import type { PlanTerms } from "./plan-file.ts"
import { planOfPath, planPath } from "./plan-path.ts"
import { encodePlan } from "./plan-statement.ts"
import type {
  NodeStanding,
  PlanReceipt,
  RolloutAct,
  RolloutCounts,
  RolloutReport,
  Rollouts,
} from "./rollout.ts"
import type { KnownPlan, RolloutBook } from "./rollout-book.ts"
import type { RolloutView } from "./rollout-view.ts"
import { rosterOf } from "./wave-choosing.ts"
import { countWave, type Findings, judge, standingOf } from "./wave-judging.ts"

/** Nodes that a report of a rollout names. */
const LATE_SHOWN_MAX = 1_000

export interface FleetRolloutsDeps {
  readonly membership: Membership
  readonly net: Pick<PeerNetwork, "id">
  readonly desk: Pick<FleetDesk, "publishTarget" | "signersOf">
  readonly releases: ReleaseBook
  readonly book: RolloutBook
  readonly content: RolloutContent
  readonly node: NodeRollouts
  /** The controller of a plan; undefined: another node decides. */
  readonly controllerOf: (known: KnownPlan) => RolloutController | undefined
  /** Told of each plan that was made here. */
  readonly onPlanned?: ((receipt: PlanReceipt) => void) | undefined
}

export class FleetRollouts implements Rollouts {
  readonly #deps: FleetRolloutsDeps

  constructor(deps: FleetRolloutsDeps) {
    this.#deps = deps
  }

  async create(
    terms: PlanTerms,
    { isDryRun }: { readonly isDryRun: boolean },
  ): Promise<PlanReceipt> {
    const { membership, desk, book } = this.#deps
    await book.refresh()
    const plan = this.#planOf(terms)
    this.#verifyChannel(plan)
    const outline = this.#outlineOf(plan)
    if (isDryRun) return { ...outline, digest: undefined }
    const signers = await desk.signersOf(PLAN_ROLE)
    const { envelope, digest } = await signDraft(encodePlan(plan), signers)
    await desk.publishTarget(planPath(plan), envelope, { drop: this.#replacedBy(plan) })
    await book.refresh()
    const receipt = { ...outline, digest }
    if (book.get(digest) === undefined) {
      const message = `the plan of ${membership.fleet} was published and does not count here`
      throw new RolloutError("PLAN_INVALID", message)
    }
    this.#deps.onPlanned?.(receipt)
    return receipt
  }

  list(): readonly RolloutReport[] {
    return this.#deps.book.plans().map((known) => this.#reportOf(known))
  }

  counts(): RolloutCounts {
    const { book, controllerOf } = this.#deps
    const counts = { running: 0, paused: 0, healthy: 0, failed: 0, pending: 0 }
    for (const known of book.active()) {
      const { phase } = book.view(known)
      if (phase === "running" || phase === "paused") counts[phase]++
      const findings = controllerOf(known)?.findings()
      for (const wave of findings?.view.releasedAtMs.keys() ?? []) {
        const { healthy, failed, pending } = countWave(findings!, wave)
        counts.healthy += healthy
        counts.failed += failed
        counts.pending += pending
      }
    }
    return counts
  }

  status(name: string): RolloutReport {
    return this.#reportOf(this.#find(name))
  }

  async act(
    name: string,
    act: RolloutAct,
    { reason, wave }: { readonly reason?: string | undefined; readonly wave?: string | undefined },
  ): Promise<RolloutReport> {
    const known = this.#find(name)
    const controller = this.#deps.controllerOf(known)
    if (controller === undefined) {
      const { controller: other } = known.plan.said
      const message = `rollout ${name} is decided by node ${other}: ask there, or make its next version`
      throw new RolloutError("NOT_CONTROLLER", message, { details: { controller: other } })
    }
    await controller.act(actOf(act, known, wave), reason ?? "by hand")
    return this.#reportOf(known)
  }

  onChange(listener: () => void): () => void {
    return this.#deps.book.onChange(listener)
  }

  #find(name: string): KnownPlan {
    const known = this.#deps.book.find(name)
    if (known !== undefined) return known
    throw new RolloutError(
      "PLAN_NOT_FOUND",
      `no rollout ${JSON.stringify(name.slice(0, 80))} is known here`,
    )
  }

  #planOf(terms: PlanTerms): Plan {
    const { membership, net, book } = this.#deps
    const nowMs = membership.nowMs()
    const { name, controller = net.id, lifeMs } = terms
    if (membership.access()?.list.members.has(controller) !== true) {
      throw new RolloutError("PLAN_INVALID", `controller: ${controller} is not in the fleet`)
    }
    // One moment each: of two plans of a channel it says which one is newer.
    const newest = Math.max(0, ...book.plans().map(({ plan }) => plan.said.createdAtMs))
    const createdAtMs = Math.max(nowMs, newest + 1)
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

  /** Another rollout of the channel goes on: it is ended first, or this is its next version. */
  #verifyChannel(plan: Plan): void {
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
  #replacedBy(plan: Plan): readonly string[] {
    return this.#deps.book
      .active()
      .filter(({ plan: { said } }) => said.channel === plan.channel)
      .map(({ named }) => planPath(named))
  }

  #outlineOf(plan: Plan): Omit<PlanReceipt, "digest"> {
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

  #reportOf(known: KnownPlan): RolloutReport {
    const { book, net, node, controllerOf } = this.#deps
    const { said } = known.plan
    const view = book.view(known)
    const controller = controllerOf(known)
    const findings = controller?.findings()
    const state = node.state(known.named.digest)
    return {
      ...known.named,
      channel: said.channel,
      controller: said.controller,
      isController: said.controller === net.id,
      isActive: book.isActive(known),
      phase: view.phase,
      reason: view.reason,
      attempt: view.attempt,
      decidedAtMs: view.atMs,
      expiresAtMs: said.expiresAtMs,
      releases: said.releases,
      waves: said.waves.map(({ name }, wave) => ({
        name,
        ...this.#waveOf(known, { view, findings, wave }),
      })),
      late: findings === undefined ? [] : lateOf(findings),
      looksAtMs: findings && judge(findings).lookAtMs,
      here: state && { step: state.step, reason: state.reason },
    }
  }

  #waveOf(
    known: KnownPlan,
    { view, findings, wave }: { view: RolloutView; findings: Findings | undefined; wave: number },
  ): Omit<RolloutReport["waves"][number], "name"> {
    const nodes = this.#deps.book.roster(known)?.waves[wave] ?? []
    const releasedAtMs = view.releasedAtMs[wave]
    const isReleased = releasedAtMs !== undefined
    const none = { healthy: 0, failed: 0, silent: 0, excluded: 0, pending: 0 }
    const { healthy, failed, silent, excluded, pending } =
      findings !== undefined && isReleased ? countWave(findings, wave) : none
    const counts = { healthy, failed, silent, excluded, pending }
    const standing = (peer: PeerId) =>
      findings !== undefined && isReleased ? standingOf(findings, peer, wave).kind : "not released"
    const shown = findings === undefined ? [] : nodes
    return {
      size: nodes.length,
      isReleased,
      releasedAtMs,
      ...counts,
      nodes: shown.map((peer) => standingLine(findings!, peer, standing(peer))),
    }
  }
}

function actOf(act: RolloutAct, known: KnownPlan, wave: string | undefined): ActByHand {
  if (act !== "rollback") return { kind: act }
  if (wave === undefined) return { kind: act, wave: 0 }
  const index = known.plan.said.waves.findIndex(({ name }) => name === wave)
  if (index >= 0) return { kind: act, wave: index }
  throw new RolloutError(
    "ROLLOUT_STATE_WRONG",
    `the plan has no wave ${JSON.stringify(wave.slice(0, 80))}`,
  )
}

function lateOf(findings: Findings): readonly NodeStanding[] {
  const { waves, reports } = findings
  const rostered = new Set(waves.flat())
  const late = [...reports.keys()].filter((peer) => !rostered.has(peer)).slice(0, LATE_SHOWN_MAX)
  return late.map((peer) => standingLine(findings, peer, "late"))
}

function standingLine(
  { reports }: Findings,
  node: PeerId,
  standing: NodeStanding["standing"],
): NodeStanding {
  const report = reports.get(node)
  return {
    node,
    standing,
    outcome: report?.said.outcome,
    reason: report?.said.reason ?? "",
    reportedAtMs: report?.receivedAtMs,
  }
}
